"""A real browser before a real server with a home of its own. No page may leave an error in its console."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

from cxr.core.app_log import UNEXPECTED
from cxr.films.synthetic.phantom import draw_phantom_set
from tests.support.browser import WAIT_MS
from tests.support.made_once import made_once
from tests.support.outgoing_connections import hosts_in, recorded_in
from tests.support.server import PROJECT, Server, serving
from tests.support.training import carry_out, tiny_recipe

SCREEN: ViewportSize = {"width": 1280, "height": 900}
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

    def train(home: Path) -> None:
        data = home / "data" / "phantoms"
        draw_phantom_set(data, 160, size_px=64)
        (home / "data" / "datasets.json").write_text(f'{{"phantoms": "{data}"}}')
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CXR_HOME", str(home))
            carry_out(tiny_recipe(training={"epochs": 6}), [data])

    return made_once(tmp_path_factory, "browser-home", train)


@pytest.fixture(scope="module")
def server(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of this module alone, over a copy of the trained home."""
    with _serving_copy(trained_home, tmp_path_factory.mktemp("server") / "home") as running:
        yield running


@pytest.fixture(scope="session")
def unchanged_server(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Such a server for the modules that change nothing in its home."""
    with _serving_copy(trained_home, tmp_path_factory.mktemp("unchanged") / "home") as running:
        yield running


@contextlib.contextmanager
def _serving_copy(trained_home: Path, home: Path) -> Iterator[Server]:
    shutil.copytree(trained_home, home)
    data = home / "data" / "phantoms"
    (home / "data" / "datasets.json").write_text(f'{{"phantoms": "{data}"}}')
    with serving(home, script=PROJECT / "streamlit_app.py", **recorded_in(home)) as running:
        yield running
    assert hosts_in(home) == []


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One context for all tests: a tab that stays compiles the pages' scripts once, which is half of a page's work."""
    context = browser.new_context(viewport=SCREEN, color_scheme="dark", reduced_motion="reduce")
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A new visitor's tab: whatever it shows, its console has no error, and it asked this machine alone."""
    tab = context.pages[0] if context.pages else context.new_page()
    tab.set_viewport_size(SCREEN)
    errors: list[str] = []
    elsewhere: list[str] = []

    def heard(said: ConsoleMessage) -> None:
        if said.type == "error":
            errors.append(f"{said.text} {said.location['url']}")

    def failed(error: Error) -> None:
        errors.append(str(error))

    def asked(request: Request) -> None:
        if not request.url.startswith(AT_HOME):
            elsewhere.append(request.url)

    tab.on("console", heard)
    tab.on("pageerror", failed)
    tab.on("request", asked)
    yield tab
    red = _red(tab)
    tab.remove_listener("console", heard)
    tab.remove_listener("pageerror", failed)
    tab.remove_listener("request", asked)
    _forget_visitor(context)
    assert errors == []
    assert red == []
    assert elsewhere == []


def _forget_visitor(context: BrowserContext) -> None:
    """Leave one empty tab, and nothing that a page stored; on the server's own site, so that the scripts stay."""
    tab, *others = context.pages
    for other in others:
        other.close()
    try:
        tab.evaluate("localStorage.clear(); sessionStorage.clear()")
        tab.goto(f"{tab.evaluate('location.origin')}/_stcore/health")
    except Error:  # it shows no page of a server that is still there
        tab.close()
    context.clear_cookies()


def _red(tab: Page) -> list[str]:
    """Errors on the page, once it goes on to no other."""
    places = (tab.locator('[data-testid="stException"]'), tab.get_by_text(UNEXPECTED))
    for _ in range(5):
        with contextlib.suppress(Error):  # it was just then left for another page
            return [text for place in places for text in place.all_inner_texts()]
        tab.wait_for_load_state()
    return ["The page never comes to rest."]
