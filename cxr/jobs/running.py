"""The runs in progress, known without a look into any other run: a mark for each, so that every page can ask.

A mark may outlive its run, as after a power cut; it is removed when somebody sees that.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from cxr.core.paths import runs_dir
from cxr.jobs.run import Run

FOLDER = "running"


def _marks() -> Path:
    return runs_dir() / FOLDER


def mark(run: Run) -> None:
    """Say that the run is in progress."""
    _marks().mkdir(parents=True, exist_ok=True)
    (_marks() / run.id).touch()


def unmark(run: Run) -> None:
    """Say that the run has ended."""
    with suppress(OSError):
        (_marks() / run.id).unlink(missing_ok=True)


def running_runs() -> list[Run]:
    """The runs in progress, the oldest first; where there are none, this costs one look at an empty folder."""
    try:
        names = sorted(path.name for path in _marks().iterdir())
    except OSError:
        return []
    runs = [Run(runs_dir() / name) for name in names]
    alive = [run for run in runs if run.status.alive]
    for run in runs:
        if run not in alive:
            unmark(run)
    return alive
