"""All jobs: those in progress, live, then a table of those that have ended, of which one can be opened."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from cxr.core.access import Action, current_person
from cxr.core.errors import RunError
from cxr.datasets import catalog
from cxr.jobs.job import is_only
from cxr.jobs.kinds import KINDS
from cxr.jobs.parameters import JobKind
from cxr.jobs.run import Run
from cxr.ui import frame
from cxr.ui.components.jobs.crossval import show_crossval
from cxr.ui.components.jobs.live import show_ended_job, show_job_in_progress
from cxr.ui.components.jobs.notes import note_columns, show_notes
from cxr.ui.components.jobs.titles import started_text, task_of
from cxr.ui.components.table import ONE_ROW, number_columns, rounded, selected_row
from cxr.ui.data_map.panel import show_map_of_job
from cxr.ui.jobs.ranking_result import show_ranking
from cxr.ui.learning_curve.panel import show_stored_curve
from cxr.ui.models.look_alikes_panel import show_index_check
from cxr.ui.plain_text import plain

NO_JOBS = "There are no jobs yet. Trainings, evaluations, audits and readings of archives appear here."
MINUTES = "Minutes"
CHOSEN = "jobs_chosen"
ROWS_PX, MOST_ROWS = 36, 12


def show_jobs_in_progress(runs: Sequence[Run]) -> None:
    """Shows each job in progress with its progress, its notes and a button that stops it."""
    for run in runs:
        show_job_in_progress(run)


def show_ended_jobs(runs: Sequence[Run], tags: Sequence[str]) -> None:
    """Shows the jobs that have ended as a table; choosing a row opens its job, whose notes are offered these tags."""
    st.header("Past jobs", anchor=False)
    decimals = {MINUTES: 1}
    table = pd.DataFrame([_row(run) for run in runs]).assign(**note_columns(runs))
    event = st.dataframe(
        rounded(table, decimals),
        hide_index=True,
        on_select="rerun",
        selection_mode=ONE_ROW,
        height=ROWS_PX * (min(len(runs), MOST_ROWS) + 1),
        column_config=number_columns(decimals),
        key=f"{CHOSEN}_{hash(tuple(run.id for run in runs))}",  # in another list, a row is another job
        alt="Past jobs, newest first; select a row to open it",
    )
    row = selected_row(event.selection, len(runs))
    if row is not None:
        _show_details(runs[row], tags)


def _row(run: Run) -> dict[str, object]:
    status = run.status
    try:
        by = run.job.by
    except RunError:
        by = ""
    return {
        "Job": task_of(run),
        "State": status.state.capitalize(),
        "Started": started_text(run),
        MINUTES: status.worked_s / 60,
        "By": by,
        "ID": run.id,
    }


def _show_details(run: Run, tags: Sequence[str]) -> None:
    with st.container(border=True):
        st.markdown(plain(f"{task_of(run)}, {started_text(run)}"))
        show_ended_job(run)
        show_notes(run, tags)
        _link_to_result(run)


def _link_to_result(run: Run) -> None:
    """Links to the page that shows what the job has made."""
    status = run.status
    try:
        job = run.job
    except RunError:
        return
    if job.kind is JobKind.TRAIN:
        frame.link("train", "Runs on Train")
        if status.model:
            frame.link("models", "Model card", model=status.model)
    elif job.kind is JobKind.SWEEP:
        frame.link("train", "Studies on Train", show="Studies")
        if status.model:
            frame.link("models", "Model card", model=status.model)
    elif job.kind in (JobKind.EVALUATE, JobKind.AUDIT):
        section = {"show": "Shortcuts"} if job.kind is JobKind.AUDIT else {}
        frame.link("evaluate", KINDS[job.kind].name, model=job.model or "", **section)
    elif job.kind is JobKind.QUANTIZE:
        frame.link("models", "Model card", model=job.model or "")
    elif job.kind is JobKind.READ:
        frame.link("predict", "Readings on Predict")
    elif job.kind is JobKind.CROSSVAL:
        show_crossval(run)
    elif job.kind is JobKind.FIT:
        frame.link("evaluate", "Figures before and after", model=job.model or "", show="Fit")
        if status.model:
            frame.link("models", "Model card", model=status.model)
    elif job.kind is JobKind.RANK:
        show_ranking(run)
        _link_to_dataset(job.inputs[:1], "Reviews on Data", "Labels")  # the others are for reference
    elif job.kind is JobKind.LEARNING_CURVE:
        show_stored_curve(run)
        _link_to_dataset(job.inputs, "Learning curve on Data", "Learning curve")
    elif job.kind is JobKind.MAP:
        show_map_of_job(run)
        _link_to_dataset(job.inputs, "Map on Data", "Map")
    elif job.kind is JobKind.LOOK_ALIKES:
        show_index_check(run)
        frame.link("models", "Model card", model=job.model or "")


def _link_to_dataset(inputs: Sequence[str], label: str, view: str) -> None:
    """Links to this view of the dataset that is the only input, if it is still on the list, for who may see it."""
    names = [entry.name for entry in catalog.entries() if is_only(entry.path, inputs)]
    if names and current_person().may(Action.VIEW_DATASETS):
        frame.link("data", label, dataset=names[0], show=view)
