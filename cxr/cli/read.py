"""`cxr read`: an archive of X-rays read by a model, in constant memory, into Parquet files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from cxr import DISCLAIMER
from cxr.cli import console
from cxr.cli.jobs import model_card, start_in_background
from cxr.cli.options import Json, Model, Wait, takes_options
from cxr.core.errors import RunError
from cxr.core.remote_files import path_of


@dataclass(frozen=True)
class ReadOptions:
    """The arguments of `cxr read`."""

    source: Annotated[
        str,
        typer.Argument(
            help="A folder, a ZIP, a manifest.csv, or a text file with a path on each line; all but a ZIP may be at an "
            "s3:// or gs:// URL."
        ),
    ]
    out: Annotated[str, typer.Option(help="The folder or URL for the readings; empty or new, unless with --resume.")]
    model: Model = None
    heatmaps: Annotated[bool, typer.Option("--heatmaps", help="Store the Grad-CAM of every class.")] = False
    paths: Annotated[
        bool, typer.Option("--paths/--no-paths", help="Store paths, which may name patients, beside the digests.")
    ] = True
    precision: Annotated[
        Literal["auto", "int8"],
        typer.Option(help="int8 is faster, moves probabilities slightly, and needs cxr models quantize first."),
    ] = "auto"
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the readings in that folder.")] = False
    wait: Wait = True
    as_json: Json = False


@takes_options(ReadOptions)
def read(options: ReadOptions) -> None:
    """Read an archive of X-rays: a job that goes on when the terminal is closed, and after a crash where it was."""
    from cxr.inference.archive.overview import SUMMARY
    from cxr.jobs import run_store
    from cxr.jobs.read import check_target, reading_job

    out = path_of(options.out)
    before = check_target(out, options.resume)
    card = model_card(options.model or (before.model if before else None))
    settings = before or options
    job = reading_job(card, options.source, options.out, settings.heatmaps, settings.paths, settings.precision)
    if not options.wait:
        start_in_background(job, options.as_json)
        return
    run = run_store.start(job, f"{job.kind}-{job.model}")
    status = console.follow(run)
    if status.state != "finished":
        hint = "" if status.state == "failed" else f" Go on with --resume, or with cxr jobs resume {run.id}."
        raise RunError(f"{status.sentence}{hint}", code="not-finished")
    if options.as_json:
        console.print_json(json.loads((out / SUMMARY).read_text("utf-8")))
        return
    typer.echo(status.sentence)
    typer.echo(DISCLAIMER)
