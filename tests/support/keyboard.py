"""A walk over a page with the Tab key: where the focus is seen, where it is not, and what it never reaches."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

MOST_STOPS = 250
LONGEST_STAY = 40  # stops within one table, whose cells take the Tab key too
# Transitions would hide for a moment how an element looks with the focus, and without it.
START = """() => {
  const still = new CSSStyleSheet(), begin = document.createElement('span');
  still.replaceSync('* { transition: none !important; animation: none !important; }');
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, still];
  begin.tabIndex = -1;
  document.body.prepend(begin);
  begin.focus();
  begin.remove();
  const inside = (one) => [one, ...(one.shadowRoot ? all(one.shadowRoot) : [])];
  const all = (root) => [...root.querySelectorAll('*')].flatMap(inside);
  window.cxrWalk = { stops: new Map(), last: null, there: new Set(all(document)) };
}"""
# The element with the focus: its name, what is wrong with it, and whether it was there before. What it looks like is
# compared with what it looks like once the focus has left it; inside a field with several controls nothing changes.
# A table is one canvas, which draws the cell with the focus; the cells of its accessibility tree have no looks,
# and what scrolls it is marked as it is.
STOP = """() => {
  const walk = window.cxrWalk, LOOK = ['outline', 'boxShadow', 'borderColor', 'backgroundColor', 'opacity', 'color'];
  const parents = (element) => {
    const found = [];
    for (let at = element; at && found.length < 10; at = at.parentElement ?? at.getRootNode().host) found.push(at);
    return found;
  };
  const near = (element) => [...parents(element), ...(element.labels?.[0]?.children ?? [])];
  const styles = (element) => LOOK.map((name) => getComputedStyle(element)[name]).join();
  const look = (element) => near(element).map(styles).join(';');
  let focused = document.activeElement;
  while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
  focused = focused?.closest('canvas') ?? focused;
  const problems = [], { last } = walk;
  const inOneTable = last?.element.matches('canvas')
    && last.element.closest('[data-testid=stDataFrame]')?.contains(focused);
  if (last?.element.isConnected && last.element !== focused && look(last.element) === last.look
      && !last.element.matches('[role=combobox]') && !inOneTable) {
    problems.push(`the focus is not to be seen: ${last.name}`);
  }
  walk.last = null;
  if (!focused || focused === document.body) return { name: null, problems };
  const { innerText, title, value, tagName } = focused;
  const name = (focused.getAttribute('aria-label') || innerText || title || value || tagName).trim().slice(0, 60);
  const { top, bottom, left, right, width } = focused.getBoundingClientRect();
  const [header, main] = ['stHeader', 'stMain'].map((id) => document.querySelector(`[data-testid=${id}]`));
  const isBelow = header && main?.contains(focused.getRootNode().host ?? focused);
  const edge = isBelow ? header.getBoundingClientRect().bottom : 0;
  const isChoice = focused.matches('[type=radio], [type=checkbox], [type=range], [type=file]');  // its label is seen
  if (!isChoice && !focused.checkVisibility({ opacityProperty: true, visibilityProperty: true })) {
    problems.push(`not to be seen: ${name}`);
  }
  if (width > 1 && (bottom <= edge || top >= innerHeight || right <= 0 || left >= innerWidth)) {
    problems.push(`outside the screen: ${name}`);
  }
  walk.last = { element: focused, name, look: look(focused) };
  const times = (walk.stops.get(focused) ?? 0) + 1;
  if (times > 1 && focused === [...walk.stops.keys()][0]) return { name: null, problems };
  walk.stops.set(focused, times);
  return { name, times, problems };
}"""
# What has a place in the order of the Tab key, and what looks as if it could be clicked. The choices of a group are
# one stop, and so is a toolbar; a field's own small buttons do what its arrow keys do.
UNREACHED = """() => {
  const EXEMPT = 'svg, canvas, label, :disabled, [aria-disabled=true], option';
  const STOPS = 'a[href], button, input, select, textarea, summary, [tabindex]';
  const { stops, there } = window.cxrWalk, missed = [];
  const shown = (element) => element.checkVisibility({ visibilityProperty: true })
    && element.getBoundingClientRect().width > 1;
  const inGroup = (element) => element.closest('[role=radiogroup], [role=toolbar], [role=grid], fieldset');
  const reached = [...stops.keys()];
  const visit = (root) => {
    for (const element of root.querySelectorAll('*')) {
      if (element.shadowRoot) visit(element.shadowRoot);
      if (!there.has(element) || !shown(element) || element.closest(EXEMPT)) continue;
      const group = inGroup(element);
      if (stops.has(element) || (group && reached.some((one) => group.contains(one)))) continue;
      if (element.matches(STOPS)) {
        if (element.tabIndex >= 0) missed.push(element);
      } else if (getComputedStyle(element).cursor === 'pointer'
          && !element.closest(STOPS) && !element.querySelector(STOPS)
          && getComputedStyle(element.parentElement ?? element).cursor !== 'pointer') {
        missed.push(element);
      }
    }
  };
  visit(document);
  return missed.map((one) => `never reached: ${one.outerHTML.slice(0, 120)}`);
}"""


def keyboard_problems(tab: Page) -> list[str]:
    """Where the Tab key finds no way: stops that are not to be seen, traps, and controls that it never reaches."""
    tab.evaluate(START)
    problems: list[str] = []
    for _ in range(MOST_STOPS):
        tab.keyboard.press("Tab")
        stop: dict[str, Any] = tab.evaluate(STOP)
        problems += stop["problems"]
        if stop["name"] is None:  # the end of the page, or its beginning again
            return problems + tab.evaluate(UNREACHED)
        if stop["times"] > LONGEST_STAY:
            return [*problems, f"no way out: {stop['name']}"]
    return [*problems, f"more than {MOST_STOPS} stops"]
