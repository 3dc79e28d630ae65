"""Every page has its shell, through the menu and by its own address."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from cxr import DISCLAIMER
from cxr.ui.server.client_settings import SETTLED_MS
from tests.support.browser import settled, wait_until
from tests.support.server import Server, serving

PAGES = ("", "reading_practice", "evaluate", "train", "models", "data", "jobs")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_opens_by_its_own_address_without_models_and_datasets(
    page: Page, empty_server: Server, path: str
) -> None:  # with them: test_contrast.py
    page.goto(f"{empty_server.url}/{path}")
    settled(page)
    page.get_by_text(DISCLAIMER).first.wait_for()
    assert page.locator('[data-testid="stAlertContentError"]').count() == 0


@pytest.fixture(scope="module")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("empty") / "home") as running:
        yield running


def test_the_first_visit_to_a_server_may_be_to_any_page(page: Page, tmp_path: Path) -> None:
    with serving(tmp_path / "home") as fresh:
        page.goto(f"{fresh.url}/models?model=x")
        page.get_by_role("heading", name="Models", level=1).wait_for()
        page.get_by_test_id("stTopNav").get_by_role("link", name="Predict").wait_for()
        settled(page)
        assert page.url.endswith("/models?model=x")
        assert page.locator('[data-testid="stSidebarNav"]').count() == 0
        page.goto("about:blank")  # before the server goes, or the page would report errors


def test_at_200_percent_the_list_of_pages_is_opened_by_keyboard_and_has_the_focus(
    page: Page, unchanged_server: Server
) -> None:
    page.set_viewport_size({"width": 640, "height": 450})
    page.goto(f"{unchanged_server.url}/jobs")
    settled(page)
    page.get_by_role("button", name="Expand sidebar").press("Enter")
    wait_until(page, "document.activeElement.closest('[data-testid=stSidebarNav]') !== null")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Predict", level=1).wait_for()


def test_the_code_of_charts_is_loaded_before_the_first_chart(page: Page, unchanged_server: Server) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.clock.install()
    page.goto(unchanged_server.url)
    settled(page)
    assert not any("/PlotlyChart." in url for url in requested)
    page.clock.run_for(SETTLED_MS)
    with page.expect_request("**/DataFrame.*.js"):  # the file after that of charts
        page.clock.run_for(1000)
    assert any("/PlotlyChart." in url for url in requested)


def test_the_first_visit_is_dark_and_a_chosen_light_theme_stays(browser: Browser, unchanged_server: Server) -> None:
    context = browser.new_context(color_scheme="light")
    tab = context.new_page()

    def background() -> str:
        return str(tab.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"))

    tab.goto(unchanged_server.url)
    wait_until(
        tab,
        "() => { const app = document.querySelector('[data-testid=stApp]');"
        " return app && getComputedStyle(app).backgroundColor === 'rgb(15, 18, 20)' }",
    )
    tab.evaluate("localStorage.setItem('stActiveTheme-/-v2', '\"Light\"')")
    tab.reload()
    settled(tab)
    assert background() == "rgb(251, 251, 250)"
    tab.goto(f"{unchanged_server.url}/models")
    settled(tab)
    assert background() == "rgb(251, 251, 250)"
    context.close()
