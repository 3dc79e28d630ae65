"""The trials of a study: what was tried, what it came to on validation X-rays, and which is the best."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter

from cxr.core.atomic_files import write_atomically
from cxr.learning.history import EpochMetrics, best_epoch
from cxr.registry.hyperparameters import Value, with_values
from cxr.registry.recipe import Recipe
from cxr.studies.space import Space

FOLDER, FILE, PROPOSAL = "trials", "trial.json", "proposal.json"
METRICS = {"val_auc": "Validation AUC", "val_loss": "Validation loss", "val_accuracy": "Validation accuracy"}
LOWER_IS_BETTER = "val_loss"


class TrialState(StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"  # its validation curve was worse than that of most trials at the same epoch
    DIVERGED = "diverged"  # its loss was not a number
    FAILED = "failed"  # its settings do not fit together, or this computer has no room for them


@dataclass(frozen=True)
class Trial:
    """A trial that has ended."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    number: int  # from 1
    values: Mapping[str, str | float]  # by key; a choice is its text
    state: TrialState
    value: float | None = None  # of the metric, at the epoch that is kept
    val_loss: float | None = None  # there, too: it decides between equal values
    curve: tuple[float | None, ...] = ()  # the metric at each epoch
    kept_epoch: int = 0
    seconds: float = 0.0
    sentence: str = ""  # why it failed

    @property
    def epochs(self) -> int:
        """How many epochs it was trained."""
        return len(self.curve)


@dataclass(frozen=True, eq=False)
class ProposedTrial:
    """A trial that is to be trained: its number, its values, and the trials that had ended when it was proposed."""

    number: int
    values: Mapping[str, str | float]
    before: tuple[Trial, ...]


def ended_trial(
    number: int, values: Mapping[str, str | float], state: TrialState, history: Sequence[EpochMetrics], **more: Any
) -> Trial:
    """The record of a trial with this history; `more` has the metric, what selects the epoch, and the sentence."""
    metric, best = more["metric"], more["best"]
    rows = list(history)
    kept = best_epoch(rows, best) if rows else None
    return Trial(
        number=number,
        values=dict(values),
        state=state,
        value=None if kept is None else _finite(rows[kept][metric]),
        val_loss=None if kept is None else _finite(rows[kept]["val_loss"]),
        curve=tuple(_finite(row[metric]) for row in rows),
        kept_epoch=0 if kept is None else kept + 1,
        seconds=round(sum(row.get("seconds", 0.0) for row in rows), 2),
        sentence=more.get("sentence", ""),
    )


def best_trial(trials: Sequence[Trial], metric: str) -> Trial | None:
    """The complete trial with the best value, of equal ones that with the lowest loss; None where there is none."""
    return next(iter(ranked(trials, metric)), None)


def ranked(trials: Sequence[Trial], metric: str) -> list[Trial]:
    """The complete trials, the best on validation X-rays first."""
    sign = 1 if metric == LOWER_IS_BETTER else -1
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE and trial.value is not None]
    return sorted(
        complete,
        key=lambda trial: (
            sign * (trial.value or 0.0),
            float("inf") if trial.val_loss is None else trial.val_loss,
            trial.number,
        ),
    )


def recipe_of(recipe: Recipe, space: Space, values: Mapping[str, str | float]) -> Recipe:
    """The recipe with the values of a trial; RecipeError where they do not fit together."""
    return with_values(recipe, decoded(space, values))


def decoded(space: Space, values: Mapping[str, str | float]) -> dict[str, Value]:
    """The values of a trial as a recipe has them."""
    found: dict[str, Value] = {}
    for dimension in space.dimensions:
        value = values[dimension.key]
        if dimension.choices:
            found[dimension.key] = dimension.names[str(value)]
        else:
            found[dimension.key] = int(value) if dimension.item.kind == "whole" else float(value)
    return found


def write_trial(folder: Path, trial: Trial) -> None:
    """Store the record of a trial in its folder, in one step."""
    write_atomically(folder / FILE, json.dumps(asdict(trial)), durable=True)


def stored_proposal(
    folder: Path, propose: Callable[[], Mapping[str, str | float] | None]
) -> Mapping[str, str | float] | None:
    """The values that were proposed for the trial in this folder; proposed and stored now where none were.

    Trials that run side by side end in any order, so another proposal for the same trial would be a different one.
    """
    path = folder / PROPOSAL
    if path.exists():
        return _VALUES.validate_json(path.read_bytes())
    values = propose()
    if values is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(dict(values)), durable=True)
    return values


def read_trials(study: Path) -> list[Trial]:
    """The trials of the study in this run's folder that have ended, by number; one that cannot be read is left out."""
    found = []
    for path in sorted((study / FOLDER).glob(f"*/{FILE}")):
        try:
            found.append(_TRIAL.validate_json(path.read_bytes()))
        except (OSError, ValueError):
            continue
    return sorted(found, key=lambda trial: trial.number)


_TRIAL: TypeAdapter[Trial] = TypeAdapter(Trial)
_VALUES: TypeAdapter[dict[str, str | float]] = TypeAdapter(dict[str, str | float])


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None
