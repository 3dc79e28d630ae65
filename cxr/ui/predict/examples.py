"""The examples: real X-rays with their reference, each read with a click, and synthetic ones for trying out."""

from __future__ import annotations

import streamlit as st

from cxr.core.number_format import counted
from cxr.datasets.labels import LabelSpace, display_in_sentence, display_name
from cxr.films.film import Film
from cxr.inference.batch import Reading
from cxr.inference.examples import agrees, example_sources
from cxr.inference.session import ReadingSession
from cxr.inference.sources import FilmSource, synthetic_sources
from cxr.registry.card import Card
from cxr.ui import frame
from cxr.ui.components.into_view import request_view
from cxr.ui.plain_text import plain

EXAMPLE_PX = 150  # of a thumbnail
TILE_PX = 136  # eight beside each other on a usual screen
EXAMPLES_LABEL = "Or try an example:"
SYNTHETIC = "Synthetic X-rays"
SYNTHETIC_NOTE = "Synthetic image; accuracy on it means nothing."
NOT_TRAINED_ON_SYNTHETIC = "This model was not trained on synthetic images; its accuracy on them means nothing."
REAL_NOTE = "Real X-rays with their reference labels. The model may be wrong on some; the reading says so."
RIGHT, WRONG = "The model agrees.", "The model is wrong on this X-ray."
OPEN_FILM = "cxr-open-film"  # the key of the container that comes into view once an X-ray is opened


def show_examples(session: ReadingSession, card: Card) -> None:
    """Shows the examples, each with a button that reads it; synthetic ones below, alone where there are no others."""
    examples = example_sources()
    st.markdown(EXAMPLES_LABEL)
    if not examples:
        _show_synthetic(session, card)
        return
    if any(source.reference for source in examples):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(REAL_NOTE, width="content")
            label = f"Read all {counted(len(examples), 'example')}"
            st.button(plain(label), key="predict_examples_all", on_click=_read, args=(session, examples))
    _show_tiles(session, examples)
    with st.expander(SYNTHETIC):
        _show_synthetic(session, card)


def show_reference(reading: Reading, card: Card) -> None:
    """Shows the reference of an example, whether the model agrees with it, and where the X-ray comes from."""
    reference, prediction = reading.source.reference, reading.prediction
    if reading.source.synthetic:
        st.caption(SYNTHETIC_NOTE)
    if reference is None or prediction is None:
        return
    agreement = agrees(prediction, LabelSpace(card.classes, card.groups), reference)
    verdict = "" if agreement is None else RIGHT if agreement else WRONG
    st.markdown(plain(f"Reference: {_described(reading.source)}. {verdict}"))
    st.caption(plain(f"Example: {reference.credit}."))


def _described(source: FilmSource) -> str:
    """What an example's button says: the reference, and whether it is a child; without one, the file's name."""
    if source.reference is None:
        return source.name
    age = f", {source.reference.age_group}" if source.reference.age_group else ""
    return f"{display_name(source.reference.label)}{age}"


def _show_synthetic(session: ReadingSession, card: Card) -> None:
    if "phantom" not in card.sources:
        st.caption(NOT_TRAINED_ON_SYNTHETIC)
    _show_tiles(session, synthetic_sources())


def _labels(sources: list[FilmSource]) -> list[str]:
    """The words of each button; those that would be the same are numbered, so that each can be told from the others."""
    words = [source.name if source.synthetic else _described(source) for source in sources]
    return [f"{text} {words[: n + 1].count(text)}" if words.count(text) > 1 else text for n, text in enumerate(words)]


def _show_tiles(session: ReadingSession, sources: list[FilmSource]) -> None:
    with st.container(horizontal=True):
        for source, label in zip(sources, _labels(sources), strict=True):
            with st.container(width=TILE_PX, key=f"predict_tile_{source.key}"), frame.errors_shown():
                frame.show_image(_example_thumbnail(source.key, source), TILE_PX, _alt(source))
                key = f"predict_example_{source.key}"
                st.button(plain(label), key=key, width="stretch", on_click=_read, args=(session, [source]))


def _alt(source: FilmSource) -> str:
    if source.reference is None:
        return source.name
    return f"Chest X-ray, {display_in_sentence(source.reference.label)}"


def _read(session: ReadingSession, sources: list[FilmSource]) -> None:
    session.add(sources)
    request_view(OPEN_FILM)


@st.cache_data(show_spinner=False, max_entries=128)
def _example_thumbnail(key: str, _source: FilmSource) -> bytes:
    """The thumbnail of an example; it lies on this machine or is synthetic, so all visitors may share it."""
    if _source.thumbnail:
        return _source.thumbnail.read_bytes()
    return Film.read(_source.read()).jpeg_thumbnail(EXAMPLE_PX, square=True)
