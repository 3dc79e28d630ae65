"""The map of a dataset and the drift watch in a browser: points are encircled and open, weeks become a reference."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta

import numpy as np
from playwright.sync_api import Page

from cxr.drift.departure import Measure
from cxr.drift.reference import MEASURED, DriftReference
from cxr.drift.simulation import FIRST_MONDAY, Shift, drawn
from cxr.drift.store import REFERENCE, write_tally
from cxr.drift.tally import Tally
from cxr.presentation.drift_text import DEPARTED
from cxr.ui.drift.panel import TAKE, TAKEN, TITLE
from tests.support.browser import settled
from tests.support.server import Server

LASSO = ((0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.03))


def test_encircled_points_are_shown_and_one_opens_in_the_viewer(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/data")
    page.get_by_text("1–24 of").wait_for()
    page.get_by_role("radio", name="Map").click()
    settled(page)
    page.get_by_role("combobox", name="Features").click()
    page.get_by_role("option", name="tiny").click()
    settled(page)
    page.get_by_role("button", name="Make map").click()
    plot = page.locator(".st-key-map_chart .nsewdrag").first
    plot.wait_for()
    settled(page)
    page.get_by_role("radio", name="Role in training").click()
    settled(page)
    assert page.locator(".st-key-map_chart .legendtext").filter(has_text="Training").count() == 1
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    corners = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in LASSO]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=8)
    page.mouse.up()
    page.get_by_role("heading", name="Selected: ").wait_for()
    settled(page)
    tile = page.locator('[class*="st-key-data_phantoms_map_page_tile_"]').first
    tile.get_by_role("button").last.click()
    page.get_by_role("dialog").locator("canvas").first.wait_for()


def test_weeks_that_left_the_reference_are_said_and_become_it(page: Page, server: Server) -> None:
    version = json.loads((server.home / "models" / "tiny" / "card.json").read_text())["version"]
    folder = server.home / "drift" / version
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(8):
        year, week, _ = (FIRST_MONDAY + timedelta(weeks=number)).isocalendar()
        write_tally(folder / f"{year}-W{week:02d}.json", Tally.of(drawn(rng, 80, Shift(questioned=0.2)), "drawn"))
    usual = DriftReference(MEASURED, Tally.of(drawn(rng, 250), "drawn"))
    (folder / REFERENCE).write_text(json.dumps(asdict(usual)))
    page.goto(f"{server.url}/models")
    page.get_by_role("heading", name=TITLE).wait_for()
    settled(page)
    assert page.get_by_text(DEPARTED[Measure.INPUT_CHECK]).first.is_visible()
    page.get_by_text("Weeks", exact=True).click()
    page.locator(".st-key-drift_chart .js-plotly-plot").wait_for()
    settled(page)
    page.get_by_role("button", name=TAKE).click()
    page.get_by_text(TAKEN).wait_for()
    settled(page)
    assert not page.get_by_text(DEPARTED[Measure.INPUT_CHECK]).is_visible()
