"""Runs as tables: their names, how they ended, and in what they differ."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxr.core.paths import runs_dir
from cxr.jobs import run_store
from cxr.jobs.job import training_job
from cxr.jobs.run import Run, Status
from cxr.jobs.run_journal import RunJournal
from cxr.registry.hyperparameters import hyperparameters, with_values
from cxr.registry.recipe import Recipe
from cxr.ui.components.jobs.titles import title_of
from cxr.ui.train.run_tables import LOSS, MINUTES, RANKING, changed_values, differences, overview

LABELS = {item.key: item.label for item in hyperparameters()}
MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(home: Path) -> MakeRun:
    def make(dataset: str = "kermany", **values: Any) -> Run:
        recipe = with_values(Recipe.read("vgg16-default"), {key.replace("__", "."): v for key, v in values.items()})
        return run_store.create(training_job(recipe.to_toml(), (f"/films/{dataset}",)), recipe.name)

    return make


def test_runs_differ_in_the_values_that_differ(make_run: MakeRun) -> None:
    table = differences([make_run(), make_run("nih", optimiser__rate=1e-3)])
    names = table.iloc[:, 0].tolist()
    assert len(names) == 2
    assert names[0] == "Datasets"
    assert names[1].endswith(LABELS["optimiser.rate"])
    assert table.iloc[1, 1:].tolist() == ["0.0002", "0.001"]


def test_the_values_that_differ_from_the_recipe_are_listed(make_run: MakeRun) -> None:
    assert changed_values(make_run()).empty
    (row,) = changed_values(make_run(head__dropout=0.5)).values.tolist()
    assert row[0].endswith(LABELS["head.dropout"])
    assert row[1:] == ["0.3", "0.5"]


def test_the_overview_has_the_figures_of_the_kept_epoch_and_blanks_where_there_are_none(make_run: MakeRun) -> None:
    first, second = make_run(training__best="val_loss"), make_run()
    first.write_history(
        [
            {"epoch": 1, "val_loss": 0.5, "val_auc": math.nan},
            {"epoch": 2, "val_loss": 0.4, "val_auc": 0.9},
            {"epoch": 3, "val_loss": 0.6, "val_auc": 0.95},
        ]
    )
    first.write_status(Status("finished", started=100.0, heartbeat=220.0, model="made"))
    table = overview([first, second])
    assert table[LOSS].iloc[0] == 0.4
    assert table[RANKING].iloc[0] == 0.9
    assert (table[MINUTES].iloc[0], table["Model"].iloc[0]) == (2.0, "made")
    assert math.isnan(table[LOSS].iloc[1])


def test_the_minutes_of_a_resumed_run_go_on_from_those_before(make_run: MakeRun) -> None:
    run = make_run()
    run.write_status(Status("stopped", started=100.0, heartbeat=220.0, earlier_s=60.0))
    RunJournal(run)
    assert run.status.alive
    assert overview([run])[MINUTES].iloc[0] == pytest.approx(3.0, abs=0.5)


def test_the_name_of_a_run_is_its_recipe_and_its_start(home: Path) -> None:
    folder = runs_dir() / "20260102-030405123456-vgg16-default-ab12"
    assert title_of(Run(folder)) == "vgg16-default, Jan 2, 03:04 UTC (ab12)"
