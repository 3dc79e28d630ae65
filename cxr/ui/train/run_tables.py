"""Runs as rows: what they are called, how they ended, in what they differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import pandas as pd

from cxr.core.errors import CxrError
from cxr.jobs.run import Run
from cxr.registry.hyperparameters import changes, hyperparameters
from cxr.registry.recipe import Recipe


def title_of(run: Run) -> str:
    """A run as a person knows it: its recipe, when it began, and a mark of its own."""
    day, clock, rest = run.id.split("-", 2)
    recipe, _, mark = rest.rpartition("-")
    began = datetime.strptime(day + clock[:6], "%Y%m%d%H%M%S")
    return f"{recipe}, {began:%d %b %H:%M} UTC ({mark})"


def overview(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run: its end, its best validation figures, its time in minutes, its model."""
    rows = []
    for run in runs:
        status, history = run.status, run.history()
        rows.append(
            {
                "run": title_of(run),
                "state": status.state,
                "epochs": len(history),
                "best validation loss": _best(history, "val_loss", min),
                "best validation AUC": _best(history, "val_auc", max),
                "minutes": max(0.0, status.heartbeat - status.started) / 60,
                "model": status.model,
            }
        )
    return pd.DataFrame(rows)


def changed_values(run: Run) -> pd.DataFrame:
    """What was set otherwise than in the recipe of that name; no rows where nothing was, or it is not known."""
    recipe = Recipe.from_toml(run.job.recipe_toml)
    try:
        changed = changes(Recipe.read(recipe.name), recipe)
    except CxrError:  # a recipe of the trainer's own
        changed = {}
    rows = [{"hyperparameter": key, "recipe": was, "this run": now} for key, (was, now) in changed.items()]
    return pd.DataFrame(rows, columns=["hyperparameter", "recipe", "this run"])


def differences(runs: Sequence[Run]) -> pd.DataFrame:
    """The hyperparameters and films in which the runs differ, one row each."""
    columns = {title_of(run): _values(run) for run in runs}
    keys = list(dict.fromkeys(key for values in columns.values() for key in values))
    rows = [{title: values.get(key, "") for title, values in columns.items()} for key in keys]
    table = pd.DataFrame(rows, columns=list(columns))
    table.insert(0, "hyperparameter", keys)
    return table[table[list(columns)].nunique(axis=1) > 1].reset_index(drop=True)


def _values(run: Run) -> dict[str, str]:
    job = run.job
    recipe = Recipe.from_toml(job.recipe_toml)
    films = ", ".join(path.rsplit("/", 1)[-1] for path in job.datasets)
    return {"recipe": recipe.name, "films": films} | {
        one.key: one.format(one.value_in(recipe)) for one in hyperparameters()
    }


def _best(history: Sequence[Mapping[str, float]], measure: str, choose: Callable[[list[float]], float]) -> float | None:
    values = [row[measure] for row in history if not math.isnan(row.get(measure, math.nan))]
    return choose(values) if values else None
