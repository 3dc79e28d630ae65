"""Training from the page: from the form to a model in use, with the browser closed on the way."""

import re
from contextlib import suppress

import pytest
from playwright.sync_api import TimeoutError, expect

from tests.support.browser import settled

LONG_MS = 120_000  # a training starts a process that imports TensorFlow


@pytest.fixture
def form(page, server):
    """The page Train with a tiny network set in the form, and the drawn films chosen."""
    page.goto(f"{server.url}/train")
    settled(page)
    page.get_by_text("New training").click()
    expect(page.get_by_text("Choose the films to train with.")).to_be_visible()
    page.get_by_role("combobox", name="Datasets").click()
    page.get_by_role("option", name="phantoms").click()
    page.keyboard.press("Escape")
    expect(page.get_by_text(re.compile("On CPU .* of memory"))).to_be_visible()  # the last line of the page
    settled(page)
    page.get_by_text("Trunk", exact=True).click()
    choose(page, "Backbone", "tiny")
    choose(page, "Weights", "none")
    fill(page, "Film size, px", "32")
    fill(page, "Views", "0")
    choose(page, "Trained part", "all")
    return page


def choose(tab, label, option):
    for _ in range(3):  # a list closes when the page moves below it, before the click or under it
        tab.get_by_role("combobox", name=label).click()
        with suppress(TimeoutError, AssertionError):
            tab.get_by_role("option", name=option, exact=True).click(timeout=5_000)
            expect(tab.get_by_text(f"{label} (changed)").first).to_be_attached(timeout=10_000)
            break
        tab.keyboard.press("Escape")
    marked(tab, label)


def fill(tab, label, value):
    box = tab.get_by_label(re.compile(f"^{re.escape(label)}")).first
    box.fill(value)
    box.press("Enter")
    marked(tab, label)


def marked(tab, label):
    """The page has taken the value: it marks those that are not the recipe's."""
    expect(tab.get_by_text(f"{label} (changed)").first).to_be_attached()
    settled(tab)


def start(tab, epochs, name):
    fill(tab, "Epochs", str(epochs))
    tab.get_by_label("The model's name").fill(name)
    tab.get_by_label("The model's name").press("Enter")
    expect(tab.get_by_text("Epochs 10 →")).to_be_visible()
    expect(tab.get_by_text(re.compile("On CPU .* of memory"))).to_be_visible()
    tab.get_by_role("button", name="Start training").click()


def stop(tab):
    settled(tab)
    tab.get_by_role("button", name="Stop this training").click()
    heard = tab.get_by_text("It stops after this step").or_(tab.get_by_role("button", name="Resume"))
    expect(heard.first).to_be_visible(timeout=LONG_MS)


def test_a_model_is_trained_while_the_browser_comes_and_goes_and_is_put_into_use(form):
    start(form, 3, "from-the-page")
    expect(form.get_by_role("button", name="Stop this training")).to_be_visible(timeout=LONG_MS)
    form.reload()  # who comes back finds the run
    expect(form.get_by_text(re.compile(r"Finished after 3 epochs"))).to_be_visible(timeout=LONG_MS)
    expect(form.get_by_text("The model 'from-the-page' beside 'tiny', which is in use")).to_be_visible()
    expect(form.get_by_text(re.compile("that neither was trained on.*McNemar"))).to_be_visible()
    expect(form.locator(".js-plotly-plot").first).to_be_visible()
    form.get_by_role("button", name="Put it into use").click()
    expect(form.get_by_text("It is in use.")).to_be_visible()
    settled(form)
    expect(form.get_by_role("link", name="Its card")).to_have_count(1)
    form.get_by_role("link", name="Its card").click()
    expect(form.get_by_role("combobox", name="Model")).to_have_value("from-the-page (in use)")


def test_a_run_is_stopped_resumed_and_deleted(form):
    start(form, 400, "stopped")
    expect(form.get_by_text(re.compile(r"Epoch \d+ of 400"))).to_be_visible(timeout=LONG_MS)
    expect(form.locator(".js-plotly-plot").first).to_be_visible(timeout=LONG_MS)
    stop(form)
    form.get_by_role("button", name="Resume").click(timeout=LONG_MS)
    expect(form.get_by_text(re.compile(r"Epoch \d+ of 400"))).to_be_visible(timeout=LONG_MS)
    stop(form)
    form.get_by_role("button", name="Delete").click(timeout=LONG_MS)
    form.get_by_role("button", name="Delete this run for good").click()
    expect(form.get_by_role("button", name="Resume")).to_have_count(0)
