"""`cxr train`, `cxr crossval`: training on the command line."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cxr.cli import console
from cxr.cli.evaluation_text import METRIC_WIDTH, metric_name
from cxr.cli.options import Data, Json, Overrides, RecipeName, Wait
from cxr.core.number_format import counted, decimal, interval_range

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
    as_json: Json = False,
) -> None:
    """Cross-validate a recipe: train once for each fold, grouped by patient; mean and spread of the metrics."""
    if leave_out is not None:
        _leave_sources_out(recipe, data, set_, as_json)
        return
    from cxr.datasets.dataset import open_datasets
    from cxr.jobs.crossval import cross_validate, mean_and_spread
    from cxr.jobs.training_plan import known_composition
    from cxr.registry.recipe import Recipe

    chosen, dataset = Recipe.read(recipe, set_ or ()), open_datasets(data)
    _show_composition(known_composition(chosen, dataset, (0, folds)))
    evaluations = cross_validate(chosen, data, folds, console.follow, dataset=dataset)
    spread = mean_and_spread(evaluations)
    if as_json:
        console.print_json({"folds": [evaluation.as_dict() for evaluation in evaluations], "spread": spread})
        return
    films = counted(sum(evaluation.n for evaluation in evaluations), "X-ray")
    typer.echo(f"{folds} folds; {films}, each held out once. Mean ± SD (range):")
    for metric, value in spread.items():
        spread_text = f"{decimal(value['mean'])} ± {decimal(value['sd'])}"
        typer.echo(
            f"  {metric_name(metric):{METRIC_WIDTH}} {spread_text}  ({interval_range(value['min'], value['max'])})"
        )


def _leave_sources_out(recipe: str, data: list[str], overrides: list[str] | None, as_json: bool) -> None:
    """Train once without each source, and print how each is read by the model that has not seen it."""
    from cxr.jobs.crossval import leave_sources_out
    from cxr.registry.recipe import Recipe

    results, impossible = leave_sources_out(Recipe.read(recipe, overrides or ()), data, console.follow)
    if as_json:
        rows = [
            vars(row) | {"specificity": row.specificity.as_dict(), "sensitivity": row.sensitivity.as_dict()}
            for row in results
        ]
        console.print_json({"sources": rows, "impossible": impossible})
        return
    typer.echo("Each source read by a model trained without it, at the threshold chosen on the others:")
    typer.echo(f"  {'source':24}{'normal':>8}{'finding':>9}  {'specificity':24}{'sensitivity':24}AUC within it")
    for row in results:
        typer.echo(
            f"  {row.source:24}{row.normal:>8,}{row.finding:>9,}  {row.specificity.text():24}"
            f"{row.sensitivity.text():24}{decimal(row.auc)}"
        )
    for source, reason in impossible.items():
        typer.echo(f"  {source:24}not left out: {reason}")


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
