"""A study in tables and sentences: its trials, the best first, and the hyperparameters by what they did."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from cxr.core.number_format import counted, decimal
from cxr.registry.hyperparameters import Value
from cxr.registry.study_record import METRIC_NAMES
from cxr.studies.space import Dimension, Space
from cxr.studies.trials import METRICS, Trial, TrialState, ranked

NUMBER, STATE, EPOCHS, SECONDS, REMARK = "Trial", "State", "Epochs", "Seconds", "Remark"
FEW_TRIALS = "Too few trials were trained to their end to say which hyperparameters matter."
CONFOUNDED_CHOICE = (
    "The best of many is partly luck: its validation result is optimistic, the more so the more trials there are and "
    "the fewer the validation X-rays. The test X-rays take no part in the choice."
)


def trials_table(space: Space, trials: Sequence[Trial], metric: str) -> pd.DataFrame:
    """A row for each trial: the complete ones with the best first, then those that were ended early, then failures."""
    order = [*ranked(trials, metric), *_incomplete(trials)]
    rows = [
        {
            NUMBER: trial.number,
            METRICS[metric]: math.nan if trial.value is None else trial.value,
            STATE: trial.state.capitalize(),
            **{dimension.item.label: value_text(dimension, trial.values) for dimension in space.dimensions},
            EPOCHS: trial.epochs,
            SECONDS: trial.seconds,
        }
        for trial in order
    ]
    columns = [NUMBER, METRICS[metric], STATE, *(one.item.label for one in space.dimensions), EPOCHS, SECONDS]
    return pd.DataFrame(rows, columns=columns)


def value_text(dimension: Dimension, values: Mapping[str, str | float]) -> str:
    """The value of a trial as people read it."""
    value: Value = values[dimension.key]
    if isinstance(value, str):
        return value
    return f"{value:.3g}" if dimension.item.kind == "real" else f"{value:g}"


def values_text(space: Space, trial: Trial) -> str:
    """The values of a trial in a line."""
    return "; ".join(f"{one.item.label} {value_text(one, trial.values)}" for one in space.dimensions)


def importances_table(space: Space, importances: Mapping[str, float]) -> pd.DataFrame:
    """A row for each hyperparameter with its share in the variance of the metric, the largest first."""
    labels = {dimension.key: dimension.item.label for dimension in space.dimensions}
    rows = [{"hyperparameter": labels[key], "importance": share} for key, share in importances.items()]
    return pd.DataFrame(rows, columns=["hyperparameter", "importance"])


def progress_sentence(trials: Sequence[Trial], planned: int, metric: str) -> str:
    """How far a study is, and what its best trial has come to."""
    pruned = sum(trial.state is TrialState.PRUNED for trial in trials)
    failed = sum(trial.state in (TrialState.DIVERGED, TrialState.FAILED) for trial in trials)
    parts = [f"{len(trials)} of {counted(planned, 'trial')} ended"]
    parts += [f"{pruned} pruned"] if pruned else []
    parts += [f"{failed} failed"] if failed else []
    best = next(iter(ranked(trials, metric)), None)
    if best is None:
        return f"{', '.join(parts)}."
    return f"{', '.join(parts)}. Best so far: trial {best.number}, {METRIC_NAMES[metric]} {decimal(best.value)}."


def _incomplete(trials: Sequence[Trial]) -> list[Trial]:
    order = list(TrialState)
    left = [trial for trial in trials if trial.state is not TrialState.COMPLETE or trial.value is None]
    return sorted(left, key=lambda trial: (order.index(trial.state), trial.number))
