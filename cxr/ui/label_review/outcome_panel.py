"""The outcome of a review: how often suspects and controls were wrong, what readers would change, where they differ."""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st

from cxr import DISCLAIMER
from cxr.core.access import Action
from cxr.core.number_format import counted, decimal, percent_with_interval
from cxr.datasets.labels import display_name
from cxr.evaluation.label_review.outcome import ReviewOutcome, review_outcome, revise_by_review
from cxr.evaluation.label_review.review import LabelReview
from cxr.ui import frame, sign_in
from cxr.ui.label_review.blinded_reading import ANSWER_NAMES
from cxr.ui.label_review.retrain_panel import show_retraining

NO_ANSWERS = "Nobody has answered yet."
REVISE = "Revise the dataset"
NEXT = "To prove the change: train again on the revised dataset, then compare both models on the same test X-rays."


def show_outcome(review: LabelReview) -> None:
    """Shows the outcome, and a button that makes it a revision of the dataset."""
    with frame.errors_shown():
        outcome = review_outcome(review)
        if not any(label.answers for label in outcome.labels):
            st.info(NO_ANSWERS)
            return
        _show_figures(outcome)
        st.dataframe(_table(outcome), hide_index=True, key="labels_table", alt="Answers to the reviewed labels")
        content = json.dumps({"note": DISCLAIMER} | outcome.as_dict(), indent=2)
        with st.container(horizontal=True):
            st.download_button(
                "Outcome (JSON)",
                content,
                f"label-review-{review.id}.json",
                "application/json",
                key="labels_json",
                on_click="ignore",
            )
            if outcome.edits and sign_in.button(Action.REVISE_DATASET, REVISE, type="primary", key="labels_revise"):
                revision = revise_by_review(review).revision
                number, edits = counted(revision.number, "revision"), counted(len(revision.edits), "edit")
                st.success(f"Saved with {edits}; {number} so far. {NEXT}")
        show_retraining(review)


def _show_figures(outcome: ReviewOutcome) -> None:
    shares = [outcome.wrong_share(control) for control in (False, True)]
    suspects, controls = (percent_with_interval(share.value, share.low, share.high) for share in shares)
    left, middle, right = st.columns(3)
    left.metric("Wrong among doubtful labels", suspects)
    middle.metric("Wrong among controls", controls)
    right.metric("Agreement of two readers (kappa)", decimal(outcome.kappa, 2))


def _table(outcome: ReviewOutcome) -> pd.DataFrame:
    """A row for each X-ray that was answered, disputed ones and changes first."""
    rows = []
    for label in outcome.labels:
        if label.answers:
            answers = {
                reader: ANSWER_NAMES.get(answer) or display_name(answer) for reader, answer in label.answers.items()
            }
            result = "Disputed" if label.disputed else "Changed" if label.edit else "Kept"
            rows.append(
                {"Result": result, "Label": display_name(label.item.label)}
                | answers
                | {"Control": label.item.control, "Rank": label.item.rank, "X-ray": label.item.path}
            )
    table = pd.DataFrame(rows).fillna("")  # one reader may have answered more than the other
    order = table["Result"].map({"Disputed": 0, "Changed": 1, "Kept": 2})
    return table.assign(order=order).sort_values(["order", "Rank"]).drop(columns="order")
