"""A film that the input check rejects: image and reasons, and the prediction only when a person insists."""

from __future__ import annotations

import streamlit as st

from cxr.inference.batch import Reading
from cxr.inference.classifier import Prediction
from cxr.inference.session import ReadingSession, SessionReading
from cxr.presentation.reading_summary import NO_INPUT_CHECK
from cxr.presentation.report import Report
from cxr.registry.card import Card
from cxr.ui.pacs.results_panel import show_dicom_results
from cxr.ui.plain_text import plain
from cxr.ui.predict.corrections import show_proposed_corrections, show_undo, sides
from cxr.ui.predict.exports import show_exports
from cxr.ui.predict.open_film import show_film_alone

REJECTED = "Rejected: no prediction"


def model_key(card: Card) -> str:
    """The key under which the session holds a model's readings: another version or input check has its own."""
    return f"{card.name}@{card.version}.{(card.gate_sha256 or '')[:12]}"


def is_withheld(session: ReadingSession, reading: Reading, card: Card) -> bool:
    """Whether a rejected film's prediction is withheld; that of a synthetic one never is, as it is marked as such."""
    insisted = (reading.source.key, model_key(card)) in session.shown_anyway
    return reading.rejected and not insisted and not reading.source.synthetic


def show_rejected(
    session: ReadingSession, listed: list[SessionReading], reading: Reading, prediction: Prediction, card: Card
) -> None:
    """Shows the open film, the reasons for its rejection, and a button that shows the prediction anyway."""
    for reason in prediction.input_check.reasons if prediction.input_check else ():
        st.error(plain(reason.sentence))
    for warning in reading.warnings:
        st.warning(plain(warning))
    film = session.film()
    image_place, text_place = st.columns([2.4, 1])
    with image_place:
        show_film_alone(session, listed, f"{REJECTED}.")
    with text_place:
        st.markdown(f"**{REJECTED}.** A prediction for this image would mean nothing.")
        insist = (reading.source.key, model_key(card))
        show_proposed_corrections(session, reading)
        with st.container(horizontal=True):
            st.button("Show anyway", key="predict_show_anyway", on_click=session.shown_anyway.add, args=(insist,))
            show_undo(session, reading)
        checked_by = f"Input check of {card.name}, version {card.version}." if card.gate else NO_INPUT_CHECK
        st.caption(plain(f"{checked_by} {sides(film)}"))
        heatmap, concerns = prediction.heatmap(), reading.concerns
        report = Report(film, reading.film_id, prediction, card, "", "", heatmap, concerns, withheld=True)
        show_exports(report)
        show_dicom_results(session, report)
