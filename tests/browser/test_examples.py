"""The first minute: a real X-ray is read at a click or by the keyboard alone, and a row of the list opens it on top."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from cxr.core.paths import BUNDLED_EXAMPLES
from cxr.ui.predict.examples import OPEN_FILM
from cxr.ui.predict.upload import UPLOAD_PLACE
from tests.support.browser import settled, wait_until
from tests.support.server import Server, serving


@pytest.fixture(scope="module")
def with_examples(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("examples") / "home"
    (home / "models").parent.mkdir(parents=True)
    (home / "models").symlink_to(trained_home / "models")
    with serving(home, CXR_EXAMPLES=str(BUNDLED_EXAMPLES[0])) as server:
        yield server


def test_an_example_is_read_by_the_keyboard_and_a_row_of_the_list_opens_on_top(
    page: Page, with_examples: Server
) -> None:
    page.goto(with_examples.url)
    first = page.get_by_role("button", name="Normal, child 1")
    first.wait_for()
    settled(page)
    labels = page.locator('[class*="st-key-predict_tile_"] button').all_text_contents()
    assert len(set(labels)) == len(labels) >= 20
    first.focus()
    page.keyboard.press("Enter")
    page.locator('[data-testid="stMarkdownContainer"] h2').wait_for()
    wait_until(page, f"document.activeElement.closest('.st-key-{OPEN_FILM}') !== null")
    page.get_by_role("button", name="Clear").press("Enter")
    wait_until(page, f"document.activeElement.closest('.st-key-{UPLOAD_PLACE}') !== null")
    page.get_by_role("button", name="Read all").click()
    page.get_by_text("1 of 20", exact=True).wait_for()
    settled(page)
    opened = page.locator('[data-testid="stMarkdownContainer"] h2').inner_text()
    grid = page.get_by_test_id("stDataFrame").first
    grid.scroll_into_view_if_needed()
    box = grid.bounding_box()
    assert box
    page.mouse.click(box["x"] + 0.4 * box["width"], box["y"] + 38 + 2.5 * 112)  # the third row, on no checkbox
    page.get_by_text("3 of 20", exact=True).wait_for()
    settled(page)
    assert page.locator('[data-testid="stMarkdownContainer"] h2').inner_text() != opened
    wait_until(page, f"document.querySelector('.st-key-{OPEN_FILM}').getBoundingClientRect().top >= 0")
    assert page.evaluate(f"document.querySelector('.st-key-{OPEN_FILM}').getBoundingClientRect().bottom < innerHeight")
