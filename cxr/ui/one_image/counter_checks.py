"""Counter-checks of the open X-ray: made when asked for, shown as one picture with what they say."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import streamlit as st
from PIL import Image

from cxr import DISCLAIMER
from cxr.films.image_file import data_url
from cxr.inference.batch import Reading
from cxr.inference.classifier import Prediction
from cxr.inference.session import ReadingSession
from cxr.registry.card import Card
from cxr.ui.components.into_view import announce, bring_into_view, request_view
from cxr.ui.frame import page_only_key
from cxr.ui.loaded_model import load_classifier
from cxr.ui.plain_text import plain

if TYPE_CHECKING:
    from cxr.evaluation.counter_checks.counter_check import CounterChecks

TITLE = "Counter-checks: what would change the answer?"
ABOUT = (
    "Hides or changes parts of this X-ray and reads it again: the hottest region, the lungs, everything else, the "
    "corners, text; then inverted, cropped, rotated, brightened."
)
RUN = "Run counter-checks"
WORKING = "Reading the changed images"
RESULT = "cxr-counter-checks"  # the key of the container that has the focus once they are there
SHOWN_QUALITY = 88  # of the picture on the page; the download is lossless


@dataclass(frozen=True, eq=False)
class ShownChecks:
    """Counter-checks as the page shows them, kept while their X-ray is open."""

    key: tuple[str, str]  # source, model
    png: bytes
    jpeg: bytes
    alt: str
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    json: str

    @classmethod
    def of(cls, checks: CounterChecks, key: tuple[str, str]) -> ShownChecks:
        """The counter-checks with their picture and sentences."""
        from cxr.presentation import counter_check_text as words
        from cxr.presentation.counter_check_picture import counter_check_png

        png, jpeg = counter_check_png(checks), io.BytesIO()
        Image.open(io.BytesIO(png)).save(jpeg, "JPEG", quality=SHOWN_QUALITY)
        content = {"note": DISCLAIMER} | checks.as_dict()
        texts = tuple(words.findings(checks)), tuple(words.notes(checks))
        return cls(key, png, jpeg.getvalue(), words.picture_alt(checks), *texts, json.dumps(content, indent=2))


def show_counter_checks(session: ReadingSession, reading: Reading, prediction: Prediction, card: Card) -> None:
    """Shows the counter-checks of the open X-ray, or a button that runs them."""
    place, key = page_only_key("Predict", "counter_checks"), (reading.source.key, prediction.model)
    shown: ShownChecks | None = st.session_state.get(place)
    if shown is not None and shown.key != key:
        shown = None
    with st.expander(TITLE, expanded=shown is not None):
        if shown is None:
            st.markdown(ABOUT)
            if not st.button(RUN, key="predict_counter_checks"):
                return
            st.session_state[place] = _run(session, prediction, card, key)
            request_view(RESULT)
            st.rerun()  # the section is open from the start where it has something to show
        with st.container(key=RESULT):
            _show(shown, reading.film_id)
        bring_into_view(RESULT)
        announce(" ".join(shown.findings), "counter_checks")


def _run(session: ReadingSession, prediction: Prediction, card: Card, key: tuple[str, str]) -> ShownChecks:
    from cxr.evaluation.counter_checks.counter_check import run_counter_checks  # late: SciPy is slow to import

    classifier = load_classifier(card)
    with st.spinner(WORKING):
        return ShownChecks.of(run_counter_checks(classifier, session.film(), prediction), key)


def _show(shown: ShownChecks, film_id: str) -> None:
    st.html(
        f'<img src="{data_url(shown.jpeg)}" alt="{escape(shown.alt, quote=True)}" style="max-width: 100%" '
        'class="cxr-counter-checks">'
    )
    for sentence in shown.findings:
        st.markdown(f"- {plain(sentence)}")
    st.caption(" ".join(plain(note) for note in shown.notes))
    name = f"counter-checks-{film_id[:8]}"
    with st.container(horizontal=True):
        for data, kind, media_type in ((shown.png, "png", "image/png"), (shown.json, "json", "application/json")):
            st.download_button(
                f"Counter-checks ({kind.upper()})",
                data,
                f"{name}.{kind}",
                media_type,
                key=f"predict_checks_{kind}",
                on_click="ignore",
            )
