"""A recipe of a few filters, and runs executed in this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from cxr.jobs import run_store, train
from cxr.jobs.kinds import execute
from cxr.jobs.run import Run
from cxr.jobs.train import Stages
from cxr.jobs.training_plan import plan
from cxr.registry.recipe import Recipe

WITHOUT_INPUT_CHECK = Stages(train_input_check=lambda *_: None)  # which takes most of a short training's time


def tiny_recipe(**sections: Mapping[str, object]) -> Recipe:
    """A recipe of a few filters on 32-pixel films; sections replace or extend its own."""
    table: dict[str, dict[str, object]] = {
        "input": {"size_px": 32, "scale": "unit"},
        "trunk": {"backbone": "tiny", "weights": "none", "train": "all"},
        "head": {"pool": "flatten"},
        "training": {"epochs": 3, "batch": 16, "precision": "float32"},
        "optimiser": {"rate": 3e-3},
    }
    for name, values in sections.items():
        table[name] = {**table.get(name, {}), **values}
    return Recipe.from_table({"name": "tiny", **table})


def carry_out(
    recipe: Recipe, paths: Iterable[str | Path], model: str | None = "tiny", stages: Stages | None = None
) -> Run:
    """A run of the recipe on the films at these paths, executed in this process to its end."""
    run = run_store.create(plan(recipe, [str(path) for path in paths], model), recipe.name)
    execute_training(run, stages)
    return run


def execute_training(run: Run, stages: Stages | None = None) -> None:
    """Carry out a training in this process, with stages of the caller's."""
    execute(run, partial(train.run, stages=stages))
