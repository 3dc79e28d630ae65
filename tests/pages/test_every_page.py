"""Every page without a browser: alone, as by a direct hit on its address, and through the entry."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cxr import DISCLAIMER

PROJECT = Path(__file__).parents[2]
PAGES = sorted(path.relative_to(PROJECT).as_posix() for path in (PROJECT / "pages").glob("*.py"))


def run(app: AppTest) -> AppTest:
    """The page after its run, which raised nothing."""
    app.run(timeout=60)
    assert not app.exception
    assert not app.error
    return app


def has_disclaimer(app: AppTest) -> bool:
    return any(DISCLAIMER in html.proto.body for html in app.get("html"))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_alone_shows_the_disclaimer(page: str, home: Path) -> None:
    assert has_disclaimer(run(AppTest.from_file(str(PROJECT / page))))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_through_the_entry_shows_the_disclaimer(page: str, home: Path) -> None:
    app = run(AppTest.from_file(str(PROJECT / "streamlit_app.py")))
    app.switch_page(page)
    assert has_disclaimer(run(app))
