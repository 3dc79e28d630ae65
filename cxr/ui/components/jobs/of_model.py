"""The jobs of one kind on one model, on the page that started them: whoever comes back finds them there."""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action, current_person
from cxr.core.errors import RunError
from cxr.jobs import run_store
from cxr.jobs.parameters import JobKind
from cxr.jobs.run import Run
from cxr.registry.card import Card
from cxr.ui.components.jobs.live import show_ended_job, show_job_in_progress
from cxr.ui.components.jobs.titles import started_text, task_of
from cxr.ui.plain_text import plain

WATCHED = "jobs_watched"  # IDs of the jobs that this visit has started or seen in progress
MOST_LISTED = 20  # of the newest jobs of a kind on a model
RECENT_S = 24 * 3600  # a job that ended overnight is what its owner comes back for


def jobs_of(kind: JobKind, card: Card) -> list[Run]:
    """The newest jobs of this kind on this version of a model, newest first."""
    return [run for run in run_store.of_model(kind, card.name)[:MOST_LISTED] if _version(run) == card.version]


def just_finished(runs: Sequence[Run]) -> list[Run]:
    """Those that were in progress when this visit saw them last, and have finished since; newest first."""
    watched: set[str] = st.session_state.setdefault(WATCHED, set())
    ended = [run for run in runs if run.id in watched and not run.status.alive]
    watched.difference_update(run.id for run in ended)
    watched.update(run.id for run in runs if run.status.alive)
    return [run for run in ended if run.status.state == "finished"]


def show_jobs(runs: Sequence[Run]) -> None:
    """Shows the jobs in progress, and how the newest has ended where it did not finish, to who may see jobs."""
    if not current_person().may(Action.VIEW_JOBS):
        return
    for run in runs:
        if run.status.alive:
            show_job_in_progress(run)
    if runs and (status := runs[0].status).state in ("failed", "stopped", "interrupted"):
        with st.expander(
            plain(f"{task_of(runs[0])}, {started_text(runs[0])}: {status.state}"),
            expanded=is_recent(runs[0]),
            key=f"job_ended_{runs[0].id}",
        ):
            show_ended_job(runs[0])


def is_recent(run: Run) -> bool:
    """Whether the run has ended lately, or goes on."""
    return time.time() - run.status.heartbeat < RECENT_S


def _version(run: Run) -> str:
    try:
        return str(getattr(run.job.parameters, "version", ""))
    except RunError:
        return ""
