"""The names of models from runs: what the next one is called, and which ones a resumed run stored before."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from cxr.core.errors import RunError
from cxr.core.paths import models_dir
from cxr.jobs import run_store
from cxr.jobs.parameters import SweepParameters, TrainParameters
from cxr.jobs.run import Run
from cxr.registry import registry
from cxr.registry.card import Card


def free_name(base: str) -> str:
    """The base, or the base with the lowest number that neither a model nor a run in progress has."""
    planned = {planned_name(run) for run in run_store.all_runs() if run.status.alive}
    return next(name for name in _numbered(base) if name not in planned and not (models_dir() / name).exists())


def next_name(base: str) -> str:
    """The base, or the base with the lowest number that no model in the registry has."""
    return next(name for name in _numbered(base) if not (models_dir() / name).exists())


def planned_name(run: Run) -> str | None:
    """The name that the run's model will get; None if the run stores no model.

    The name was free when the run started, but a run that was stopped and resumed has stored a model already.
    """
    try:
        job = run.job
    except RunError:  # a damaged folder
        return None
    base = job.model if isinstance(job.parameters, TrainParameters | SweepParameters) else None
    return None if base is None else next_name(base)


def earlier_models(card: Card) -> list[Card]:
    """The models that the same run stored before it was stopped and resumed; newest first."""
    return [
        earlier for earlier in registry.cards() if card.run and earlier.run == card.run and earlier.epochs < card.epochs
    ]


def _numbered(base: str) -> Iterator[str]:
    """The base, then the base with 2, 3, 4 and so on."""
    yield base
    yield from (f"{base[:56]}-{number}" for number in count(2))
