"""The ways in: the model and the upload."""

from __future__ import annotations

from html import escape

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cxr.core.errors import CxrError
from cxr.inference.session import ReadingSession, SessionReading, may_succeed_later
from cxr.inference.sources import sources_from_upload
from cxr.presentation.model_limitations import serious_limitations
from cxr.presentation.reading_summary import shortcut_line, shortcut_mark
from cxr.registry.card import Card
from cxr.ui import frame
from cxr.ui.components.choosers import choose_model
from cxr.ui.components.into_view import bring_into_view, request_view
from cxr.ui.plain_text import plain

UPLOAD = "predict_upload"  # the uploader's key, followed by how often it was emptied
PROBLEMS = "predict_problems"
UPLOAD_PLACE = "cxr-upload"  # the key of the container that has the focus again once all is cleared
CAUTION = "Do not rely on this model:"
UPLOAD_LABEL = (
    "Drop chest X-rays: PNG, JPEG, TIFF, WebP, BMP, DICOM, or a ZIP of these, up to 200 MB each. Nothing is stored."
)


def current_session() -> ReadingSession:
    """The X-rays, predictions and responses of this visit."""
    session: ReadingSession = st.session_state.setdefault("predict_session", ReadingSession())
    return session


def show_model_and_upload(session: ReadingSession) -> tuple[Card | None, DeltaGenerator]:
    """The card of the chosen model, and the place below the upload and beside the model, for a heading."""
    upload_place, model_place = st.columns([2.4, 1], vertical_alignment="top" if session.sources else "bottom")
    with model_place:
        card = choose_model("Model", "predict_model", in_address=True)
        if card:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                frame.link("models", "Model card", model=card.name)
                st.markdown(shortcut_mark(card), help=plain(shortcut_line(card)), width="content")
    with upload_place:
        if card and session.sources:
            with st.expander("Add X-rays"):
                _show_upload(session)
        elif card:
            with st.container(key=UPLOAD_PLACE):
                _show_upload(session)
            bring_into_view(UPLOAD_PLACE)
    if card:
        _show_caution(card)
    for problem in st.session_state.pop(PROBLEMS, []):
        st.error(plain(problem))
    return card, upload_place


def clear(session: ReadingSession) -> None:
    """Removes all X-rays of this visit; the page begins with the uploader again."""
    session.clear()
    request_view(UPLOAD_PLACE)


def show_read_again(session: ReadingSession, readings: list[SessionReading], label: str, key: str) -> None:
    """Shows a button that fetches those X-rays of another machine again that could not be read, if there are any."""
    if any(map(may_succeed_later, readings)):
        st.button(label, key=key, on_click=session.read_again, args=(readings,))


def _show_caution(card: Card) -> None:
    """Shows what limits every reading by this model; it stays, whatever is open."""
    items = "".join(f"<li>{escape(limitation.sentence)}</li>" for limitation in serious_limitations(card))
    if items:
        st.html(f'<div class="cxr-caution" role="note">{CAUTION}<ul>{items}</ul></div>')


def _show_upload(session: ReadingSession) -> None:
    """Shows the uploader; files go to the session at once and the uploader is empty again, so no rerun reads twice."""
    emptied = st.session_state.setdefault(UPLOAD, 0)
    key = f"{UPLOAD}_{emptied}"

    def receive() -> None:
        try:
            files = st.session_state[key]
            sources = [
                source for file in files for source in sources_from_upload(file.file_id, file.name, file.getvalue())
            ]
            session.add(sources, sum(file.size for file in files))
        except CxrError as error:
            st.session_state[PROBLEMS] = [str(error)]
        st.session_state[UPLOAD] = emptied + 1

    st.file_uploader(UPLOAD_LABEL, accept_multiple_files=True, key=key, on_change=receive)
