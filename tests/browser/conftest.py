"""A real browser before a real server with a home of its own. No page may leave an error in its console."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright

from cxr.core.app_log import UNEXPECTED
from cxr.films.synthetic.phantom import draw_phantom_set
from tests.support.browser import WAIT_MS
from tests.support.outgoing_connections import hosts_in, recorded_in
from tests.support.server import Server, serving
from tests.support.training import carry_out, tiny_recipe

AT_HOME = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:http://127.0.0.1:", "about:")


def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None and os.environ.get("CI"):
        pytest.fail("No Chromium was found, and continuous integration must not go without one.")
    if found is None:
        pytest.skip("no Chromium was found; install Debian's package chromium, or name one in CHROMIUM")
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    path = chromium()
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=path, args=[*flags, "--disable-sync", "--no-first-run"])
        yield chrome
        chrome.close()


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a small model on its shelf, trained on drawn films, and those films in its data folder."""
    home = tmp_path_factory.mktemp("trained") / "home"
    draw_phantom_set(home / "data" / "phantoms", 160, size_px=64)
    (home / "data" / "datasets.json").write_text(f'{{"phantoms": "{home / "data" / "phantoms"}"}}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXR_HOME", str(home))
        carry_out(tiny_recipe(training={"epochs": 6}), [home / "data" / "phantoms"])
    return home


@pytest.fixture(scope="module")
def server(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of this module alone, over a copy of the trained home."""
    home = tmp_path_factory.mktemp("server") / "home"
    shutil.copytree(trained_home, home)
    data = home / "data" / "phantoms"
    (home / "data" / "datasets.json").write_text(f'{{"phantoms": "{data}"}}')
    with serving(home, **recorded_in(home)) as running:
        yield running
    assert hosts_in(home) == []


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of a visitor of its own: whatever it shows, its console has no error, and it asked this machine alone."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    tab = context.new_page()
    tab.set_default_timeout(WAIT_MS)
    errors: list[str] = []
    elsewhere: list[str] = []

    def heard(said: ConsoleMessage) -> None:
        # Streamlit looks for its server below the page's own address first, and the browser reports the miss.
        if said.type == "error" and "/_stcore/" not in said.location["url"]:
            errors.append(f"{said.text} {said.location['url']}")

    tab.on("console", heard)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda asked: None if asked.url.startswith(AT_HOME) else elsewhere.append(asked.url))
    yield tab
    red = _red(tab)
    context.close()
    assert errors == []
    assert red == []
    assert elsewhere == []


def _red(tab: Page) -> list[str]:
    """Errors on the page, once it goes on to no other."""
    places = (tab.locator('[data-testid="stException"]'), tab.get_by_text(UNEXPECTED))
    for _ in range(5):
        with contextlib.suppress(Error):  # it was just then left for another page
            return [text for place in places for text in place.all_inner_texts()]
        tab.wait_for_load_state()
    return ["The page never comes to rest."]
