"""The indicator of running jobs on every page: nothing where nothing runs, and nothing is asked again then."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action, current_person
from cxr.core.number_format import counted, percent
from cxr.core.paths import runs_dir
from cxr.jobs.run import Run
from cxr.jobs.running import running_runs
from cxr.ui import frame
from cxr.ui.components.into_view import announce
from cxr.ui.components.jobs.titles import share_done, task_of
from cxr.ui.plain_text import plain

REFRESH_S = 3
LINK = "All jobs"
SEEN = "jobs_indicated"  # session key: the ID of the job that started last


def show_indicator() -> None:
    """Shows which jobs run, with their progress, to who may see jobs; without one, the page has no indicator."""
    if current_person().may(Action.VIEW_JOBS) and running_runs():
        with st.container(key="jobs_indicator"):
            _show_live()


def indicator_text(runs: Sequence[Run]) -> str:
    """The first job with its progress, and how many others there are."""
    first = runs[0]
    others = f", and {counted(len(runs) - 1, 'other job')}" if len(runs) > 1 else ""
    return f"{task_of(first)}: {percent(share_done(first.status))}{others}"


@st.fragment(run_every=REFRESH_S)
def _show_live() -> None:
    """Shows the jobs now; once all have ended, the page is drawn again without an indicator that goes on asking."""
    runs = running_runs()
    if not runs:
        st.session_state[frame.JOB_ENDED] = st.session_state.pop(SEEN, "")
        st.rerun()
    st.session_state[SEEN] = runs[-1].id
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(plain(indicator_text(runs)), width="content")
        frame.link("jobs", LINK)


def show_end(run_id: str) -> None:
    """Shows for a moment how the job with this ID has ended."""
    run = Run(runs_dir() / run_id)
    words = f"{task_of(run)}: {run.status.state}"
    st.toast(plain(words))
    announce(words, run.id)
