"""One X-ray of a review without its label: a reader answers by button or key, and the next one opens."""

from __future__ import annotations

import streamlit as st

from cxr.core.access import Action
from cxr.core.errors import CxrError
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import display_name
from cxr.evaluation.label_review.review import (
    UNSURE,
    UNUSABLE,
    LabelReview,
    ReviewItem,
    answered_before,
    answers_of,
    next_item,
    save_answer,
)
from cxr.ui import frame, sign_in
from cxr.ui.components.into_view import bring_into_view, request_view
from cxr.ui.plain_text import plain

IMAGE_PX = 720  # of the longer side; sent with twice as many pixels
IMAGE_ALT = "X-ray to be labeled"
ANSWER_NAMES = {UNSURE: "Unsure", UNUSABLE: "Unusable"}
DONE = "You have answered all X-rays of this review."
GONE = "This X-ray is no longer in the dataset. Answer Unsure to go on."
UNDO = "Back to the last answer"
READING = "labels-reading"  # the container that gets the focus


def show_blinded_reading(review: LabelReview, dataset: Dataset, reader: str) -> None:
    """Shows the reader's next X-ray with the answers as buttons, each with a key of its own."""
    with frame.errors_shown():
        with st.container(key=READING):
            _show_open_item(review, dataset, reader)
        bring_into_view(READING)


def _show_open_item(review: LabelReview, dataset: Dataset, reader: str) -> None:
    """Shows the X-ray that the reader went back to, or the next one; and the way back to the one before it."""
    mine, back_key = answers_of(review, reader), f"labels_back_{review.id}_{reader}"
    answered = len(mine.answers)
    st.progress(answered / len(review.items), f"{answered} of {len(review.items)}")
    again = {item.film: item for item in review.items}.get(st.session_state.get(back_key, ""))
    item = again or next_item(review, mine)
    before = answered_before(review, mine, item.film if item else "")

    def go_back() -> None:
        if before:
            st.session_state[back_key] = before.film
            request_view(READING)

    if item is None:
        st.success(DONE)
    else:
        image_place, answer_place = st.columns([3, 1])
        with image_place:
            _show_image(dataset, item)
        with answer_place:
            st.markdown("**What do you see?**")
            if answer := _ask(review, item):
                save_answer(review, reader, item.film, answer)
                st.session_state.pop(back_key, None)
                request_view(READING)
                st.rerun()
            if given := mine.answers.get(item.film):
                st.caption(plain(f"You answered: {_name(given)}."))
            st.caption("Press the number on the keyboard to answer.")
    if before:
        key = f"labels_undo_{item.film if item else ''}"
        sign_in.button(Action.REVIEW_LABELS, UNDO, key=key, on_click=go_back, type="tertiary", shortcut="Backspace")


def _ask(review: LabelReview, item: ReviewItem) -> str:
    """The answer that is chosen, or "". The X-ray is in each key, so a second press never answers the next one."""
    chosen = ""
    for place, answer in enumerate(review.answers, 1):
        if sign_in.button(
            Action.REVIEW_LABELS,
            plain(_name(answer)),
            key=f"labels_answer_{item.film}_{answer}",
            width="stretch",
            shortcut=str(place) if place < 10 else None,
        ):
            chosen = answer
    return chosen


def _name(answer: str) -> str:
    return ANSWER_NAMES.get(answer) or display_name(answer)


def _show_image(dataset: Dataset, item: ReviewItem) -> None:
    """Shows the image alone: no name, no label."""
    rows = (dataset.table["path"] == item.path).to_numpy().nonzero()[0]
    if not len(rows):
        st.warning(GONE)
        return
    try:
        film = dataset.read(int(rows[0]))
    except CxrError as error:
        st.warning(plain(str(error)))
        return
    width_px = round(min(IMAGE_PX, IMAGE_PX * film.width_px / film.height_px))
    frame.show_image(film.jpeg_thumbnail(2 * IMAGE_PX), width_px, IMAGE_ALT)
