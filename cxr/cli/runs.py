"""`cxr runs`: training runs on the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from cxr.cli import console
from cxr.cli.options import Json, Wait

RunId = Annotated[str, typer.Argument(help="The ID of a run, or its first characters; cxr runs list shows IDs.")]

app = typer.Typer(help="List, show, stop, resume and delete training runs.", no_args_is_help=True)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List all runs, newest first."""
    from cxr.jobs import run_store

    if as_json:
        console.print_json([console.run_dict(run) for run in run_store.all_runs()])
        return
    for run in run_store.all_runs():
        status = run.status
        typer.echo(f"{run.id:44} {status.state:12} {console.run_line(status)}")


@app.command("show")
def show(run_id: RunId, as_json: Json = False) -> None:
    """Show a run's state, history and latest log lines."""
    from cxr.jobs import run_store

    run = run_store.find(run_id)
    if as_json:
        console.print_json(console.run_dict(run) | {"history": run.history(), "log": run.log_tail()})
        return
    status = run.status
    typer.echo(
        f"{run.id}: {status.state}. {status.sentence}\n{console.run_line(status)} on {status.device or 'no device yet'}"
    )
    for row in run.history():
        typer.echo("  ".join(f"{key} {value:.4g}" for key, value in row.items()))
    typer.echo("\n".join(run.log_tail(10)))


@app.command("stop")
def stop(run_id: RunId, as_json: Json = False) -> None:
    """Stop a run after its current step; the best weights so far become its model."""
    from cxr.jobs import run_store

    run = run_store.find(run_id)
    run_store.stop(run)
    console.print_json({"run": run.id}) if as_json else typer.echo(f"Run {run.id} stops after its current step.")


@app.command("resume")
def resume(run_id: RunId, wait: Wait = True, as_json: Json = False) -> None:
    """Resume a run from its last checkpoint."""
    from cxr.jobs import run_store

    run = run_store.find(run_id)
    run_store.resume(run)
    if wait:
        console.follow_to_end(run, as_json)
    else:
        console.print_json({"run": run.id}) if as_json else typer.echo(f"Resumed run {run.id}.")


@app.command("delete")
def delete(run_id: RunId, as_json: Json = False) -> None:
    """Delete a run that has ended; its model stays in the registry."""
    from cxr.jobs import run_store

    run = run_store.find(run_id)
    run_store.delete(run)
    console.print_json({"run": run.id}) if as_json else typer.echo(f"Deleted run {run.id}.")
