"""A cross-validation from the page Train: the recipe above is trained once for each fold, or without each source."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import counted
from cxr.datasets.dataset import Dataset
from cxr.jobs import run_store
from cxr.jobs.crossval import crossval_job, sources_of
from cxr.jobs.parameters import JobKind
from cxr.learning.missing_weights import MissingWeights, check_download
from cxr.registry.recipe import Recipe
from cxr.ui import frame, sign_in
from cxr.ui.components.jobs.crossval import show_crossval
from cxr.ui.components.jobs.live import show_ended_job, show_job_in_progress
from cxr.ui.components.jobs.titles import started_text, task_of
from cxr.ui.plain_text import plain

TRAIN, CROSS_VALIDATE = "Train a model", "Cross-validate"
TASK = "train_task"
FOLDS, SOURCES = "Folds of patients", "Each source in turn"
ABOUT = {
    FOLDS: "The recipe is trained once for each fold and tested on that fold, so that every X-ray is held out once. "
    "Patients stay together, and X-rays of the manifest's test split take no part. No model is saved.",
    SOURCES: "The recipe is trained once without each source and tested on that source, at the threshold chosen on the "
    "others: this is what to expect at the next hospital. No model is saved.",
}
ONE_SOURCE = "These X-rays are of one source, so none can be left out."


def choose_task() -> str:
    """The chosen task: TRAIN or CROSS_VALIDATE."""
    chosen = st.segmented_control(
        "Task",
        [TRAIN, CROSS_VALIDATE],
        default=TRAIN,
        required=True,
        key=TASK,
        persist_state="session",
        label_visibility="collapsed",
    )
    return str(chosen or TRAIN)


def offer_cross_validation(
    recipe: Recipe, dataset: Dataset, paths: Sequence[str], missing: MissingWeights | None
) -> None:
    """Offers to start a cross-validation, and shows the newest one."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        how = st.segmented_control(
            "Leave out", [FOLDS, SOURCES], default=FOLDS, required=True, key="train_crossval_how"
        )
        folds = st.number_input("Folds", 2, 20, 5, key="train_crossval_folds", disabled=how == SOURCES, width=140)
    st.caption(ABOUT[str(how or FOLDS)])
    sources = sources_of(recipe, dataset) if how == SOURCES else []
    if how == SOURCES and len(sources) < 2:
        st.caption(ONE_SOURCE)
    elif sources:
        st.caption(plain(f"{counted(len(sources), 'source')}: {', '.join(sources)}."))
    blocked = (how == SOURCES and len(sources) < 2) or (missing is not None and not missing.can_start)
    if sign_in.button(
        Action.START_RUN, "Start cross-validation", type="primary", key="train_crossval_start", disabled=blocked
    ):
        with frame.errors_shown():
            job = crossval_job(recipe, paths, int(folds), how == SOURCES, dataset)
            if missing:
                check_download(missing)
            run_store.start(job, f"{job.kind}-{recipe.name}")
            st.rerun()
    show_newest()


def show_newest() -> None:
    """Shows the cross-validations in progress, or how the newest one ended."""
    runs = run_store.of_kind(JobKind.CROSSVAL)
    alive = [run for run in runs if run.status.alive]
    for run in alive:
        show_job_in_progress(run)
    if runs and not alive:
        with st.expander(plain(f"{task_of(runs[0])}, {started_text(runs[0])}"), expanded=True, key="train_crossval"):
            show_ended_job(runs[0])
            show_crossval(runs[0])
    if runs:
        frame.link("jobs", "All jobs")
