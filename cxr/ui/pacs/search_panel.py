"""X-rays from the PACS: search, pick, read. Identity is shown to whom the role allows it, and held only while shown."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import streamlit as st

from cxr.core.number_format import counted
from cxr.ui import frame
from cxr.ui.pacs.configured import configured_server, show_configuration_problem
from cxr.ui.plain_text import plain

if TYPE_CHECKING:
    import pandas as pd

    from cxr.exchange.pacs.client import SearchAnswer
    from cxr.exchange.pacs.configuration import DicomWebSettings
    from cxr.exchange.pacs.search import PacsFilm, SearchTerms
    from cxr.inference.session import ReadingSession

FOUND = frame.page_only_key("Predict", "pacs_found")  # terms, images so far, where the next page begins
DAYS = 7
ANY = "any"
MODALITIES = {"": "CR and DX", "CR": "CR", "DX": "DX", ANY: "Any image"}
NOTHING_FOUND = "The PACS has no images that match."
TABLE_PX = 300


def show_pacs_search(session: ReadingSession) -> None:
    """Shows the search in the configured PACS; nothing where none is configured."""
    show_configuration_problem()
    settings = configured_server()
    if settings is None:
        return
    with st.expander(f"From {plain(settings.name)}", expanded=FOUND in st.session_state):
        _show_form(settings)
        terms, films, next_offset = st.session_state.get(FOUND) or (None, [], None)
        if terms is None:
            return
        if not films and next_offset is None:
            st.info(NOTHING_FOUND)
            return
        _show_found(session, settings, films, next_offset is not None)


def _show_form(settings: DicomWebSettings) -> None:
    """Shows the search terms, and searches when they are sent."""
    today = date.today()
    with st.form("predict_pacs_search", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        first = st.date_input("From", today - timedelta(days=DAYS), key="predict_pacs_first", width=150)
        last = st.date_input("To", today, key="predict_pacs_last", width=150)
        modality = st.selectbox(
            "Modality", list(MODALITIES), format_func=MODALITIES.__getitem__, key="predict_pacs_modality", width=120
        )
        body_part = st.text_input(
            "Body part", key="predict_pacs_body", max_chars=16, width=150, placeholder="CHEST, or empty"
        )
        accession = st.text_input("Accession number", key="predict_pacs_accession", max_chars=64, width=180)
        searched = st.form_submit_button("Search", key="predict_pacs_submit")
    if searched:
        from cxr.exchange.pacs.client import PacsClient
        from cxr.exchange.pacs.search import SearchTerms

        st.session_state.pop(FOUND, None)
        chosen = modality if modality in ("CR", "DX") else ""
        terms = SearchTerms(first, last, chosen, body_part, accession, radiographs_only=not modality)
        with frame.errors_shown(), st.spinner(f"Searching {plain(settings.name)}"):
            _remember(terms, [], PacsClient.configured().search(terms))


def _show_found(session: ReadingSession, settings: DicomWebSettings, films: list[PacsFilm], has_more: bool) -> None:
    """Shows the images, of which those that are picked are read."""
    table = _table(films)
    key = f"predict_pacs_table_{hash(tuple(film.sop_uid for film in films))}"  # in another list, a row is another image
    st.dataframe(
        table,
        key=key,
        on_select="rerun",
        selection_mode="multi-row",
        hide_index=True,
        height=min(TABLE_PX, 38 + 35 * len(films)),
        alt=f"{counted(len(films), 'image')} in the PACS; select rows to read them.",
    )
    picked = [films[row] for row in st.session_state[key].selection.rows if row < len(films)]
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            f"Read {counted(len(picked), 'X-ray')}", key="predict_pacs_read", disabled=not picked, type="primary"
        ):
            _read(session, settings, picked)
        if st.button("More", key="predict_pacs_more", disabled=not has_more):
            _search_on()
        if st.button("Close", key="predict_pacs_close"):
            del st.session_state[FOUND]
            st.rerun()
        st.caption(f"{counted(len(films), 'image')}{', more in the PACS' if has_more else ''}.")


def _read(session: ReadingSession, settings: DicomWebSettings, picked: list[PacsFilm]) -> None:
    from cxr.exchange.pacs.sources import pacs_sources

    with frame.errors_shown():
        session.add(pacs_sources(settings, picked))
        del st.session_state[FOUND]  # whose X-rays they are is shown no longer than it is needed
        st.rerun()


def _search_on() -> None:
    from cxr.exchange.pacs.client import PacsClient

    terms, films, next_offset = st.session_state[FOUND]
    with frame.errors_shown():
        _remember(terms, films, PacsClient.configured().search(terms, offset=next_offset))
        st.rerun()


def _remember(terms: SearchTerms, films: list[PacsFilm], answer: SearchAnswer) -> None:
    """Hold what was found while it is shown."""
    next_offset = answer.next_offset if answer.has_more else None
    st.session_state[FOUND] = (terms, [*films, *answer.films], next_offset)


def _table(films: list[PacsFilm]) -> pd.DataFrame:
    """A row for each image, with the patient where the person may know."""
    import pandas as pd  # late: the first page needs none of it

    rows = []
    for film in films:
        patient = film.patient
        identity = {}
        if patient is not None:
            identity = {
                "Patient": patient.name,
                "Patient ID": patient.number,
                "Born": patient.birth_date,
                "Sex": patient.sex,
                "Accession": patient.accession,
            }
        rows.append(
            {
                **identity,
                "Date": film.study_date,
                "Time": film.study_time,
                "Modality": film.modality,
                "Body part": film.body_part,
                "Description": film.description,
                "No.": film.instance_number,
                "Size": film.size_px,
            }
        )
    table = pd.DataFrame(rows)
    if not rows:
        return table
    return table.loc[:, [name for name in table if table[name].astype(bool).any()]]
