"""The page Data as a person comes to it: with nothing, and with a folder of X-rays."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page

from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.ui.components import phantom_form
from tests.support.browser import settled, wait_until
from tests.support.server import Server, serving

CREATING_MS = 180_000  # a synthetic dataset, on a busy machine


@pytest.fixture(scope="module")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("empty") / "home") as running:
        yield running


def wait_for_tiles(page: Page, count: int) -> None:
    wait_until(
        page,
        """count => { const tiles = [...document.querySelectorAll('img[alt*="phantom-"]')];
                      return tiles.length === count && tiles.every(tile => tile.complete && tile.naturalWidth > 0) }""",
        count,
    )


def box_of(element: Locator) -> tuple[float, float, float, float]:
    box = element.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


def test_from_nothing_to_the_films_of_a_finding(page: Page, empty_server: Server) -> None:
    page.goto(f"{empty_server.url}/data")
    page.locator(".st-key-data_create_default button").click()
    page.get_by_role("progressbar").first.wait_for()
    page.get_by_text(f"1–24 of {phantom_form.FILMS}").wait_for(timeout=CREATING_MS)
    wait_for_tiles(page, 24)

    films = empty_server.home / "data" / "phantoms" / "images"
    shutil.copy(films / "phantom-00000.png", films / "phantom-00001.png")
    page.get_by_role("radio", name="Audit").click()
    page.locator(".st-key-data_audit button").click()
    page.locator(".st-key-data_phantoms_0 summary").click()
    page.get_by_role("img", name="Normal, phantom-00000.png").wait_for()
    settled(page)
    page.get_by_role("button", name="phantom-00001.png", exact=True).click()
    page.get_by_role("dialog").get_by_text("pixels, PNG").wait_for()


def test_the_facts_of_an_opened_film_stand_beside_or_below_it_on_a_narrow_screen(page: Page, server: Server) -> None:
    page.set_viewport_size({"width": 800, "height": 900})
    page.goto(f"{server.url}/data")
    page.get_by_text("1–24 of 160").wait_for()
    settled(page)
    page.get_by_role("button", name="phantom-00001.png", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("pixels, PNG").wait_for()
    dialog.locator(".viewer[data-depth=full]").wait_for()
    x, y, width, height = box_of(dialog.locator(".frame").first)
    facts_x, facts_y, _, _ = box_of(dialog.locator('[data-testid="stDataFrame"]'))
    assert x + width <= facts_x or y + height <= facts_y
    assert width == pytest.approx(height, abs=1), "the image is drawn"


def test_an_error_disappears_while_a_better_choice_is_worked_on(page: Page, server: Server) -> None:
    error = page.locator('[data-testid="stAlertContentError"]')
    page.goto(f"{server.url}/data")
    page.locator("summary").filter(has_text="Add X-rays").click()
    page.get_by_role("tab", name="Synthetic").click()
    page.get_by_label("X-rays", exact=True).fill("40")
    page.get_by_label("Size, px").fill("128")
    page.get_by_label("Name", exact=True).fill("../x")
    page.get_by_role("button", name="Create", exact=True).click()
    error.wait_for()
    page.get_by_label("Name", exact=True).fill("better")
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_role("progressbar").first.wait_for()
    assert not error.count()
    page.locator('[data-testid="stAlertContentSuccess"]').wait_for(timeout=CREATING_MS)


def test_a_folder_is_added_by_its_path(page: Page, server: Server, tmp_path: Path) -> None:
    draw_phantom_set(tmp_path / "Films of mine", 8, size_px=64)
    page.goto(f"{server.url}/data")
    page.locator("summary").filter(has_text="Add X-rays").click()
    path = page.get_by_role("textbox", name="Path", exact=True)
    path.fill(str(tmp_path / "nowhere"))
    page.get_by_role("button", name="Add", exact=True).click()
    page.locator('[data-testid="stAlertContentError"]', has_text=str(tmp_path / "nowhere")).wait_for()
    path.fill(str(tmp_path / "Films of mine"))
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("8 X-rays from 8 patients").wait_for()
    wait_for_tiles(page, 8)
    assert not path.is_visible()
