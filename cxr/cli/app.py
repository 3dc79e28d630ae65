"""The command line. Heavy libraries are imported by the commands that need them, so that help and lists are quick."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cxr import DISCLAIMER
from cxr.cli import console, evaluate, maintenance, models, predict
from cxr.cli import runs as run_commands
from cxr.cli.console import Data, Json
from cxr.core.errors import CxrError

app = typer.Typer(
    help=f"Read, explain, judge and retrain chest X-ray classifiers. {DISCLAIMER}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(models.app, name="models")
app.add_typer(run_commands.app, name="runs")
app.command()(maintenance.trail)
app.command()(maintenance.doctor)

Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a recipe's value: head.dropout=0.4")]


class Plant(StrEnum):
    corner = "corner"
    border = "border"
    brightness = "brightness"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an error is one sentence and its family's exit code, with a traceback on --debug."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words  # wherever it stands
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if debug else "3")
    words = ["--debug"] * debug + [word for word in words if word != "--debug"]
    try:
        app(words, prog_name="cxr")
    except CxrError as error:
        if debug:
            raise
        typer.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code) from None


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose.")] = False,
) -> None:
    logging.basicConfig(level=logging.INFO if debug else logging.WARNING, format="%(message)s")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a .toml file.")],
    data: Data,
    name: Annotated[str | None, typer.Option(help="The model's name on the shelf.")] = None,
    set_: Overrides = None,
    wait: Annotated[bool, typer.Option("--wait/--detach", help="Follow it here, or leave it running.")] = True,
    as_json: Json = False,
) -> None:
    """Train a recipe on films; the run lives on when the terminal is closed."""
    from cxr.jobs import run_store
    from cxr.jobs import train as train_job
    from cxr.registry.recipe import Recipe

    chosen = Recipe.read(recipe, set_ or ())
    run = run_store.start(train_job.plan(chosen, data, name or train_job.free_name(chosen.name)), chosen.name)
    if not wait:
        said = f"Started run {run.id}. See: python -m cxr runs show {run.id}"
        console.print_json({"run": run.id}) if as_json else typer.echo(said)
        return
    console.end_of(run, as_json)


@app.command()
def crossval(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a .toml file.")],
    data: Data,
    folds: Annotated[int, typer.Option(min=2, max=20)] = 5,
    set_: Overrides = None,
    as_json: Json = False,
) -> None:
    """Train once for each fold, patients kept together; mean and spread over the folds' held-out films."""
    from cxr.jobs import train as train_job
    from cxr.registry.recipe import Recipe

    evaluations = train_job.cross_validate(Recipe.read(recipe, set_ or ()), data, folds, console.follow)
    spread = train_job.mean_and_spread(evaluations)
    if as_json:
        console.print_json({"folds": [evaluation.as_dict() for evaluation in evaluations], "spread": spread})
        return
    typer.echo(f"{folds} folds, {sum(evaluation.n for evaluation in evaluations)} films held out once each")
    for metric, value in spread.items():
        typer.echo(f"{metric:20} {value['mean']:.3f} +- {value['sd']:.3f}  ({value['min']:.3f} to {value['max']:.3f})")


app.command()(evaluate.evaluate)
app.command()(evaluate.compare)
app.command()(predict.predict)


@app.command()
def audit(
    data: Annotated[list[str], typer.Argument(help="A dataset, or several to be joined.")], as_json: Json = False
) -> None:
    """Look for what would spoil a training: duplicates, leaks, sources that coincide with a class."""
    from cxr.datasets.dataset import open_datasets
    from cxr.datasets.quality.audit import audit as look

    with console.bar("Reading films") as progress:
        found = look(open_datasets(data), progress)
    if as_json:
        console.print_json(found.to_dict())
        return
    typer.echo(f"{found.films} films of {found.patients} patients: {console.listed(found.by_label)}")
    for finding in found.findings:
        typer.echo(f"{finding.severity.upper()}: {finding.sentence}")
        for path in finding.paths[:5]:
            typer.echo(f"    {path}")
        if len(finding.paths) > 5:
            typer.echo(f"    and {len(finding.paths) - 5} more")


app.command("audit-model")(evaluate.audit_model)


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    films: Annotated[int, typer.Option(min=8, max=100_000)] = 400,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    size: Annotated[int, typer.Option(min=32, max=2048, help="Side of a film in pixels.")] = 256,
    plant: Annotated[
        Plant | None, typer.Option(help="Put a shortcut into every film with a finding, to see whether it is found.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw a dataset of phantom films, for a machine that has none."""
    from cxr.films.synthetic.phantom import draw_phantom_set

    with console.bar("Drawing films") as progress:
        manifest = draw_phantom_set(out, films, seed=seed, size_px=size, plant=plant, progress=progress)
    said = f"Drew {films} films. Train with: python -m cxr train vgg16-default --data {manifest.parent}"
    console.print_json({"dataset": str(manifest.parent), "films": films}) if as_json else typer.echo(said)


@app.command(hidden=True)
def work(run_id: str) -> None:
    """The process of a run; `train` and `runs resume` start it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    from cxr.jobs import run_store
    from cxr.jobs import train as train_job

    train_job.execute(run_store.find(run_id))
