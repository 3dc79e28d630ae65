"""Reading first on Predict: each X-ray alone until the reader has answered, without its file's name and the list."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from cxr.datasets.labels import LabelSpace
from cxr.inference.batch import Reading
from cxr.inference.reader_answers import Question, ReaderAnswer, first_response
from cxr.inference.session import ReadingSession, SessionReading
from cxr.registry.card import Card
from cxr.ui.components.into_view import bring_into_view, request_view
from cxr.ui.predict.open_film import VIEWER_KEY
from cxr.ui.predict.reader_response import keep_response
from cxr.ui.predict.reading import show_reading
from cxr.ui.predict.upload import clear
from cxr.ui.predict.withheld import is_withheld, model_key
from cxr.ui.read_first.answer_form import AnswerForm, ask_answer
from cxr.ui.read_first.image import open_image, show_alone

MODE = "predict_read_first"
IMAGE = "predict_image"  # where the page holds the open X-ray
ANSWERS = "predict-answers"
LABEL = "Read first"
HELP = (
    "Shows each X-ray alone and asks for your answer; only then the prediction. The list comes when all are answered."
)
COMMIT, NOTE = "Commit answer", "Then the model's answer appears. Optional: mark findings with the viewer's mark tool."


def reads_first(session: ReadingSession, card: Card, readings: list[SessionReading]) -> bool:
    """Whether the reader reads first, and not all is answered: then the open X-ray was shown here and nothing else is.

    Offers the mode where the model has a negative class.
    """
    labels = LabelSpace(card.classes, card.groups)
    if labels.negative is None:
        return False
    by_key = {item.reading.source.key: item for item in readings}
    ordered = [by_key[key] for key in session.sources if key in by_key]  # not the most suspicious first
    waiting = [item for item in ordered if _is_waiting(session, item.reading)]

    def open_first() -> None:
        if waiting:
            session.current_key = waiting[0].reading.source.key

    wanted = st.toggle(LABEL, key=MODE, persist_state="session", help=HELP, on_change=open_first)
    if not wanted or not waiting:
        return False
    current = session.current(model_key(card), ordered)
    if current in waiting:
        _show_alone(session, card, ordered, current.reading)
    else:
        show_reading(session, card, ordered, st.container())
    bring_into_view(ANSWERS)
    return True


def _is_waiting(session: ReadingSession, reading: Reading) -> bool:
    """Whether the reader has not answered this X-ray yet; a file that cannot be read is not asked about."""
    if reading.prediction is None:
        return False
    response = session.responses.get((reading.film_id, reading.prediction.model))
    return response is None or not response.is_reading


def _show_alone(session: ReadingSession, card: Card, ordered: list[SessionReading], reading: Reading) -> None:
    """Shows the open X-ray alone, and asks for the reader's answer."""
    with st.container(key="cxr-reading"):
        image_place, text_place = st.columns([2.4, 1])
    with image_place:
        image = open_image(IMAGE, session.current_key, session.deep_film)
        marks = show_alone(image, VIEWER_KEY, session.marks.get(reading.film_id, ""))
    session.marks[reading.film_id] = marks
    model = reading.prediction.model if reading.prediction else ""
    question = Question.of_classes(LabelSpace(card.classes, card.groups))

    def commit(answer: ReaderAnswer) -> None:
        shown = not is_withheld(session, reading, card)
        response = first_response(reading, model, answer, question.negative, shown)
        label = reading.source.reference.label if reading.source.reference else ""
        keep_response(session, replace(response, marks=marks, reference=label))
        request_view(ANSWERS)

    with text_place, st.container(key=ANSWERS):
        _show_position(session, ordered)
        ask_answer(AnswerForm(f"predict_first_{reading.film_id}_{model}", question, COMMIT, commit, NOTE))


def _show_position(session: ReadingSession, ordered: list[SessionReading]) -> None:
    """Shows which X-ray of how many it is, and buttons to its neighbors; not its name, which may tell the answer."""
    keys = [item.reading.source.key for item in ordered]
    position = keys.index(session.current_key)

    def step(by: int) -> None:
        session.current_key = keys[position + by]

    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**X-ray {position + 1:d} of {len(keys)}**", width="content")
        if len(keys) > 1:
            st.button("Previous", key="predict_previous", disabled=not position, on_click=step, args=(-1,))
            st.button("Next", key="predict_next", disabled=position + 1 == len(keys), on_click=step, args=(1,))
        st.button("Clear all", key="predict_clear", on_click=clear, args=(session,))
