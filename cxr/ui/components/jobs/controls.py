"""What can be done with a job on a page: stop, resume and delete it, and read its log."""

from __future__ import annotations

import streamlit as st

from cxr.core.access import Action
from cxr.jobs import run_store
from cxr.jobs.run import Run
from cxr.ui import frame, sign_in
from cxr.ui.plain_text import plain

STOPPING = "Stops after its current step."
STOP_HELP = "Stops after the current step; you can resume it later."


def offer_stop(run: Run, label: str = "Stop", stopping: str = STOPPING) -> None:
    """Offers to stop the run; outside of what is redrawn by itself, so that no click is lost between two redraws."""
    if run.stop_requested:
        st.caption(plain(stopping))
        return
    if sign_in.button(Action.STOP_RUN, plain(label), key=f"job_stop_{run.id}", help=STOP_HELP):
        with frame.errors_shown():
            run_store.stop(run)
            st.rerun()


def offer_resume(run: Run) -> None:
    """Offers to resume a run that has ended before it was finished."""
    if run.status.state == "finished":
        return
    if sign_in.button(Action.RESUME_RUN, "Resume", key=f"job_resume_{run.id}", type="primary"):
        with frame.errors_shown():
            run_store.resume(run)
            st.rerun()


def offer_deletion(run: Run, what_goes: str) -> None:
    """Offers to delete a run that has ended, and says what goes with it."""
    with st.popover("Delete", key=f"job_delete_{run.id}"):
        st.write(plain(what_goes))
        if sign_in.button(Action.DELETE_RUN, "Delete this job", key=f"job_delete_confirmed_{run.id}"):
            with frame.errors_shown():
                run_store.delete(run)
                st.rerun()


def show_log(run: Run) -> None:
    """Shows the last lines of the run's log."""
    with st.expander("Log", key=f"job_log_{run.id}"):
        st.code("\n".join(run.log_tail()) or "The log is empty.", language=None)
