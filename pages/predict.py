"""Read films: drop them, and see what the model makes of them and where it looked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from cxr.core.errors import CxrError
from cxr.films.film import Film
from cxr.films.thumbnail import jpeg_thumbnail
from cxr.inference.batch import Reading, read_sources
from cxr.inference.classifier import Prediction
from cxr.inference.corrections import corrected, corrections_for
from cxr.inference.engines import selection
from cxr.inference.input_check.ages import age_warning
from cxr.inference.saliency import NAMES, SAMPLES, explain
from cxr.inference.session import ReadingSession, SessionReading
from cxr.inference.sources import FilmSource, example_sources, sources_from_upload
from cxr.presentation.reading_summary import (
    bars_html,
    decision_sentence,
    limits,
    probability_bars,
    shortcut_line,
    shortcut_mark,
    test_record,
    trained_on,
)
from cxr.presentation.report import Report
from cxr.registry.card import Card
from cxr.ui import frame
from cxr.ui.components.choosers import choose_model, show_first_steps
from cxr.ui.components.progress import progress_bar
from cxr.ui.components.viewer import ViewerFilm, viewer
from cxr.ui.loaded_model import load_classifier
from cxr.ui.predict.batch import show_batch
from cxr.ui.predict.downloads import offer_overlay, offer_pdf
from cxr.ui.predict.reader_response import ask_opinion
from cxr.ui.predict.rejection import held_back, read_by, show_refused

EXAMPLE_PX = 150
OLDEST = 130  # years, as on the command line
INBOX = "predict.inbox"  # the uploader's key, followed by how often it was emptied


def main() -> None:
    frame.start_page("Predict")
    desk: ReadingSession = st.session_state.setdefault("predict.desk", ReadingSession())
    card, beside_the_model = top_row(desk)
    if card is None:
        show_first_steps()
        return
    if not desk.sources:
        offer_examples(desk, card)
        return
    model = read_by(card)
    with frame.errors_shown():
        read_waiting(desk, card, model)
        seen = desk.readings(model)
        listed = show_batch(desk, seen, card) if len(seen) > 1 else seen
        if listed:
            place = beside_the_model if len(seen) == 1 else st.container()
            show_reading(desk, desk.current(model, listed), card, listed, place)


def top_row(desk: ReadingSession) -> tuple[Card | None, DeltaGenerator]:
    """The model that is to read films; and, below the inbox and beside the model, room for a heading."""
    films, model = st.columns([2.4, 1], vertical_alignment="top" if desk.sources else "bottom")
    with model:
        card = choose_model("Model", "predict.model", in_address=True)
        if card:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                frame.link("models", "The model's card", model=card.name)
                st.markdown(shortcut_mark(card), help=shortcut_line(card), width="content")
    with films:
        if card and desk.sources:
            with st.expander("Add films"):
                inbox(desk)
        elif card:
            inbox(desk)
    for problem in st.session_state.pop("predict.problems", []):
        st.error(problem)
    return card, films


def inbox(desk: ReadingSession) -> None:
    """Dropped files go to the desk at once, and the inbox is empty again; a page switch takes nothing away."""
    emptied = st.session_state.setdefault(INBOX, 0)
    key = f"{INBOX}.{emptied}"

    def take_in() -> None:
        try:
            files = st.session_state[key]
            found = [
                source for file in files for source in sources_from_upload(file.file_id, file.name, file.getvalue())
            ]
            desk.add(found, sum(file.size for file in files))
        except CxrError as error:
            st.session_state["predict.problems"] = [str(error)]
        st.session_state[INBOX] = emptied + 1

    st.file_uploader(
        "Drop chest films here: PNG, JPEG, TIFF, WebP, BMP, DICOM, or a ZIP of them. Nothing is stored.",
        accept_multiple_files=True,
        key=key,
        on_change=take_in,
    )


def offer_examples(desk: ReadingSession, card: Card) -> None:
    st.markdown("Or read an example:")
    if "phantom" not in card.sources:
        st.caption("This model was not trained on drawn films: on those below it shows how to read, not how well.")
    with st.container(horizontal=True):
        for source in example_sources():
            with st.container(width=EXAMPLE_PX), frame.errors_shown():
                frame.show_image(example_picture(source.key, source), EXAMPLE_PX, source.name)
                label = source.name if source.drawn else f"Own film, {source.name}"
                st.button(label, key=f"predict.example.{source.key}", on_click=desk.add, args=([source],))


@st.cache_data(show_spinner=False, max_entries=64)
def example_picture(key: str, _source: FilmSource) -> bytes:
    """Examples lie on this machine or are drawn: they are nobody's upload."""
    if _source.picture:
        return _source.picture.read_bytes()
    return jpeg_thumbnail(Film.read(_source.read()), EXAMPLE_PX, square=True)


