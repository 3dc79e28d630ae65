"""A film that a model's gate refuses: the picture, the reason, and the model's answer only when somebody insists."""

from __future__ import annotations

import streamlit as st

from cxr.films.thumbnail import jpeg_thumbnail
from cxr.inference.batch import Reading
from cxr.inference.classifier import Prediction
from cxr.inference.session import ReadingSession
from cxr.presentation.report import Report
from cxr.registry.card import Card
from cxr.ui import frame
from cxr.ui.predict.downloads import offer_pdf

PICTURE_PX = 520


def read_by(card: Card) -> str:
    """What a reading is kept under: another version, or another gate, has readings of its own."""
    return f"{card.name}@{card.version}.{(card.gate_sha256 or '')[:12]}"


def held_back(desk: ReadingSession, reading: Reading, card: Card) -> bool:
    """Whether the answer on a refused film is not shown. Drawn films are asked for, and said to be drawn."""
    insisted = (reading.source.key, read_by(card)) in desk.shown_anyway
    return reading.rejected and not insisted and not reading.source.drawn


def show_refused(desk: ReadingSession, reading: Reading, prediction: Prediction, card: Card) -> None:
    """The open film, why it is refused, and the way to the model's answer all the same."""
    refusal = set(prediction.gate.sentences if prediction.gate else ())
    for doubt in reading.concerns:
        (st.error if doubt in refusal else st.warning)(doubt)
    pictures, words = st.columns([2.4, 1])
    with pictures:
        frame.show_image(
            jpeg_thumbnail(desk.film(), PICTURE_PX), min(PICTURE_PX, desk.film().width_px), "The refused film."
        )
    with words:
        st.markdown("**Refused. What the model says of such a picture means nothing, so it is not shown.**")
        st.button(
            "Show it all the same",
            key="predict.insist",
            on_click=desk.shown_anyway.add,
            args=((reading.source.key, read_by(card)),),
        )
        st.caption(f"By the gate of {card.name}, version {card.version}.")
        reported = Report(
            desk.film(),
            reading.film_id,
            prediction,
            card,
            "",
            "",
            prediction.heatmap(),
            reading.concerns,
            withheld=True,
        )
        offer_pdf(reported)
