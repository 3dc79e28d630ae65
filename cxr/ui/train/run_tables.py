"""Runs as tables: their names, how they ended, and in what they differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from cxr.core.errors import CxrError
from cxr.jobs.run import Run
from cxr.registry.hyperparameters import SECTIONS, Hyperparameter, changes, hyperparameters
from cxr.registry.recipe import Recipe
from cxr.ui.components.jobs.titles import title_of

LOSS, RANKING, MINUTES = "Best validation loss", "Best validation AUC", "Minutes"  # columns that hold numbers
SETTING = "Hyperparameter"


def overview(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each run: its state, its best validation figures, its time in minutes, its model."""
    rows = []
    for run in runs:
        status, history = run.status, run.history()
        rows.append(
            {
                "Run": title_of(run),
                "State": status.state.capitalize(),
                "Epochs": len(history),
                LOSS: _best(history, "val_loss", min),
                RANKING: _best(history, "val_auc", max),
                MINUTES: max(0.0, status.heartbeat - status.started) / 60,
                "Model": status.model,
            }
        )
    return pd.DataFrame(rows)


def changed_values(run: Run) -> pd.DataFrame:
    """The hyperparameters that differ from the recipe of that name; no rows where none does or it is not known."""
    recipe = Recipe.from_toml(run.job.training.recipe_toml)
    names = {item.key: _full_label(item) for item in hyperparameters()}
    try:
        changed = changes(Recipe.read(recipe.name), recipe)
    except CxrError:  # a recipe from elsewhere
        changed = {}
    rows = [{SETTING: names[key], "Recipe": before, "This run": now} for key, (before, now) in changed.items()]
    return pd.DataFrame(rows, columns=[SETTING, "Recipe", "This run"])


def differences(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each hyperparameter, and for the datasets, in which the runs differ."""
    columns = {title_of(run): _values(run) for run in runs}
    names = list(dict.fromkeys(name for values in columns.values() for name in values))
    rows = [{title: values.get(name, "") for title, values in columns.items()} for name in names]
    table = pd.DataFrame(rows, columns=list(columns))
    table.insert(0, SETTING, names)
    return table[table[list(columns)].nunique(axis=1) > 1].reset_index(drop=True)


def _values(run: Run) -> dict[str, str]:
    job = run.job
    recipe = Recipe.from_toml(job.training.recipe_toml)
    datasets = ", ".join(path.rsplit("/", 1)[-1] for path in job.inputs)
    return {"Recipe": recipe.name, "Datasets": datasets} | {
        _full_label(item): item.format(item.value_in(recipe)) for item in hyperparameters()
    }


def _full_label(item: Hyperparameter) -> str:
    """The label with its section, as labels alone are not unique."""
    return f"{SECTIONS[item.section]}: {item.label}"


def _best(history: Sequence[Mapping[str, float]], measure: str, choose: Callable[[list[float]], float]) -> float | None:
    values = [row[measure] for row in history if not math.isnan(row.get(measure, math.nan))]
    return choose(values) if values else None
