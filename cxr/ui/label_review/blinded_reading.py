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
    answers_of,
    next_item,
    save_answer,
)
from cxr.ui import frame, sign_in
from cxr.ui.plain_text import plain

IMAGE_PX = 720  # of the longer side; sent with twice as many pixels
IMAGE_ALT = "X-ray to be labeled"
ANSWER_NAMES = {UNSURE: "Unsure", UNUSABLE: "Unusable"}
DONE = "You have answered all X-rays of this review."
GONE = "This X-ray is no longer in the dataset. Answer Unsure to go on."
UNDO = "Back to the last answer"


def show_blinded_reading(review: LabelReview, dataset: Dataset, reader: str) -> None:
    """Shows the reader's next X-ray with the answers as buttons, each with a key of its own."""
    with frame.errors_shown():
        mine = answers_of(review, reader)
        answered = len(mine.answers)
        st.progress(answered / len(review.items), f"{answered} of {len(review.items)}")
        item = next_item(review, mine)
        if item is None:
            st.success(DONE)
            return
        image_place, answer_place = st.columns([3, 1])
        with image_place:
            _show_image(dataset, item)
        with answer_place:
            st.markdown("**What do you see?**")
            for place, answer in enumerate(review.answers, 1):
                name = ANSWER_NAMES.get(answer) or display_name(answer)
                if sign_in.button(
                    Action.REVIEW_LABELS,
                    plain(name),
                    key=f"labels_answer_{answer}",
                    width="stretch",
                    shortcut=str(place) if place < 10 else None,
                ):
                    save_answer(review, reader, item.film, answer)
                    st.rerun()
            st.caption("Press the number on the keyboard to answer.")


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
