"""The names of jobs for people, and what they have come to in a line."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cxr.core.errors import RunError
from cxr.core.number_format import duration, joined
from cxr.jobs.estimate import time_left_s
from cxr.jobs.kinds import KINDS
from cxr.jobs.parameters import (
    FeatureParameters,
    JobKind,
    LearningCurveParameters,
    LookAlikesParameters,
    MapParameters,
    RankParameters,
    TrainParameters,
)
from cxr.jobs.run import Run, Status
from cxr.learning.journal import Phase

DAMAGED = "Damaged job"


def started_text(run: Run) -> str:
    """When the run was first started."""
    day, clock, _ = run.id.split("-", 2)
    started = datetime.strptime(day + clock[:6], "%Y%m%d%H%M%S")
    return f"{started:%b} {started.day}, {started:%H:%M} UTC"


def title_of(run: Run) -> str:
    """The name of a training for people: its recipe, when it started, and its mark."""
    return f"{run.name}, {started_text(run)} ({run.id.rpartition('-')[2]})"


def task_of(run: Run) -> str:
    """What the run does, in a few words: its kind, its model, and the names of its inputs."""
    try:
        job = run.job
    except RunError:
        return DAMAGED
    name = KINDS[job.kind].name
    if isinstance(job.parameters, TrainParameters):
        return f"{name} of {job.model or run.name}"
    inputs = joined([Path(path).name for path in job.inputs])
    if job.kind is JobKind.READ:
        return f"{name} of {inputs} by {job.model}"
    if isinstance(job.parameters, RankParameters):
        basis = "scores of a cross-validation" if job.parameters.scores else f"features of {_backbone(job.parameters)}"
        return f"{name} of {inputs} by {basis}"
    if isinstance(job.parameters, LearningCurveParameters | MapParameters):
        return f"{name} of {inputs} by features of {_backbone(job.parameters)}"
    if isinstance(job.parameters, LookAlikesParameters):
        return f"{name} of {job.model} from {inputs}"
    if job.kind is JobKind.FIT:
        return f"{name} of {job.model} to {inputs}"
    return f"{name} of {job.model or run.name.removeprefix(f'{job.kind}-')} on {inputs}"


def _backbone(parameters: FeatureParameters) -> str:
    return parameters.model or "ImageNet"


def share_done(status: Status) -> float:
    """How much of the present phase is done, of all epochs, or of all parts of the job, from 0 to 1."""
    if status.share is not None:
        return status.share  # of the time that the whole job takes
    within = status.done / status.total if status.total else 0.0
    if status.phase == Phase.TRAINING:
        within = (status.epoch - 1 + within) / max(status.epochs, 1)
    elif status.parts:  # before the epochs of a part, or after them
        within = float(status.phase == Phase.EVALUATING)
    within = min(max(within, 0.0), 1.0)
    return (max(status.part, 1) - 1 + within) / status.parts if status.parts else within


def progress_text(status: Status, history: list[dict[str, float]] | None = None) -> str:
    """What the run does now, how far that is, and how long the run still takes, in a line."""
    left_s = time_left_s(status, history or [])
    left = "" if left_s is None else f", about {duration(left_s)} left"
    part = f"Part {status.part} of {status.parts}. " if status.parts else ""
    if status.phase == Phase.TRAINING:
        step = f"step {status.done:,} of {status.total:,}"
        left = f"{left} in this part" if part and left else left
        return f"{part}Epoch {status.epoch} of {status.epochs}, {step}{left}"
    count = f": {status.done:,} of {status.total:,}" if status.total else ""
    phase = status.phase or status.state
    return f"{part}{phase[:1].upper()}{phase[1:]}{count}{left}"
