"""Evaluations of a model on this page: the form that starts one as a job, and the jobs in progress."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action, current_person
from cxr.datasets import catalog
from cxr.datasets.catalog import DatasetEntry
from cxr.evaluation.stored_evaluations import StoredEvaluation
from cxr.jobs import run_store
from cxr.jobs.evaluate import evaluation_job, notes_of
from cxr.jobs.parameters import JobKind
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.components import phantom_form
from cxr.ui.components.choosers import choose_datasets
from cxr.ui.components.jobs.of_model import is_recent, jobs_of, just_finished, show_jobs
from cxr.ui.plain_text import plain

SPLITS = {"Held-out only": None, "Test": "test", "Validation": "val", "All X-rays": "all"}
SPLIT_HELP = (
    'X-rays that the model was trained on are excluded, except from "All X-rays", whose results are optimistic.'
)
FINISHED = "The evaluation on {} has finished."
NEW_EVALUATION = "evaluate_new"  # session key: the name of an evaluation to show


def choose_finished(card: Card) -> None:
    """Chooses the evaluation that has finished since this visit saw its job last; before the chooser is drawn."""
    finished = just_finished(jobs_of(JobKind.EVALUATE, card))
    if finished:
        st.session_state[NEW_EVALUATION] = finished[0].status.result


def notes_on(card: Card, stored: StoredEvaluation) -> Sequence[str]:
    """What the job that stored this evaluation noted about it, in sentences; they name files of its datasets."""
    if not current_person().may(Action.VIEW_DATASETS):
        return ()
    runs = (run for run in jobs_of(JobKind.EVALUATE, card) if run.status.result == stored.name)
    newest = next(runs, None)
    return notes_of(newest).sentences if newest else ()


def show_run_form(card: Card, stored: Sequence[StoredEvaluation], shown: StoredEvaluation | None) -> None:
    """Shows the evaluations in progress, the one that has finished lately, and the form that starts one."""
    runs = jobs_of(JobKind.EVALUATE, card)
    show_jobs(runs)
    if runs and is_recent(runs[0]):
        _offer_finished(runs[0].status.result, stored, shown)
    with st.expander("Run an evaluation", expanded=not stored, key="evaluate_run"):
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
                _start(card, entries, SPLITS[split])
                st.rerun()


def _offer_finished(name: str, stored: Sequence[StoredEvaluation], shown: StoredEvaluation | None) -> None:
    """Offers the evaluation that has finished lately, unless it is shown already."""
    if not current_person().may(Action.VIEW_DATASETS) or name not in {evaluation.name for evaluation in stored}:
        return
    if shown is None or shown.name != name:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(plain(FINISHED.format(name)), width="content")
            st.button("Show it", key="evaluate_show_finished", on_click=_show, args=(name,), type="tertiary")


def _show(name: str) -> None:
    st.session_state[NEW_EVALUATION] = name


def _start(card: Card, entries: Sequence[DatasetEntry], split: str | None) -> None:
    """Starts an evaluation that goes on when the page is left, and watches it."""
    title = "+".join(entry.name for entry in entries)
    job = evaluation_job(card, [entry.path for entry in entries], split, title)
    run_store.start(job, f"{job.kind}-{card.name}")
