"""`cxr train`, `cxr crossval`: training on the command line."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cxr.cli import console, crossval_text
from cxr.cli.options import Data, Json, Overrides, RecipeName, Wait
from cxr.core.number_format import counted

if TYPE_CHECKING:
    from cxr.jobs.training_plan import Composition


class LeaveOut(StrEnum):
    """What a cross-validation leaves out in turn, instead of folds of patients."""

    source = "source"


def train(
    recipe: RecipeName,
    data: Data,
    name: Annotated[str | None, typer.Option(help="The model's name in the registry.")] = None,
    set_: Overrides = None,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Train a model; the run continues when the terminal is closed."""
    from cxr.datasets.dataset import open_datasets
    from cxr.jobs import run_store
    from cxr.jobs.model_names import free_name
    from cxr.jobs.training_plan import known_composition, plan
    from cxr.registry.recipe import Recipe

    chosen, dataset = Recipe.read(recipe, set_ or ()), open_datasets(data)
    job = plan(chosen, data, name or free_name(chosen.name), dataset=dataset)
    _show_composition(known_composition(chosen, dataset))
    run = run_store.start(job, chosen.name)
    if not wait:
        message = f"Started run {run.id}. Show its progress: cxr jobs show {run.id}"
        console.print_json({"run": run.id}) if as_json else typer.echo(message)
        return
    console.follow_to_end(run, as_json)


def crossval(
    recipe: RecipeName,
    data: Data,
    folds: Annotated[int, typer.Option(min=2, max=20, help="The number of folds.")] = 5,
    leave_out: Annotated[
        LeaveOut | None, typer.Option(help="source: train once without each source, and test on that source.")
    ] = None,
    set_: Overrides = None,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Cross-validate a recipe: train once for each fold, grouped by patient; mean and spread of the metrics.

    It is one job, which continues when the terminal is closed and does not train a finished fold again.
    """
    from cxr.datasets.dataset import open_datasets
    from cxr.jobs import run_store
    from cxr.jobs.crossval import crossval_job
    from cxr.jobs.training_plan import known_composition
    from cxr.registry.recipe import Recipe

    chosen, dataset = Recipe.read(recipe, set_ or ()), open_datasets(data)
    by_source = leave_out is not None
    job = crossval_job(chosen, data, folds, by_source, dataset)
    if not by_source:
        _show_composition(known_composition(chosen, dataset, (0, folds)))
    run = run_store.start(job, f"{job.kind}-{chosen.name}")
    if wait:
        console.follow_to_end(run, as_json, quiet=True)
        crossval_text.print_result(run, as_json)
        return
    message = f"Started job {run.id}. Show its progress: cxr jobs watch {run.id}"
    console.print_json({"run": run.id}) if as_json else typer.echo(message)


def _show_composition(chosen: Composition) -> None:
    """Print classes, sizes and what is left out on standard error, the latter in red."""
    from cxr.datasets.labels import display_name
    from cxr.jobs.training_plan import COPIES_UNKNOWN

    films = counted(len(chosen.films), "X-ray")
    typer.echo(f"{films}. Classes: {', '.join(map(display_name, chosen.labels.classes))}.", err=True)
    if not chosen.copies_known:
        typer.echo(COPIES_UNKNOWN, err=True)
    for sentence in chosen.remarks:
        typer.echo(sentence, err=True)
    for excluded in chosen.excluded:
        typer.secho(excluded.sentence, fg=typer.colors.RED, err=True)


def work(run_id: str) -> None:
    """Carry out a run's job in this process; started by the commands and pages that start jobs."""
    from cxr.jobs import run_store

    run = run_store.find(run_id)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    from cxr.jobs.kinds import execute

    execute(run)
