"""In both themes, texts have enough contrast (WCAG AA: 4.5, and 3 where large), and axe-core finds nothing serious.

Every page is opened by its own address, on a server with a model and a dataset.
"""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from cxr import DISCLAIMER
from tests.support.accessibility import serious_findings
from tests.support.browser import settled
from tests.support.server import Server

LEAST, LEAST_LARGE = 4.5, 3.0
PLACES = {
    "predict": "",
    "predict, read": "",
    "predict, read, corrections": "",
    "evaluate": "evaluate",
    "evaluate, curves": f"evaluate?show={quote('ROC and PR')}",
    "evaluate, scores": "evaluate?show=Scores",
    "evaluate, calibration": "evaluate?show=Calibration",
    "evaluate, slices": "evaluate?show=Slices",
    "train": "train",
    "train, new study": f"train?show={quote('New study')}",
    "models": "models",
    "data": "data",
    "data, splits": "data?show=Splits",
    "data, map": "data?show=Map",
    "data, learning curve": f"data?show={quote('Learning curve')}",
    "jobs": "jobs",
    "reading practice": "reading_practice",
}
FAINT = """
([least, leastLarge]) => {
  const dot = Object.assign(document.createElement('canvas'), {width: 1, height: 1});
  const pen = dot.getContext('2d', {willReadFrequently: true});
  const color = css => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = css; pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, ground, opacity) => ground.map((one, i) => one + (top[i] - one) * top[3] * opacity);
  const light = rgb => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const backdrop = element => {
    const chain = [];
    for (let at = element; at; at = at.parentElement) chain.unshift(at);
    let ground = [255, 255, 255], opacity = 1;
    for (const at of chain) {
      const style = getComputedStyle(at);
      opacity *= Number(style.opacity);
      const above = at.closest('[data-testid=stSlider]');  // a slider's value is drawn above its thumb, not on it
      if (!above) ground = over(color(style.backgroundColor), ground, opacity);
    }
    return [ground, opacity];
  };
  const faint = new Set();
  const measure = (element, text, ink) => {
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const [ground, opacity] = backdrop(element);
    if (color(ink(style))[3] * opacity === 0) return;  // not to be seen at all
    const found = ratio(over(color(ink(style)), ground, opacity), ground);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (found < (large ? leastLarge : least)) faint.add(`${found.toFixed(2)}: ${text.trim().slice(0, 60)}`);
  };
  const shown = element => element.checkVisibility({opacityProperty: true, visibilityProperty: true})
    && element.getBoundingClientRect().width > 1
    && !element.closest('[disabled], [aria-disabled=true], :has(> :disabled), [data-testid=stApp] ~ *');
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement, text = walk.currentNode.data;
    if (!text.trim() || !shown(element) || element.closest('svg, script, style, noscript')) continue;
    texts += 1;
    measure(element, text, style => style.color);
  }
  for (const element of document.querySelectorAll('input, textarea')) {
    if (shown(element) && !element.value && element.placeholder) {
      const of = getComputedStyle(element, '::placeholder');
      measure(element, element.placeholder, () => of.color);
    }
  }
  const marks = '.annotation-text:not(.st-key-evaluate_cells *)';  // a cell of the matrix has its own ground
  const axes = '.xtick text, .ytick text, .x2tick text, .y2tick text, .xtitle, .ytitle, .x2title, .y2title';
  const inked = `${axes}, .legendtext, .textpoint text, .bartext-outside, ${marks}`;
  for (const element of document.querySelectorAll(inked)) {
    if (shown(element)) measure(element, element.textContent, style => style.fill);
  }
  return [texts, [...faint].sort()];
}
"""


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("place", PLACES)
def test_every_text_has_enough_contrast(page: Page, unchanged_server: Server, place: str, theme: str) -> None:
    page.goto(f"{unchanged_server.url}/_stcore/health")
    key = f"stActiveTheme-/{PLACES[place].partition('?')[0]}-v2"
    page.evaluate(f"localStorage.setItem('{key}', '\"{theme.title()}\"'); localStorage.setItem('cxr-{key}', 'x')")
    page.goto(f"{unchanged_server.url}/{PLACES[place]}")
    settled(page)
    if place.startswith("predict, read"):
        page.get_by_role("button", name=re.compile("^Synthetic: Bacterial")).click()
        page.locator(".viewer[data-shows]").wait_for()
        settled(page)
    if place.endswith("corrections"):
        page.get_by_role("button", name="Correct the image").click()  # a popover lies beside the page, not in it
        page.get_by_test_id("stPopoverBody").wait_for()
    if place.startswith("evaluate") and place != "evaluate, slices":
        page.locator(".js-plotly-plot .main-svg").first.wait_for()
    for _ in range(10):
        texts, faint = page.evaluate(FAINT, [LEAST, LEAST_LARGE])
        if not faint:
            break
        page.wait_for_timeout(500)  # what is new on a page fades in
    assert texts > 5
    assert page.get_by_text(DISCLAIMER).count() > 0
    assert page.locator('[data-testid="stAlertContentError"]').count() == 0
    assert not faint, "\n".join(faint)
    findings = serious_findings(page)
    assert not findings, "\n".join(findings)
