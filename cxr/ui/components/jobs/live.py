"""Jobs on a page: one in progress, drawn again every two seconds, and one that has ended."""

from __future__ import annotations

import streamlit as st

from cxr.core.number_format import percent
from cxr.jobs.run import Run, Status
from cxr.ui import frame
from cxr.ui.components.into_view import announce
from cxr.ui.components.jobs.controls import offer_deletion, offer_resume, offer_stop, show_log
from cxr.ui.components.jobs.notes import show_notes
from cxr.ui.components.jobs.titles import progress_text, share_done, started_text, task_of
from cxr.ui.plain_text import plain

REFRESH_S = 2
GOES_ON = "You can leave this page or close the browser; the job goes on."
WHAT_GOES = "The job's log and what it has finished so far are deleted permanently. What it has stored stays."
RESULT_GOES = "The job's log and its result are deleted permanently."  # which lies in the job's own folder


def show_job_in_progress(run: Run) -> None:
    """Shows a job in progress, with its notes and a button that stops it."""
    with st.container(border=True):
        st.markdown(plain(f"{task_of(run)}, {started_text(run)}"))
        _show_live(run)
        offer_stop(run)
        show_notes(run)


def show_progress(run: Run, history: list[dict[str, float]] | None = None) -> Status:
    """Shows how far the job is, and returns its status; when it has ended, the whole page is drawn again.

    To be called in a fragment that runs every REFRESH_S seconds.
    """
    status = run.status
    if not status.alive:
        st.session_state[frame.JOB_ENDED] = run.id  # told once the page is drawn again
        st.rerun()
    st.progress(share_done(status), plain(progress_text(status, history)))
    quarter = int(share_done(status) * 4) / 4
    announce(f"{task_of(run)}: {percent(quarter)}" if quarter else "", run.id)
    return status


@st.fragment(run_every=REFRESH_S)
def _show_live(run: Run) -> None:
    status = show_progress(run)
    st.caption(plain(" ".join(filter(None, (status.sentence, GOES_ON)))))


def show_ended_job(run: Run, what_goes: str = "") -> None:
    """Shows how a job has ended, with buttons that resume and delete it."""
    status = run.status
    what_goes = what_goes or (RESULT_GOES if run.result_folder.is_dir() else WHAT_GOES)
    sentence = plain(status.sentence or f"{status.state.capitalize()}.")
    (st.error if status.state == "failed" else st.success if status.state == "finished" else st.warning)(sentence)
    with st.container(horizontal=True):
        offer_resume(run)
        offer_deletion(run, what_goes)
    show_log(run)
