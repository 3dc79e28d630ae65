"""A study of four trials on drawn films, made once for all tests that look at one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from cxr.jobs import run_store, sweep
from cxr.jobs.kinds import execute
from cxr.jobs.parameters import SweepParameters
from cxr.jobs.run import Run
from cxr.registry.recipe import Recipe
from tests.support.broken_jobs import STUDY_SPACE
from tests.support.training import WITHOUT_INPUT_CHECK, tiny_recipe


def study_recipe() -> Recipe:
    """A recipe that trains the head of a tiny network for three epochs."""
    return tiny_recipe(trunk={"train": "head"})


def carry_out_study(films: Path, trials: int = 4, model: str | None = "best-of-four") -> Run:
    """A study of so many trials on these films, carried out in this process."""
    asked = SweepParameters("", STUDY_SPACE, trials, model)
    run = run_store.create(sweep.sweep_job(study_recipe(), [str(films)], asked), "sweep-tiny")
    execute(run, partial(sweep.run, stages=WITHOUT_INPUT_CHECK))
    return run
