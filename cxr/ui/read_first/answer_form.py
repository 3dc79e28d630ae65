"""The reader's answer and confidence, asked before the model's answer is seen and after it; by mouse or by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from cxr.datasets.labels import display_name
from cxr.inference.reader_answers import Question, ReaderAnswer
from cxr.inference.reader_responses import CERTAIN, GUESS
from cxr.ui.plain_text import plain

CONFIDENCES = range(GUESS, CERTAIN + 1, 10)
ANSWER_LABEL, CONFIDENCE_LABEL = "Your answer", "How sure are you?"


@dataclass(frozen=True)
class AnswerForm:
    """A form: the question, what stands in it at first, and what its button says and does."""

    key: str  # unique to the X-ray and to whether the prediction was seen
    question: Question
    button: str
    done: Callable[[ReaderAnswer], None]
    note: str = ""  # below the button
    start: ReaderAnswer | None = None


@st.fragment
def ask_answer(form: AnswerForm) -> None:
    """Shows the form; its button works once an answer and a confidence are chosen.

    A fragment: a choice does not run the page again, so that the viewer stays as it is.
    """
    start = form.start
    choices = list(form.question.choices)
    choice = st.radio(
        ANSWER_LABEL,
        choices,
        index=choices.index(start.choice) if start and start.choice in choices else None,
        format_func=lambda name: plain(display_name(name)),
        key=f"{form.key}_choice",
    )
    confidence = st.radio(
        CONFIDENCE_LABEL,
        list(CONFIDENCES),
        index=list(CONFIDENCES).index(start.confidence) if start and start.confidence in CONFIDENCES else None,
        format_func=confidence_text,
        horizontal=True,
        key=f"{form.key}_confidence",
        help="How likely it is that the answer is right, as far as normal or not normal is concerned.",
    )
    ready = choice is not None and confidence is not None
    pressed = st.button(plain(form.button), key=f"{form.key}_done", type="primary", disabled=not ready)
    st.caption(plain(form.note))
    if pressed:
        assert choice is not None
        assert confidence is not None
        form.done(ReaderAnswer(choice, confidence))
        st.rerun()


def confidence_text(percent: int) -> str:
    """A confidence as it stands beside its button."""
    words = {GUESS: " (a guess)", CERTAIN: " (certain)"}
    return f"{percent}%{words.get(percent, '')}"


def answer_text(choice: str, confidence: int) -> str:
    """An answer with its confidence, as in "Viral pneumonia, 80% sure"."""
    return f"{display_name(choice)}, {confidence}% sure"
