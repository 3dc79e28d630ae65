"""The form that runs a new evaluation of a model on datasets."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action
from cxr.datasets import catalog
from cxr.datasets.catalog import DatasetEntry
from cxr.evaluation import model_evaluation
from cxr.evaluation.stored_evaluations import store_evaluation
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.components import phantom_form
from cxr.ui.components.choosers import choose_datasets
from cxr.ui.components.progress import progress_bar
from cxr.ui.components.running_work import EVALUATION, READING

SPLITS = {"Held-out only": None, "Test": "test", "Validation": "val", "All X-rays": "all"}
SPLIT_HELP = (
    'X-rays that the model was trained on are excluded, except from "All X-rays", whose results are optimistic.'
)
NEW_EVALUATION, NOTES = "evaluate_new", "evaluate_notes"  # session keys


def show_run_form(card: Card, expanded: bool) -> None:
    """Shows the form, and runs the evaluation when its button is pressed."""
    with st.expander("Run an evaluation", expanded=expanded, key="evaluate_run"):
        if not sign_in.allowed(Action.EVALUATE_MODEL):  # a reader is not shown which datasets there are
            return
        if not catalog.entries():
            phantom_form.offer_first_dataset("evaluate_datasets")
            return
        left, right = st.columns(2)
        with left:
            entries = choose_datasets("Datasets", "evaluate_datasets")
        with right:
            split = st.selectbox("X-rays", list(SPLITS), help=SPLIT_HELP, key="evaluate_split", persist_state="session")
        if sign_in.button(Action.EVALUATE_MODEL, "Run", type="primary", disabled=not entries, key="evaluate_run_start"):
            with frame.errors_shown():
                _run(card, entries, SPLITS[split])
                st.rerun()


def _run(card: Card, entries: Sequence[DatasetEntry], split: str | None) -> None:
    """Runs and stores an evaluation, to be chosen when the page starts again."""
    with EVALUATION.announced(card), progress_bar(READING) as progress:
        result = model_evaluation.evaluate_model(card.name, [entry.path for entry in entries], split, progress)
        stored = store_evaluation(card, "+".join(entry.name for entry in entries), split, result.scores)
    unreadable = [f"{path} could not be read: {reason}" for path, reason in result.unreadable.items()]
    st.session_state[NEW_EVALUATION] = stored.name
    st.session_state[NOTES] = (stored, [*result.left_out, *unreadable])
