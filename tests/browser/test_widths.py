"""The pages fit screens of 1280, 1024 and 800 pixels: nothing scrolls sideways, no button or label is cut off."""

from urllib.parse import quote

import pytest

from tests.support.browser import settled

WIDTHS_PX = (1280, 1024, 800)
PLACES = {
    "predict": "",
    "predict, read": "",
    "evaluate": "evaluate",
    "evaluate, curves": f"evaluate?show={quote('ROC and precision-recall')}",
    "train, runs": "train",
    "train, new": "train",
    "models": "models",
    "data": "data",
    "data, splits": "data",
}
# Of what can be pressed, of its labels and of the tables, what is wider inside than its box. Words within them may be
# wider than a box that does not clip them: that is how Streamlit lays out an icon.
CUT_OFF = """
() => {
  const shown = element => element.checkVisibility({opacityProperty: true, visibilityProperty: true})
    && element.getBoundingClientRect().width > 1;
  const PARTS = 'button, [role=radiogroup], [data-testid=stWidgetLabel], [data-testid=stTable]';
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
def test_a_page_fits_the_screen(page, server, place):
    page.goto(f"{server.url}/{PLACES[place]}")
    settled(page)
    turn_to(page, place)
    found = {}
    for width_px in WIDTHS_PX:
        page.set_viewport_size({"width": width_px, "height": 900})
        found[width_px] = fitting(page)
    assert not any(found.values()), found


def turn_to(page, place):
    """The part of the page that is meant."""
    if place == "predict, read":
        page.get_by_role("button", name="Drawn film, bacterial").click()
        page.locator(".viewer[data-shows]").wait_for()
    elif place == "train, new":
        page.get_by_text("New training").click()
        page.get_by_text("Choose the films to train with.").wait_for()
    elif place == "data, splits":
        page.get_by_text("Splits", exact=True).click()
        page.get_by_text("Films and seed alone decide.").wait_for()
    elif place.startswith("evaluate"):
        page.locator(".js-plotly-plot .main-svg").first.wait_for()
    settled(page)


def fitting(page):
    """What does not fit once the page has come to rest."""
    for _ in range(6):
        page.wait_for_timeout(300)  # charts are drawn anew for the new width
        found = page.evaluate(BEYOND) + page.evaluate(CUT_OFF)
        if not found:
            break
    return found