def read_waiting(desk: ReadingSession, card: Card, model: str) -> None:
    """Let the model read what it has not read yet; interrupted, the next run goes on where this one was."""
    waiting = desk.waiting(model)
    if not waiting:
        return
    classifier = load_classifier(card)
    with progress_bar("Reading films") as move:
        for done, reading in enumerate(read_sources(classifier, waiting), 1):
            desk.record(reading, model)
            move(done, len(waiting))
    selection.start_in_background(classifier)


def show_reading(
    desk: ReadingSession, seen: SessionReading, card: Card, listed: list[SessionReading], place: DeltaGenerator
) -> None:
    reading, prediction = seen.reading, seen.reading.prediction
    with place:
        heading(desk, reading, listed)
    if prediction is None:
        st.error(reading.error)
        return
    if held_back(desk, reading, card):
        show_refused(desk, reading, prediction, card)
        return
    reading = of_age(reading, card)
    for warning in (*reading.concerns, *card.warnings):
        st.warning(warning)
    offer_mends(desk, reading)
    if reading.source.drawn:
        st.caption("A drawn film, not a person's.")
    with st.container(key="cxr-reading"):
        pictures, words = st.columns([2.4, 1])
        with words:
            st.markdown(f"**{decision_sentence(prediction, card)}**")
            st.html(bars_html(probability_bars(prediction, card)))
            method = st.selectbox(
                "Heatmap method",
                list(NAMES),
                format_func=method_name,
                key="predict.method",
                persist_state="session",
            )
            ask_age(reading, card)
        with pictures:
            target, heatmap = show_film(desk, prediction, card, method or "gradcam")
        with words:
            show_facts(reading, prediction, card)
            ask_opinion(desk, reading, prediction)
            offer_exports(desk, reading, prediction, card, target, NAMES[method or "gradcam"], heatmap)


def offer_mends(desk: ReadingSession, reading: Reading) -> None:
    """Ways to read a film again that the gate says lies wrong; the one that came stays on the desk."""
    with st.container(horizontal=True):
        for mend in corrections_for(reading.prediction.gate if reading.prediction else None):
            again = corrected(desk.sources[reading.source.key], mend)
            if again.key not in desk.sources:
                label = f"Read it again, {mend.how}"
                st.button(label, key=f"predict.mend{mend.mark}", on_click=desk.add, args=([again],))


def ask_age(reading: Reading, card: Card) -> None:
    """The patient's age, where the model can be asked about it; it is in this field alone, and gone with it."""
    if card.ages is not None:
        st.number_input(
            "Age in years, if you know it",
            0,
            OLDEST,
            None,
            key=age_key(reading),
            placeholder="not given",
            help="To be warned where the model was trained on patients of other ages. It is not read from the film's "
            "file, not stored, and does not change what the model says.",
        )


def of_age(reading: Reading, card: Card) -> Reading:
    """The reading, with a warning more where the patient is of an age that the model does not know."""
    years = st.session_state.get(age_key(reading))
    reason = None if years is None else age_warning(card.ages, years)
    return replace(reading, warnings=(*reading.warnings, reason.sentence)) if reason else reading


