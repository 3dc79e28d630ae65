"""Filling the form of a recipe's hyperparameters on the page Train, in a browser."""

from __future__ import annotations

import re
from contextlib import suppress

from playwright.sync_api import Page, TimeoutError, expect

from cxr.registry.hyperparameters import hyperparameters
from tests.support.browser import settled

LABELS = {item.key: item.label for item in hyperparameters()}
LONG_MS = 120_000  # a training starts a process that imports TensorFlow


def choose(tab: Page, key: str, option: str) -> None:
    """Choose an option of a hyperparameter."""
    for _ in range(3):  # a list closes when the page moves below it, before the click or under it
        tab.get_by_role("combobox", name=LABELS[key]).click()
        with suppress(TimeoutError, AssertionError):
            tab.get_by_role("option", name=option, exact=True).click(timeout=5_000)
            expect(tab.get_by_text(f"{LABELS[key]} (changed)").first).to_be_attached(timeout=10_000)
            break
        tab.keyboard.press("Escape")
    wait_for_change(tab, key)


def fill(tab: Page, key: str, value: str) -> None:
    """Enter a value of a hyperparameter."""
    box = tab.get_by_label(re.compile(f"^{re.escape(LABELS[key])}")).first
    box.fill(value)
    box.press("Enter")
    wait_for_change(tab, key)


def wait_for_change(tab: Page, key: str) -> None:
    """Wait until the page has taken the value: it marks those that differ from the recipe's."""
    expect(tab.get_by_text(f"{LABELS[key]} (changed)").first).to_be_attached()
    settled(tab)


def choose_tiny_network(tab: Page) -> None:
    """Set a tiny network on small images in the form, from random weights."""
    tab.locator(".st-key-train_form_trunk summary").click()
    choose(tab, "trunk.backbone", "tiny")
    choose(tab, "trunk.weights", "none")
    fill(tab, "input.size_px", "32")
    fill(tab, "training.views", "0")
    choose(tab, "trunk.train", "all")
