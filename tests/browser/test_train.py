"""Training from the page: from the form to the default model, with the browser closed on the way."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from cxr.ui.components.promotion import CONFIRM
from cxr.ui.train.ended_runs import IS_DEFAULT
from cxr.ui.train.live_run import STOPPING
from cxr.ui.train.runs import NEW
from cxr.ui.train.training_data import NOT_CHOSEN
from tests.support.browser import settled
from tests.support.server import Server
from tests.support.train_form import LONG_MS, choose_tiny_network, fill

ESTIMATE = re.compile(r"^Estimated time: .*memory")
START = ".st-key-train_start button"
STOP, RESUME, DELETE, DELETE_CONFIRMED = "Stop training", "Resume", "Delete", "Delete this job"


@pytest.fixture
def form(page: Page, server: Server) -> Page:
    """The page Train with a tiny network set in the form, and a synthetic dataset chosen."""
    page.goto(f"{server.url}/train?films=phantoms")
    settled(page)
    page.get_by_text(NEW).click()
    expect(page.get_by_text(ESTIMATE)).to_be_visible()  # the last line of the page
    settled(page)
    choose_tiny_network(page)
    return page


def start(tab: Page, epochs: int, name: str) -> None:
    fill(tab, "training.epochs", str(epochs))
    tab.get_by_label("Model name").fill(name)
    tab.get_by_label("Model name").press("Enter")
    expect(tab.get_by_text("Epochs 10 →")).to_be_visible()
    expect(tab.get_by_text(ESTIMATE)).to_be_visible()
    tab.locator(START).click()


def button(tab: Page, name: str) -> Locator:
    return tab.get_by_role("button", name=name, exact=True)


def stop(tab: Page) -> None:
    settled(tab)
    button(tab, STOP).click()
    expect(tab.get_by_text(STOPPING).or_(button(tab, RESUME)).first).to_be_visible(timeout=LONG_MS)


def test_datasets_are_chosen_on_the_page(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/train")
    settled(page)
    page.get_by_text(NEW).click()
    expect(page.get_by_text(NOT_CHOSEN).first).to_be_visible()
    page.get_by_role("combobox", name="Datasets").click()
    page.get_by_role("option", name="phantoms").click()
    page.keyboard.press("Escape")
    expect(page.get_by_text(ESTIMATE)).to_be_visible()


def test_a_model_is_trained_while_the_browser_comes_and_goes_and_becomes_the_default(form: Page) -> None:
    start(form, 3, "from-the-page")
    expect(button(form, STOP)).to_be_visible(timeout=LONG_MS)
    form.reload()  # who comes back finds the run
    promote = button(form, "Set as default")
    expect(promote).to_be_visible(timeout=LONG_MS)
    expect(form.locator("#cxr-announcements")).to_have_text(re.compile("Training of from-the-page: finished"))
    expect(form.get_by_text(re.compile("McNemar"))).to_be_visible()
    expect(form.locator(".js-plotly-plot").first).to_be_visible()
    promote.click()
    button(form, CONFIRM).click()
    expect(form.get_by_text(IS_DEFAULT)).to_be_visible()
    settled(form)
    expect(form.get_by_role("link", name="Model card")).to_have_count(1)
    form.get_by_role("link", name="Model card").click()
    expect(form.get_by_role("combobox", name="Model")).to_have_value("from-the-page (default)")


def test_a_run_is_stopped_resumed_and_deleted(form: Page) -> None:
    start(form, 400, "stopped")
    expect(form.get_by_text(re.compile(r"Epoch \d+ of 400"))).to_be_visible(timeout=LONG_MS)
    expect(form.locator(".js-plotly-plot").first).to_be_visible(timeout=LONG_MS)
    stop(form)
    button(form, RESUME).click(timeout=LONG_MS)
    expect(form.get_by_text(re.compile(r"Epoch \d+ of 400"))).to_be_visible(timeout=LONG_MS)
    stop(form)
    button(form, DELETE).click(timeout=LONG_MS)
    button(form, DELETE_CONFIRMED).click()
    expect(button(form, RESUME)).to_have_count(0)
