"""The view of all runs: those in progress, live, then those that have ended."""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from cxr.jobs import run_store
from cxr.jobs.parameters import JobKind
from cxr.jobs.run import Run
from cxr.jobs.run_notes import tags_of
from cxr.ui.components.jobs.notes import NONE_MATCH, chosen_jobs
from cxr.ui.train.clone import NEW, NEXT_VIEW
from cxr.ui.train.ended_runs import WATCHED, show_ended
from cxr.ui.train.live_run import show_run_in_progress

RUNS, NEW_STUDY, STUDIES = "Runs", "New study", "Studies"
VIEW = "train_view"
RECENT_S = 12 * 3600  # a run that ended overnight is what its owner comes back for
NO_RUNS = "There are no runs yet. Start with a new training."


def trainings() -> list[Run]:
    """The runs of trainings, and those whose job cannot be read; newest first."""
    return [run for run in run_store.all_runs() if run.kind in (JobKind.TRAIN, None)]


def choose_view(runs: Sequence[Run], studies: Sequence[Run]) -> str:
    """The chosen view; at first that of the runs or the studies, where one of them is in progress or has just ended."""
    if NEXT_VIEW in st.session_state:
        st.session_state[VIEW] = st.session_state.pop(NEXT_VIEW)
    views = [NEW, RUNS, NEW_STUDY, STUDIES]
    newest = max([*runs[:1], *studies[:1]], key=lambda run: run.id, default=None)
    busy = next((run for run in (*runs, *studies) if run.status.alive), newest)
    recent = busy is not None and (busy.status.alive or time.time() - busy.status.heartbeat < RECENT_S)
    asked = st.query_params.get("show")
    likely = NEW if not recent else STUDIES if busy in studies else RUNS
    st.session_state.setdefault(VIEW, asked if asked in views else likely)
    chosen = st.segmented_control(
        "View",
        views,
        required=True,
        key=VIEW,
        persist_state="session",
        label_visibility="collapsed",
    )
    return chosen or NEW


def show_next_time(view: str = RUNS) -> None:
    """Makes the page show the runs, or another view, when it is drawn again."""
    st.session_state[NEXT_VIEW] = view


def show_runs(in_progress: Sequence[Run]) -> None:
    """Shows the runs in progress and those that have ended."""
    for run in in_progress:
        with st.container(border=True):
            show_run_in_progress(run)
    live = {run.id for run in in_progress}
    every = [run for run in trainings() if run.id not in live]
    if every:
        st.header("Past runs")
        if ended := chosen_jobs(every, "train_runs"):
            show_ended(ended, tags_of(every), newest=not in_progress)
        else:
            st.info(NONE_MATCH)
    elif not in_progress:
        st.info(NO_RUNS)
    watch([run.id for run in in_progress])


def watch(run_ids: Sequence[str]) -> None:
    """Makes the page show these runs once they end, even if that is before it is drawn again."""
    st.session_state[WATCHED] = tuple(run_ids)
