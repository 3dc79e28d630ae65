"""The open X-ray: its heading, warnings, viewer, prediction, facts and files."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cxr.films.film import Film
from cxr.inference.batch import Reading
from cxr.inference.classifier import Prediction
from cxr.inference.input_check.ages import age_warning
from cxr.inference.saliency import METHOD_HELP, METHOD_NAMES
from cxr.inference.session import ReadingSession, SessionReading
from cxr.presentation.prediction_set import HELP as SET_HELP
from cxr.presentation.prediction_set import prediction_set_sentence
from cxr.presentation.reading_summary import (
    bars_html,
    decision_sentence,
    held_out_performance,
    limits,
    probability_bars,
    trained_on,
)
from cxr.presentation.report import Report
from cxr.registry.card import Card
from cxr.ui.one_image.counter_checks import show_counter_checks
from cxr.ui.one_image.look_alikes import show_look_alikes
from cxr.ui.pacs.results_panel import show_dicom_results
from cxr.ui.plain_text import plain
from cxr.ui.predict.corrections import show_all_corrections, show_undo, sides
from cxr.ui.predict.examples import OPEN_FILM, show_reference
from cxr.ui.predict.exports import show_exports
from cxr.ui.predict.open_film import METHOD_KEY, USUAL_METHOD, show_film_with_heatmaps
from cxr.ui.predict.reader_response import ask_response
from cxr.ui.predict.upload import clear, show_read_again
from cxr.ui.predict.withheld import is_withheld, model_key, show_rejected

OLDEST = 130  # years, as on the command line
AGE_LABEL = "Patient age in years (optional)"


def show_reading(session: ReadingSession, card: Card, listed: list[SessionReading], place: DeltaGenerator) -> None:
    """Shows the open X-ray of those listed, its heading in `place`."""
    current = session.current(model_key(card), listed)
    reading = current.reading
    prediction = reading.prediction
    with place, st.container(key=OPEN_FILM):
        _show_heading(session, reading, listed)
    if prediction is None:
        st.error(plain(reading.error))
        show_read_again(session, [current], "Read again", "predict_read_again")
        return
    if is_withheld(session, reading, card):
        show_rejected(session, listed, reading, prediction, card)
        return
    reading = _with_age_warning(reading, card)
    for warning in (*reading.concerns, *card.warnings):
        st.warning(plain(warning))
    with st.container(key="cxr-reading"):
        image_place, text_place = st.columns([2.4, 1])
        with text_place:
            st.markdown(f"**{plain(decision_sentence(prediction, card))}**")
            if in_set := prediction_set_sentence(prediction, card):
                st.markdown(plain(in_set), help=SET_HELP)
            st.html(bars_html(probability_bars(prediction, card)))
            show_reference(reading, card)
            method = _choose_method()
            _ask_age(reading, card)
        with image_place:
            target, heatmap = show_film_with_heatmaps(session, listed, prediction, card, method)
        with text_place:
            _show_facts(reading, prediction, card, session.film())
            with st.container(horizontal=True):
                show_all_corrections(session, reading)
                show_undo(session, reading)
            ask_response(session, reading, prediction)
            response = session.responses.get((reading.film_id, prediction.model))
            content = (session.film(), reading.film_id, prediction, card, target, METHOD_NAMES[method], heatmap)
            report = Report(*content, reading.concerns, response)
            show_exports(report)
            show_dicom_results(session, report)
    show_counter_checks(session, reading, prediction, card)
    show_look_alikes(card, prediction, reading.film_id, "predict")


def _show_heading(session: ReadingSession, reading: Reading, listed: list[SessionReading]) -> None:
    """Shows the file's name, and buttons to its neighbors in the list."""
    order = [listed_reading.reading.source.key for listed_reading in listed]
    position = order.index(reading.source.key)

    def step(by: int) -> None:
        session.current_key = order[position + by]

    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"## {plain(reading.source.name)}")
        if len(session.sources) == 1:
            st.button("Clear", key="predict_clear", on_click=clear, args=(session,))
            return
        st.button("Previous", key="predict_previous", disabled=not position, on_click=step, args=(-1,))
        st.caption(f"{position + 1} of {len(order)}", width="content")
        st.button("Next", key="predict_next", disabled=position + 1 == len(order), on_click=step, args=(1,))


def _ask_age(reading: Reading, card: Card) -> None:
    """Asks the patient's age, where the model's ages are known; it is held by this widget alone."""
    if card.ages is not None:
        st.number_input(
            AGE_LABEL,
            0,
            OLDEST,
            None,
            key=_age_key(reading),
            placeholder="not given",
            help="Warns where the model was trained on patients of other ages. Not read from the file, not stored; "
            "the prediction does not change.",
        )


def _with_age_warning(reading: Reading, card: Card) -> Reading:
    """The reading, with a warning where the patient's age lies outside the model's training data."""
    years = st.session_state.get(_age_key(reading))
    reason = None if years is None else age_warning(card.ages, years)
    return replace(reading, warnings=(*reading.warnings, reason.sentence)) if reason else reading


def _age_key(reading: Reading) -> str:
    return f"predict_age_{reading.source.key}"


def _choose_method() -> str:
    """The heatmap method that is chosen."""
    chosen = st.selectbox(
        "Heatmap method",
        list(METHOD_NAMES),
        format_func=lambda method: METHOD_NAMES[method],
        key=METHOD_KEY,
        persist_state="session",
        help=METHOD_HELP,
    )
    return chosen or USUAL_METHOD


def _show_facts(reading: Reading, prediction: Prediction, card: Card, film: Film) -> None:
    """Shows what the model was trained and tested on, how long it took, and its limitations."""
    model_ms, total_ms = prediction.model_ms, prediction.model_ms + reading.decode_ms
    st.markdown(plain(f"{trained_on(card)} {held_out_performance(card)}"))
    st.caption(
        f"Inference {model_ms:.0f} ms, total {total_ms:.0f} ms ({prediction.engine}). {plain(card.name)}, "
        f"version {plain(card.version)}. {plain(sides(film))}"
    )
    with st.expander("Limitations"):
        for limit in limits(card):
            st.markdown(f"- {plain(limit)}")
