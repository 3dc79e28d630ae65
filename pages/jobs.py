"""Jobs: everything that goes on when its page is closed, whatever its kind: watched, stopped, resumed, deleted."""

from __future__ import annotations

import streamlit as st

from cxr.jobs import run_store
from cxr.jobs.run_notes import tags_of
from cxr.ui import frame
from cxr.ui.components.jobs.notes import NONE_MATCH, chosen_jobs
from cxr.ui.jobs.all_jobs import NO_JOBS, show_ended_jobs, show_jobs_in_progress

TITLE = "Jobs"


def main() -> None:
    """Draws the page."""
    frame.start_page(TITLE)
    every = run_store.all_runs()
    runs = chosen_jobs(every, "jobs")
    in_progress = [run for run in runs if run.status.alive]
    ended = [run for run in runs if run not in in_progress]
    show_jobs_in_progress(in_progress)
    if ended:
        show_ended_jobs(ended, tags_of(every))
    elif not in_progress:
        st.info(NONE_MATCH if every else NO_JOBS)


main()
