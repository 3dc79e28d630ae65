"""The open case of a set: the X-ray alone, then the model's answer, then the reference."""

from __future__ import annotations

import time

import streamlit as st

from cxr.core.errors import FilmError
from cxr.core.number_format import joined, percent
from cxr.datasets.labels import display_name
from cxr.evaluation.reader_study.case_set import Case
from cxr.evaluation.reader_study.marks import heat_at
from cxr.evaluation.reader_study.practice import Practice, Stage
from cxr.films.film import Film
from cxr.inference.batch import Reading, read_sources
from cxr.inference.reader_answers import ReaderAnswer
from cxr.inference.reader_responses import ReaderResponse
from cxr.presentation.reading_summary import bars_html, decision_sentence, probability_bars
from cxr.registry.card import Card
from cxr.ui import frame
from cxr.ui.components.into_view import request_view
from cxr.ui.components.viewer.viewer_film import ViewerFilm
from cxr.ui.loaded_model import load_classifier
from cxr.ui.plain_text import plain
from cxr.ui.read_first.answer_form import AnswerForm, answer_text, ask_answer
from cxr.ui.read_first.image import open_image, show_alone, show_with_heatmaps

TITLE = "Reading practice"
VIEWER_KEY = "practice_viewer"
CASE, ANSWERS, SCORE_PLACE = (
    "cxr-reading",
    "practice-answers",
    "practice-score",
)  # keys of containers that get the focus
IMAGE, READING, OPENED = (frame.page_only_key(TITLE, name) for name in ("image", "reading", "opened"))
COMMIT, FINISH, NEXT, SCORE = "Commit answer", "Save final answer", "Next X-ray", "Show the score"
SKIP = "Leave this X-ray out"
COMMIT_NOTE = "The answer cannot be changed afterward. Then the model's answer appears."
FINISH_NOTE = "Keep your answer or change it."
MARK_NOTE = "Optional: mark findings with the viewer's mark tool. Click for a point, drag for a box."
WITHHELD = "The model gives no answer to this X-ray: its input check rejects the image."


def show_case(practice: Practice, card: Card) -> None:
    """Shows the open case in its stage."""
    case = practice.case
    try:
        image = open_case_image(case)
    except FilmError as error:
        st.error(plain(error))
        st.button(SKIP, key="practice_skip", type="primary", on_click=practice.skip)
        return
    with st.container(key=CASE):
        image_place, text_column = st.columns([2.4, 1])
        text_place = text_column.container(key=ANSWERS)
        text_place.markdown(f"**X-ray {practice.position + 1:d} of {len(practice.case_set.cases):d}**")
        if practice.stage is Stage.ALONE:
            with image_place:
                marks = show_alone(image, VIEWER_KEY)
            with text_place:
                _ask_first(practice, marks)
            return
        reading = model_reading(practice.case, card)
        practice.show_model(reading, shown=not reading.rejected)
        response = practice.response
        if response is None:
            return
        with image_place:
            show_answered(image, reading, response, card)
        with text_place:
            _show_answers(practice, reading, response, card)


def open_case_image(case: Case) -> ViewerFilm:
    """The X-ray of a case for the viewer, with its full gray depth; raises only `FilmError`."""

    def read() -> Film:
        return case.source.decode(case.source.read(), True)

    return open_image(IMAGE, case.film, read)


def model_reading(case: Case, card: Card) -> Reading:
    """The model's reading of a case, made once while it is open."""
    held: tuple[str, Reading] | None = st.session_state.get(READING)
    key = f"{card.name}@{card.version}/{case.film}"
    if held is None or held[0] != key:
        with st.spinner("Asking the model"):
            held = key, next(read_sources(load_classifier(card), [case.source]))
        st.session_state[READING] = held
    return held[1]


def show_answered(image: ViewerFilm, reading: Reading, response: ReaderResponse, card: Card) -> None:
    """Shows an X-ray that was answered: beside its heatmaps, unless its prediction is withheld."""
    if reading.prediction and response.decision:
        show_with_heatmaps(image, reading.prediction, card, response.marks, VIEWER_KEY)
    else:
        show_alone(image, VIEWER_KEY)


def _ask_first(practice: Practice, marks: str) -> None:
    """Asks for the reader's own answer, and takes the time."""
    film = practice.case.film
    opened: tuple[str, float] = st.session_state.get(OPENED) or ("", 0.0)
    if opened[0] != film:
        opened = st.session_state[OPENED] = film, time.monotonic()

    def commit(answer: ReaderAnswer) -> None:
        practice.commit(answer, marks, time.monotonic() - opened[1])
        request_view(ANSWERS)

    ask_answer(AnswerForm(f"practice_first_{film}", practice.question, COMMIT, commit, f"{COMMIT_NOTE} {MARK_NOTE}"))


def _show_answers(practice: Practice, reading: Reading, response: ReaderResponse, card: Card) -> None:
    """Shows the reader's and the model's answer, then asks for the final one or shows the reference."""

    def finish(answer: ReaderAnswer) -> None:
        practice.finish(answer)
        request_view(CASE if practice.stage is Stage.ALONE else ANSWERS)

    def go_on() -> None:
        practice.go_on()
        request_view(SCORE_PLACE if practice.ended else CASE)

    first = ReaderAnswer(response.first, response.first_confidence)
    st.markdown(f"You answered: **{plain(answer_text(first.choice, first.confidence))}**")
    prediction = reading.prediction
    if prediction and response.decision:
        st.markdown(f"**{plain(decision_sentence(prediction, card))}**")
        st.html(bars_html(probability_bars(prediction, card)))
        if heat := heat_at(response.marks, prediction.heatmap()):
            shares = joined([percent(share) for share in heat])
            st.caption(f"The heatmap reaches {plain(shares)} of its peak at your marks.")
    else:
        st.warning(WITHHELD)
    for concern in reading.concerns:
        st.warning(plain(concern))
    if practice.stage is Stage.MODEL:
        ask_answer(AnswerForm(f"practice_final_{response.film}", practice.question, FINISH, finish, FINISH_NOTE, first))
        return
    show_reference(response)
    last = practice.answered == len(practice.case_set.cases)
    st.button(SCORE if last else NEXT, key="practice_next", type="primary", on_click=go_on)


def show_reference(response: ReaderResponse) -> None:
    """Shows the label of the X-ray, and whether reader and model were right about a finding."""
    positive = response.reference != response.negative

    def verdict(answer: str) -> str:
        return "right" if (answer != response.negative) == positive else "wrong"

    model = f", the model is {verdict(response.decision)}" if response.decision else ""
    st.info(
        plain(
            f"Reference: {display_name(response.reference)}. As to normal or not, you are {verdict(response.second)}"
            f"{model}."
        )
    )
