"""Every page without a browser: alone, as by a direct hit on its address, and through the entry."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cxr import DISCLAIMER

PROJECT = Path(__file__).parents[2]
PAGES = sorted(path.relative_to(PROJECT).as_posix() for path in (PROJECT / "pages").glob("*.py"))


def shown(app):
    """The page after its run, which raised nothing."""
    app.run(timeout=60)
    assert not app.exception and not app.error
    return app


@pytest.mark.parametrize("page", PAGES)
def test_a_page_alone_says_what_it_is_not(page, home):
    app = shown(AppTest.from_file(str(PROJECT / page)))
    assert any(DISCLAIMER in html.proto.body for html in app.get("html"))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_through_the_entry_says_what_it_is_not(page, home):
    app = shown(AppTest.from_file(str(PROJECT / "streamlit_app.py")))
    app.switch_page(page)
    assert any(DISCLAIMER in html.proto.body for html in shown(app).get("html"))
