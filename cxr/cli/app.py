"""The command line: `cxr` and all its commands.

Commands import heavy libraries when they run, so that help and lists are quick.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from cxr import DISCLAIMER
from cxr.cli import (
    counter_check,
    data_map,
    datasets,
    doctor,
    drift,
    evaluate,
    jobs,
    labels,
    learning_curve,
    listen,
    look_alikes,
    models,
    predict,
    read,
    reader_study,
    revisions,
    slices,
    sweep,
    trail,
    train,
)
from cxr.cli.failures import LogToStandardError, one_sentence

app = typer.Typer(
    help=f"Run, explain, evaluate and retrain chest X-ray classifiers. {DISCLAIMER}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(models.app, name="models")
app.add_typer(jobs.app, name="jobs", no_args_is_help=True)
app.add_typer(jobs.app, name="runs", no_args_is_help=True, help="The same as jobs.")
app.add_typer(labels.app, name="labels")
app.add_typer(look_alikes.app, name="look-alikes")
app.command()(train.train)
app.command()(train.crossval)
app.command()(sweep.sweep)
app.command(hidden=True)(train.work)
app.command()(evaluate.evaluate)
app.command()(evaluate.compare)
app.command()(slices.slices)
app.command()(drift.drift)
app.command("learning-curve")(learning_curve.learning_curve)
app.command("audit-model")(evaluate.audit_model)
app.command("reader-study")(reader_study.reader_study)
app.command()(predict.predict)
app.command()(listen.listen)
app.command()(read.read)
app.command()(counter_check.counter_check)
app.command("map")(data_map.data_map)
app.command()(datasets.audit)
app.command()(datasets.phantom)
app.command()(revisions.revise)
app.command()(revisions.revisions)
app.command()(trail.trail)
app.command()(doctor.doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. An error is printed as a sentence and sets its exit code; --debug adds a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given  # in any position
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if debug else "3")
    given = ["--debug"] * debug + [argument for argument in given if argument != "--debug"]
    with one_sentence(debug):
        app(given, prog_name="cxr")


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug messages.")] = False,
) -> None:
    logging.basicConfig(level=logging.INFO if debug else logging.WARNING, handlers=[LogToStandardError()])
