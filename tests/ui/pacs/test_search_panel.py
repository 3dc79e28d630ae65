"""The search in the PACS, without one: what was found lies in the session."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cxr.exchange.pacs.search import PacsFilm, SearchTerms
from cxr.ui.pacs.search_panel import FOUND

pytest.importorskip("dicomweb_client", reason="dicomweb-client is not installed (requirements-dicom.txt)")


def panel() -> None:
    """The panel alone."""
    from cxr.inference.session import ReadingSession
    from cxr.ui.pacs.search_panel import show_pacs_search

    show_pacs_search(ReadingSession())


def found(study: int) -> list[PacsFilm]:
    """Three images of a study, which look like those of any other."""
    facts = ("2026-01-02", "12:00", "DX", "CHEST", "")
    return [PacsFilm(f"1.2.{study}", "1.2.3", f"1.2.{study}.{number}", *facts, str(number), "") for number in range(3)]


def test_what_is_picked_in_one_search_is_not_picked_in_the_next(home: Path) -> None:
    home.mkdir(exist_ok=True)
    (home / "pacs.toml").write_text('[dicomweb]\nurl = "https://pacs.example"\nname = "Archive"\n')
    tables = []
    for study in (1, 1, 2):
        app = AppTest.from_function(panel, default_timeout=60)
        app.session_state[FOUND] = (SearchTerms(), found(study), None)
        app.run()
        assert not app.exception
        tables.append(app.dataframe[0].proto.id)  # by which the browser keeps what is picked
    assert tables[0] == tables[1]
    assert tables[1] != tables[2]
