"""The ways in: the model, the upload, and the examples."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cxr.core.errors import CxrError
from cxr.films.film import Film
from cxr.inference.session import ReadingSession
from cxr.inference.sources import FilmSource, example_sources, sources_from_upload
from cxr.presentation.reading_summary import shortcut_line, shortcut_mark
from cxr.registry.card import Card
from cxr.ui import frame
from cxr.ui.components.choosers import choose_model
from cxr.ui.plain_text import plain

EXAMPLE_PX = 150
UPLOAD = "predict_upload"  # the uploader's key, followed by how often it was emptied
PROBLEMS = "predict_problems"
UPLOAD_LABEL = "Drop chest X-rays: PNG, JPEG, TIFF, WebP, BMP, DICOM, or a ZIP of these. Nothing is stored."
EXAMPLES_LABEL = "Or try an example:"
SYNTHETIC_NOTE = "Synthetic image; accuracy on it means nothing."
NOT_TRAINED_ON_SYNTHETIC = "This model was not trained on synthetic images; its accuracy on them means nothing."


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
            _show_upload(session)
    for problem in st.session_state.pop(PROBLEMS, []):
        st.error(plain(problem))
    return card, upload_place


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


def show_examples(session: ReadingSession, card: Card) -> None:
    """Shows the examples, each with a button that reads it."""
    st.markdown(EXAMPLES_LABEL)
    if "phantom" not in card.sources:
        st.caption(NOT_TRAINED_ON_SYNTHETIC)
    with st.container(horizontal=True):
        for source in example_sources():
            with st.container(width=EXAMPLE_PX), frame.errors_shown():
                frame.show_image(_example_thumbnail(source.key, source), EXAMPLE_PX, source.name)
                label = source.name if source.synthetic else f"Local: {source.name}"
                st.button(plain(label), key=f"predict_example_{source.key}", on_click=session.add, args=([source],))


@st.cache_data(show_spinner=False, max_entries=64)
def _example_thumbnail(key: str, _source: FilmSource) -> bytes:
    """The thumbnail of an example; it lies on this machine or is synthetic, so all visitors may share it."""
    if _source.thumbnail:
        return _source.thumbnail.read_bytes()
    return Film.read(_source.read()).jpeg_thumbnail(EXAMPLE_PX, square=True)
