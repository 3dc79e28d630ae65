"""Runs as rows say how they ended and in what they differ."""

import math

import pytest

from cxr.jobs import run_store
from cxr.jobs.run import Job, Run, Status
from cxr.registry.hyperparameters import with_values
from cxr.registry.recipe import Recipe
from cxr.ui.train.run_tables import changed_values, differences, overview, title_of


@pytest.fixture
def run(home):
    def make(films="kermany", **values):
        recipe = with_values(Recipe.read("vgg16-default"), {key.replace("__", "."): v for key, v in values.items()})
        return run_store.create(Job(recipe.to_toml(), (f"/films/{films}",)), recipe.name)

    return make


def test_runs_differ_in_the_values_that_differ(run):
    one, other = run(), run("nih", optimiser__rate=1e-3)
    table = differences([one, other]).set_index("hyperparameter")
    assert list(table.index) == ["films", "optimiser.rate"]
    assert table.loc["optimiser.rate"].tolist() == ["0.0002", "0.001"]


def test_what_was_changed_from_the_recipe_is_told(run):
    assert changed_values(run()).empty
    assert changed_values(run(head__dropout=0.5)).values.tolist() == [["head.dropout", "0.3", "0.5"]]


def test_the_overview_has_the_best_figures_and_blanks_where_there_are_none(run):
    one, other = run(), run()
    one.write_history([{"val_loss": 0.5, "val_auc": math.nan}, {"val_loss": 0.4, "val_auc": 0.9}])
    one.write_status(Status("finished", started=100.0, heartbeat=220.0, model="made"))
    table = overview([one, other])
    assert table["best validation loss"].tolist()[0] == 0.4 and table["best validation AUC"].tolist()[0] == 0.9
    assert (table["minutes"].iloc[0], table["model"].iloc[0]) == (2.0, "made")
    assert math.isnan(table["best validation loss"].iloc[1])


def test_a_run_is_called_by_its_recipe_and_its_beginning(home):
    folder = run_store.runs_dir() / "20260102-030405123456-vgg16-default-ab12"
    assert title_of(Run(folder)) == "vgg16-default, 02 Jan 03:04 UTC (ab12)"
