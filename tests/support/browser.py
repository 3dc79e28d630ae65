"""Waiting for a page in a browser."""

from __future__ import annotations

import contextlib
import time

from playwright.sync_api import Error, Page

WAIT_MS = 60_000  # for a page on a busy machine, where the first X-ray imports TensorFlow


def settled(tab: Page) -> None:
    """Wait until the page's script has run to its end, and no other run followed."""
    quiet = 0
    deadline = time.monotonic() + WAIT_MS / 1000
    while quiet < 3 and time.monotonic() < deadline:
        state = ""
        with contextlib.suppress(Error):  # the page was just then left for another one
            state = tab.evaluate("document.querySelector('[data-testid=stApp]')?.dataset.testScriptState")
        quiet = quiet + 1 if state == "notRunning" else 0
        tab.wait_for_timeout(100)
    assert quiet == 3, "the page's script did not come to its end"


def wait_until(tab: Page, condition: str, arg: object = None, poll_ms: int = 50, limit_ms: int = WAIT_MS) -> None:
    """Wait until this expression holds in the page; Playwright's own way evaluates texts, which the pages forbid."""
    deadline = time.monotonic() + limit_ms / 1000
    while True:
        with contextlib.suppress(Error):  # the page was just then left for another one
            if tab.evaluate(condition, arg):
                return
        assert time.monotonic() < deadline, f"never true: {condition}"
        tab.wait_for_timeout(poll_ms)
