"""The pages fit screens of 1280, 1024 and 800 pixels, and a zoom of 200%; the keyboard reaches all that is on them."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, ViewportSize

from cxr.ui.data.splits import RULE
from cxr.ui.data_map.panel import MAKE
from cxr.ui.learning_curve.panel import START
from cxr.ui.train.runs import NEW, NEW_STUDY
from cxr.ui.train.training_data import NOT_CHOSEN
from tests.support.browser import settled
from tests.support.keyboard import keyboard_problems
from tests.support.server import Server

SHAPES: tuple[ViewportSize, ...] = (
    {"width": 1280, "height": 900},
    {"width": 1024, "height": 900},
    {"width": 800, "height": 900},
    {"width": 640, "height": 450},  # 1280 by 900 at a zoom of 200%
)
PLACES = {
    "predict": "",
    "predict, read": "",
    "evaluate": "evaluate",
    "evaluate, curves": f"evaluate?show={quote('ROC and PR')}",
    "train, runs": "train",
    "train, new": "train",
    "train, study": "train",
    "models": "models",
    "data": "data",
    "data, splits": "data?show=Splits",
    "data, map": "data?show=Map",
    "data, labels": "data?show=Labels",
    "data, learning curve": f"data?show={quote('Learning curve')}",
    "jobs": "jobs",
    "reading practice": "reading_practice?dataset=phantoms",
}
# Of what can be pressed, of its labels and of the tables, what is wider inside than its box. Words within them may be
# wider than a box that does not clip them: that is how Streamlit lays out an icon. At 200% a table may scroll.
CUT_OFF = """
() => {
  const shown = element => element.checkVisibility({opacityProperty: true, visibilityProperty: true})
    && element.getBoundingClientRect().width > 1;
  const tables = innerWidth < 800 ? '' : ', [data-testid=stTable]';
  const PARTS = `button, [role=radiogroup], [data-testid=stWidgetLabel]${tables}`;
  const cut = [];
  for (const element of document.querySelectorAll(PARTS)) {
    for (const part of [element, ...element.querySelectorAll('*')]) {
      const words = part.textContent.trim();
      if (words && shown(part) && part.clientWidth && part.scrollWidth > part.clientWidth + 1
          && (part === element || getComputedStyle(part).overflowX !== 'visible')) {
        cut.push(`${words.slice(0, 60)}: ${part.scrollWidth} in ${part.clientWidth}`);
        break;
      }
    }
  }
  return cut;
}
"""
BEYOND = """
() => {
  const root = document.documentElement, main = document.querySelector('[data-testid=stMain]');
  return [root, main].map(one => one.scrollWidth - one.clientWidth).filter(px => px > 0);
}
"""


@pytest.mark.parametrize("place", PLACES)
def test_a_page_fits_the_screen_and_the_keyboard_reaches_all_of_it(
    page: Page, unchanged_server: Server, place: str
) -> None:
    page.goto(f"{unchanged_server.url}/{PLACES[place]}")
    settled(page)
    open_part(page, place)
    misfits: dict[int, list[object]] = {}
    for shape in SHAPES:
        page.set_viewport_size(shape)
        misfits[shape["width"]] = misfits_of(page)
    assert not any(misfits.values()), misfits
    assert keyboard_problems(page) == []


def open_part(page: Page, place: str) -> None:
    """Opens the part of the page that is to be measured."""
    if place == "predict, read":
        page.get_by_role("button", name=re.compile("^Synthetic: Bacterial")).click()
        page.locator(".viewer[data-shows]").wait_for()
    elif place == "train, new":
        page.get_by_text(NEW).click()
        page.get_by_text(NOT_CHOSEN).first.wait_for()
    elif place == "train, study":
        page.get_by_text(NEW_STUDY, exact=True).click()
        page.get_by_text(NOT_CHOSEN).first.wait_for()
    elif place == "data, map":
        page.get_by_role("button", name=MAKE).wait_for()
    elif place == "data, learning curve":
        page.get_by_role("button", name=START).wait_for()
    elif place == "data, splits":
        page.get_by_text(RULE).wait_for()
    elif place.startswith("evaluate"):
        page.locator(".js-plotly-plot .main-svg").first.wait_for()
    settled(page)


def misfits_of(page: Page) -> list[object]:
    """What does not fit once the page has come to rest."""
    misfits: list[object] = []
    for _ in range(15):
        page.wait_for_timeout(120)  # charts are drawn anew for the new width
        misfits = page.evaluate(BEYOND) + page.evaluate(CUT_OFF)
        if not misfits:
            break
    return misfits