def age_key(reading: Reading) -> str:
    return f"predict.age.{reading.source.key}"


def method_name(method: str) -> str:
    return f"{NAMES[method]} (slow)" if method in SAMPLES else NAMES[method]


def heading(desk: ReadingSession, reading: Reading, listed: list[SessionReading]) -> None:
    """The film's name, and the way to its neighbours in the list."""
    order = [one.reading.source.key for one in listed]
    place = order.index(reading.source.key)

    def step(by: int) -> None:
        desk.open_key = order[place + by]

    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"#### {escaped(reading.source.name)}")
        if len(desk.sources) == 1:
            st.button("Clear the film", key="predict.clear", on_click=desk.clear)
            return
        st.button("Previous", key="predict.previous", disabled=not place, on_click=step, args=(-1,))
        st.caption(f"{place + 1} of {len(order)}", width="content")
        st.button("Next", key="predict.next", disabled=place + 1 == len(order), on_click=step, args=(1,))


def escaped(name: str) -> str:
    """A file's name in Markdown, as it is."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]<>()#+-.!|$:~" else letter for letter in name)


def show_film(
    desk: ReadingSession, prediction: Prediction, card: Card, method: str
) -> tuple[str, NDArray[np.floating]]:
    """The film beside its overlay; returns the class that is looked at, and its heatmap."""
    model, view = prediction.model, picture_of(desk)
    key = f"predict.viewer.{desk.open_key}.{card.version}"
    looked_at = str((st.session_state.get(key) or {}).get("target") or prediction.decision)
    target = looked_at if looked_at in prediction.classes else prediction.decision
    heatmaps: Mapping[str, NDArray[np.floating] | None]
    if method == "gradcam":
        heatmaps = {name: prediction.heatmap(name) for name in prediction.classes}
    else:
        explained(desk, card, model, method, target)
        heatmaps = {name: desk.heatmap(model, method, name) for name in prediction.classes}
    viewer(view, heatmaps, target, NAMES[method], key)
    chosen = heatmaps[target]
    return target, prediction.heatmap(target) if chosen is None else chosen


def picture_of(desk: ReadingSession) -> ViewerFilm:
    """The open film for the viewer, made once while it is open: no slider or answer makes it again."""
    view: ViewerFilm | None = st.session_state.get("predict.view")
    if view is None or view.key != desk.open_key:
        view = st.session_state["predict.view"] = ViewerFilm.from_film(desk.film(), desk.open_key)
    return view


def explained(desk: ReadingSession, card: Card, model: str, method: str, target: str) -> None:
    """Have the slow method's heatmap at hand."""
    if desk.heatmap(model, method, target) is None:
        classifier = load_classifier(card)
        with progress_bar(f"{NAMES[method]} for {target}") as move:
            desk.keep_heatmap(model, method, target, explain(classifier, desk.film(), target, method, progress=move))


def show_facts(reading: Reading, prediction: Prediction, card: Card) -> None:
    model_ms, all_ms = prediction.model_ms, prediction.model_ms + reading.decode_ms
    st.markdown(f"{trained_on(card)} {test_record(card)}")
    st.caption(
        f"Read in {all_ms:.0f} ms ({model_ms:.0f} ms of it the model, with {prediction.engine}) by {card.name}, "
        f"version {card.version}."
    )
    with st.expander("What the model cannot do"):
        for limit in limits(card):
            st.markdown(f"- {limit}")


def offer_exports(
    desk: ReadingSession,
    reading: Reading,
    prediction: Prediction,
    card: Card,
    target: str,
    method: str,
    heatmap: NDArray[np.floating],
) -> None:
    film = desk.film()
    answer = desk.responses.get((reading.film_id, prediction.model))
    reported = Report(film, reading.film_id, prediction, card, target, method, heatmap, reading.concerns, answer)
    with st.container(horizontal=True):
        offer_pdf(reported)
        offer_overlay(reported)


main()
