"""Reading practice in a browser: by keyboard alone, with a mark; axe-core finds nothing serious, nothing is cut off."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import FilePayload, Page, expect

from cxr.evaluation.reader_study.marks import marks_of
from cxr.inference.response_tables import from_csv, to_csv
from cxr.ui.read_first.answer_form import ANSWER_LABEL, CONFIDENCE_LABEL
from cxr.ui.read_first.case_panel import COMMIT, FINISH, NEXT, SCORE
from cxr.ui.read_first.practice_panel import STUDY
from cxr.ui.read_first.set_form import START
from tests.browser.test_widths import misfits_of
from tests.support.accessibility import serious_findings
from tests.support.browser import settled
from tests.support.readers import responses_of
from tests.support.server import Server

SHAPES = ({"width": 1280, "height": 900}, {"width": 800, "height": 1000})


def start(tab: Page, server: Server) -> None:
    """A set of four X-rays, with the first one open."""
    tab.goto(f"{server.url}/reading_practice?dataset=phantoms&size=4&seed=5")
    tab.get_by_role("button", name=START).click()
    tab.get_by_role("button", name=COMMIT).wait_for()
    settled(tab)


def focused_text(tab: Page) -> str:
    """The text of the element that has the keyboard's focus."""
    text: str = tab.evaluate("document.activeElement.innerText ?? ''")
    return text.strip()


def tab_to(tab: Page, wanted: str) -> None:
    """Press Tab until a button of this text has the focus."""
    for _ in range(30):
        if focused_text(tab) == wanted:
            return
        tab.keyboard.press("Tab")
    pytest.fail(f"Tab does not reach {wanted}")


def tab_to_group(tab: Page, label: str) -> None:
    """Press Tab until a choice of the group with this label has the focus."""
    for _ in range(40):
        if tab.evaluate(
            "label => document.activeElement.closest('[role=radiogroup]')?.getAttribute('aria-label') === label", label
        ):
            return
        tab.keyboard.press("Tab")
    pytest.fail(f"Tab does not reach {label}")


def test_a_case_is_read_by_keyboard_alone_with_a_mark(page: Page, unchanged_server: Server) -> None:
    start(page, unchanged_server)
    page.locator(".viewer[data-shows]").wait_for()
    page.locator(".frame").first.focus()
    page.keyboard.press("k")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Enter")
    for key in ("ArrowLeft", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    settled(page)
    tab_to_group(page, ANSWER_LABEL)
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    settled(page)
    tab_to_group(page, CONFIDENCE_LABEL)
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name=COMMIT)).to_be_enabled()
    tab_to(page, COMMIT)
    page.keyboard.press("Enter")
    page.get_by_text("Bacterial pneumonia, 60% sure").wait_for()
    page.get_by_text("of its peak at your marks").wait_for()
    expect(page.locator(".notes li")).to_have_count(2)
    expect(page.locator(".notes li button")).to_have_count(0)  # the answer was committed
    expect(page.locator(".viewer .status")).to_have_text("")  # the mark tool is gone, and so is its line
    tab_to(page, FINISH)
    page.keyboard.press("Enter")
    page.get_by_text("Reference:").wait_for()
    tab_to(page, NEXT)
    page.keyboard.press("Enter")
    page.get_by_text("X-ray 2 of 4").wait_for()
    page.get_by_role("button", name="End and see the score").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download answers (CSV)").click()
    (response,) = from_csv(download.value.path().read_bytes())
    assert (response.first, response.first_confidence, response.second) == ("bacterial", 60, "bacterial")
    (x, y), (left, top, right, bottom) = marks_of(response.marks)
    assert (0.3 < x < 0.5, y) == (True, 0.5)
    assert (right, bottom) == (x, y)
    assert left < right
    assert top < bottom - (right - left)


def test_a_click_sets_a_point_and_a_drag_draws_a_box(page: Page, unchanged_server: Server) -> None:
    start(page, unchanged_server)
    page.locator(".viewer[data-shows]").wait_for()
    page.get_by_role("button", name="Mark", exact=True).click()
    frame = page.locator(".frame").first.bounding_box()
    assert frame
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    page.mouse.click(x, y)
    page.mouse.move(x + 80, y + 60)
    page.mouse.down()
    page.mouse.move(x - 40, y - 30, steps=4)
    page.mouse.up()
    notes = page.locator(".notes li")
    expect(notes).to_have_count(2)
    assert re.match(r"Mark 1 at \d+, \d+ px", notes.nth(0).inner_text())
    box = re.match(r"Mark 2: box from (\d+), (\d+) to (\d+), (\d+) px", notes.nth(1).inner_text())
    assert box
    left, top, right, bottom = map(int, box.groups())
    assert 1.1 < (right - left) / (bottom - top) < 1.6  # 4 to 3, in the few pixels of a phantom
    page.keyboard.press("Backspace")
    expect(notes).to_have_count(1)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_serious_is_found_in_any_state_and_nothing_is_cut_off(
    page: Page, unchanged_server: Server, theme: str
) -> None:
    page.goto(f"{unchanged_server.url}/_stcore/health")
    key = "stActiveTheme-/reading_practice-v2"
    page.evaluate(f"localStorage.setItem('{key}', '\"{theme.title()}\"'); localStorage.setItem('cxr-{key}', 'x')")
    page.goto(f"{unchanged_server.url}/reading_practice?dataset=phantoms&size=4&seed=5")
    page.get_by_role("button", name=START).wait_for()
    settled(page)
    findings = {"form": problems(page)}
    page.get_by_role("button", name=START).click()
    page.get_by_role("button", name=COMMIT).wait_for()
    settled(page)
    findings["alone"] = problems(page)
    commit(page)
    findings["model"] = problems(page)
    for _ in range(3):
        page.get_by_role("button", name=FINISH).click()
        page.get_by_role("button", name=NEXT).click()
        commit(page)
    page.get_by_role("button", name=FINISH).click()
    page.get_by_role("button", name=SCORE).click()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    settled(page)
    findings["score"] = problems(page)
    page.get_by_text(STUDY, exact=True).click()
    files = [
        FilePayload(name=f"{name}.csv", mimeType="text/csv", buffer=to_csv(responses_of(name, seed)).encode())
        for seed, name in enumerate("abc")
    ]
    page.locator("input[type=file]").set_input_files(files)
    page.get_by_text("With the model minus alone").wait_for()
    settled(page)
    findings["study"] = problems(page)
    assert not any(findings.values()), findings


def commit(tab: Page) -> None:
    """Answer the open case, and wait for the model's answer."""
    tab.get_by_role("button", name=COMMIT).wait_for()
    settled(tab)
    tab.get_by_role("radiogroup", name=ANSWER_LABEL).get_by_text("Normal", exact=True).click()
    tab.get_by_text("90%", exact=True).click()
    settled(tab)
    tab.get_by_role("button", name=COMMIT).click()
    tab.get_by_role("button", name=FINISH).wait_for()
    settled(tab)


def problems(tab: Page) -> list[object]:
    """What axe-core finds, and what does not fit a narrow screen."""
    found: list[object] = [*serious_findings(tab)]
    for shape in reversed(SHAPES):
        tab.set_viewport_size(shape)  # type: ignore[arg-type]
        found += misfits_of(tab)
    return found
