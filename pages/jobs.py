"""Jobs: everything that goes on when its page is closed, whatever its kind: watched, stopped, resumed, deleted."""

from __future__ import annotations

import streamlit as st

from cxr.jobs import run_store
from cxr.ui import frame
from cxr.ui.jobs.all_jobs import NO_JOBS, show_ended_jobs, show_jobs_in_progress

TITLE = "Jobs"


def main() -> None:
    """Draws the page."""
    frame.start_page(TITLE)
    runs = run_store.all_runs()
    in_progress = [run for run in runs if run.status.alive]
    ended = [run for run in runs if run not in in_progress]
    show_jobs_in_progress(in_progress)
    if ended:
        show_ended_jobs(ended)
    elif not in_progress:
        st.info(NO_JOBS)


main()
