"""Runs as tables: their names, how they ended, and in what they differ."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from cxr.core.errors import CxrError
from cxr.jobs.run import Run
from cxr.learning.history import best_epoch
from cxr.registry.hyperparameters import SECTIONS, Hyperparameter, changes, hyperparameters
from cxr.registry.recipe import Recipe
from cxr.ui.components.jobs.titles import title_of

LOSS, RANKING, MINUTES = "Validation loss", "Validation AUC", "Minutes"  # columns that hold numbers, of the kept epoch
SETTING = "Hyperparameter"


def overview(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each run: its state, the validation figures of its kept epoch, its time in minutes, its model."""
    rows = []
    for run in runs:
        status, history = run.status, run.history()
        kept = kept_epoch(run, history)
        rows.append(
            {
                "Run": title_of(run),
                "State": status.state.capitalize(),
                "Epochs": len(history),
                LOSS: math.nan if kept is None else kept.get("val_loss", math.nan),
                RANKING: math.nan if kept is None else kept.get("val_auc", math.nan),
                MINUTES: status.worked_s / 60,
                "Model": status.model,
            }
        )
    return pd.DataFrame(rows)


def kept_epoch(run: Run, history: Sequence[dict[str, float]]) -> dict[str, float] | None:
    """The epoch whose weights are kept, or would be if the run ended now; None before the first, or of another job."""
    if not history:
        return None
    try:
        metric = Recipe.from_toml(run.job.training.recipe_toml).training.best
        return history[best_epoch(list(history), metric)]
    except (CxrError, KeyError):
        return None


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
