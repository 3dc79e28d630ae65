"""The view of all studies: those in progress, live, then one that has ended."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.jobs import run_store
from cxr.jobs.parameters import JobKind
from cxr.jobs.run import Run
from cxr.ui.components.jobs.titles import started_text, task_of
from cxr.ui.plain_text import plain
from cxr.ui.train.studies.study_panel import show_ended_study, show_study_in_progress

NO_STUDIES = "There are no studies yet. Start one under New study."
CHOSEN = "study_chosen"


def studies() -> list[Run]:
    """The runs of studies, newest first."""
    return run_store.of_kind(JobKind.SWEEP)


def show_studies(runs: Sequence[Run]) -> None:
    """Shows the studies in progress and one of those that have ended, at first the newest."""
    if not runs:
        st.info(NO_STUDIES)
        return
    in_progress = [run for run in runs if run.status.alive]
    for run in in_progress:
        with st.container(border=True):
            st.header(plain(f"{task_of(run)}, {started_text(run)}"))
            show_study_in_progress(run)
    ended = {run.id: run for run in runs if run not in in_progress}
    if not ended:
        return
    if st.session_state.get(CHOSEN) not in ended:
        st.session_state[CHOSEN] = next(iter(ended))
    chosen = st.selectbox(
        "Study",
        list(ended),
        format_func=lambda run_id: f"{task_of(ended[run_id])}, {started_text(ended[run_id])}",
        key=CHOSEN,
        persist_state="session",
    )
    show_ended_study(ended[chosen])
