"""`cxr read`: an archive of X-rays read by a model, in constant memory, into Parquet files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cxr import DISCLAIMER
from cxr.cli import console
from cxr.cli.jobs import model_card, start_in_background
from cxr.cli.options import Json, Model, Wait, takes_options
from cxr.core.errors import RunError


@dataclass(frozen=True)
class ReadOptions:
    """The arguments of `cxr read`."""

    source: Annotated[
        Path,
        typer.Argument(help="A folder, a ZIP, a manifest.csv, or a text file with a path on each line."),
    ]
    out: Annotated[Path, typer.Option(help="The folder for the readings; empty or new, unless with --resume.")]
    model: Model = None
    heatmaps: Annotated[bool, typer.Option("--heatmaps", help="Store the Grad-CAM of every class.")] = False
    paths: Annotated[
        bool, typer.Option("--paths/--no-paths", help="Store paths, which may name patients, beside the digests.")
    ] = True
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the readings in that folder.")] = False
    wait: Wait = True
    as_json: Json = False


@takes_options(ReadOptions)
def read(options: ReadOptions) -> None:
    """Read an archive of X-rays: a job that goes on when the terminal is closed, and after a crash where it was."""
    from cxr.inference.archive.overview import SUMMARY
    from cxr.jobs import run_store
    from cxr.jobs.read import check_target, reading_job

    before = check_target(options.out, options.resume)
    card = model_card(options.model or (before.model if before else None))
    heatmaps, paths = (before.heatmaps, before.paths) if before else (options.heatmaps, options.paths)
    job = reading_job(card, str(options.source), str(options.out), heatmaps, paths)
    if not options.wait:
        start_in_background(job, options.as_json)
        return
    run = run_store.start(job, f"{job.kind}-{job.model}")
    status = console.follow(run)
    if status.state != "finished":
        hint = "" if status.state == "failed" else f" Go on with --resume, or with cxr jobs resume {run.id}."
        raise RunError(f"{status.sentence}{hint}", code="not-finished")
    if options.as_json:
        console.print_json(json.loads((options.out / SUMMARY).read_text("utf-8")))
        return
    typer.echo(status.sentence)
    typer.echo(DISCLAIMER)
