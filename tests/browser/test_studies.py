"""A study from the page: six trials on drawn films, watched, and its best model set as default."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from cxr.ui.components.promotion import CONFIRM
from cxr.ui.train.ended_runs import IS_DEFAULT
from cxr.ui.train.runs import NEW_STUDY
from cxr.ui.train.studies.new_study import OTHER_VALUES
from tests.support.browser import settled
from tests.support.server import Server
from tests.support.train_form import LONG_MS, choose_tiny_network, fill

pytest.importorskip("optuna", reason="Optuna is not installed (requirements-studies.txt)")


def test_a_study_of_six_trials_is_started_watched_and_its_best_model_becomes_the_default(
    page: Page, server: Server
) -> None:
    page.goto(f"{server.url}/train?films=phantoms")
    settled(page)
    page.get_by_text(NEW_STUDY, exact=True).click()
    page.get_by_text(OTHER_VALUES).click()
    expect(page.locator(".st-key-train_form_trunk")).to_be_visible()
    settled(page)
    choose_tiny_network(page)
    fill(page, "training.epochs", "3")
    trials = page.get_by_label("Trials", exact=True)
    trials.fill("6")
    trials.press("Enter")
    settled(page)
    page.locator(".st-key-study_start button").click()
    expect(page.get_by_role("button", name="Stop study")).to_be_visible(timeout=LONG_MS)
    page.reload()  # who comes back finds the study
    expect(page.get_by_text(re.compile(r"[1-6] of 6 trials ended"))).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text(re.compile(r"^Finished 6 trials"))).to_be_visible(timeout=2 * LONG_MS)
    settled(page)
    expect(page.locator("[class*=st-key-study_history] .js-plotly-plot")).to_be_visible()
    expect(page.locator("[class*=st-key-study_parallel] .js-plotly-plot .scatterlayer path").first).to_be_attached()
    page.get_by_role("button", name="Set as default").first.click()
    page.get_by_role("button", name=CONFIRM).click()
    expect(page.get_by_text(IS_DEFAULT).first).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Chosen among 6 trials")).first).to_be_visible()
