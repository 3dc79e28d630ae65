"""Every page stands in its frame, by the menu and by its own address."""

import pytest

from cxr import DISCLAIMER
from tests.support.browser import settled
from tests.support.server import serving

PAGES = ("", "evaluate", "train", "models", "data")


@pytest.mark.parametrize("which", ["server", "empty_server"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_opens_by_its_own_address_also_where_there_is_nothing_yet(page, request, which, path):
    page.goto(f"{request.getfixturevalue(which).url}/{path}")
    settled(page)
    page.get_by_text(DISCLAIMER).first.wait_for()
    assert page.locator('[data-testid="stAlertContentError"]').count() == 0


@pytest.fixture(scope="module")
def empty_server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("empty") / "home") as running:
        yield running


def test_the_very_first_visit_to_a_server_may_be_to_any_page(page, tmp_path):
    with serving(tmp_path / "home") as fresh:
        page.goto(f"{fresh.url}/models?model=x")
        page.get_by_role("heading", name="Models", level=1).wait_for()
        page.get_by_test_id("stTopNav").get_by_role("link", name="Predict").wait_for()
        settled(page)
        assert page.url.endswith("/models?model=x")
        assert page.locator('[data-testid="stSidebarNav"]').count() == 0
        page.goto("about:blank")  # before the server goes, which the page would complain of


def test_the_first_look_is_dark_and_a_chosen_light_one_stays(browser, server):
    context = browser.new_context(color_scheme="light")
    tab = context.new_page()

    def ground():
        return tab.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")

    tab.goto(server.url)
    tab.wait_for_function(
        "() => { const app = document.querySelector('[data-testid=stApp]');"
        " return app && getComputedStyle(app).backgroundColor === 'rgb(15, 18, 20)' }"
    )
    tab.evaluate("localStorage.setItem('stActiveTheme-/-v2', '\"Light\"')")
    tab.reload()
    settled(tab)
    assert ground() == "rgb(251, 251, 250)"
    tab.goto(f"{server.url}/models")
    settled(tab)
    assert ground() == "rgb(251, 251, 250)"
    context.close()
