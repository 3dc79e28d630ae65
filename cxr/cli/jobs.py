"""`cxr jobs`: everything that takes long on the command line, of whatever kind. `cxr runs` is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cxr.cli import console
from cxr.cli.options import Json, Wait

if TYPE_CHECKING:
    from cxr.jobs.job import Job
    from cxr.jobs.run import Run
    from cxr.registry.card import Card

RunId = Annotated[str, typer.Argument(help="The ID of a job, or its first characters; cxr jobs list shows IDs.")]
Kind = Annotated[str | None, typer.Option(help="Only jobs of this kind, such as train, evaluate or crossval.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only jobs with this tag; repeat it for several.")]
Text = Annotated[str, typer.Option(help="Only jobs with this text in their note or tags.")]

app = typer.Typer(help="List, show, watch, stop, resume, extend and delete jobs: everything that takes long.")


@app.command("list")
def list_(kind: Kind = None, tag: Tags = None, text: Text = "", as_json: Json = False) -> None:
    """List all jobs, newest first."""
    from cxr.jobs import run_store
    from cxr.jobs.parameters import JobKind
    from cxr.jobs.run_notes import checked_tags, notes_of

    if kind is not None and kind not in list(JobKind):
        raise typer.BadParameter(f"There is no kind '{kind}'. Kinds: {', '.join(JobKind)}.")
    runs = run_store.all_runs() if kind is None else run_store.of_kind(JobKind(kind))
    wanted = checked_tags(tag or ())
    runs = [run for run in runs if notes_of(run).matches(wanted, text)]
    if as_json:
        console.print_json([console.run_dict(run) for run in runs])
        return
    width = max(map(len, JobKind))
    for run in runs:
        status = run.status
        tags = " ".join(f"#{tag}" for tag in notes_of(run).tags)
        line = f"{console.run_line(status)}  {tags}".strip()
        typer.echo(f"{run.id:44} {run.kind or 'damaged':{width}} {status.state:12} {line}")


@app.command("show")
def show(run_id: RunId, as_json: Json = False) -> None:
    """Show a job's state, history and latest log lines, and the figures of a finished cross-validation."""
    from cxr.cli.crossval_text import print_result
    from cxr.jobs import run_store
    from cxr.jobs.crossval_result import stored_result

    run = run_store.find(run_id)
    result = stored_result(run)
    if as_json:
        figures = result.as_dict() if result else {}
        console.print_json(console.run_dict(run) | {"history": run.history(), "log": run.log_tail()} | figures)
        return
    status = run.status
    where = f" on {status.device}" if status.device else ""
    typer.echo(f"{run.id}: {status.state}. {status.sentence}\n{console.run_line(status)}{where}")
    typer.echo(console.notes_text(run), nl=False)
    for row in run.history():
        typer.echo("  ".join(f"{key} {value:.4g}" for key, value in row.items()))
    if result:
        print_result(run)
    typer.echo("\n".join(run.log_tail(10)))


@app.command("watch")
def watch(run_id: RunId, as_json: Json = False) -> None:
    """Show a job's progress until it ends. Ctrl-C stops watching; the job goes on."""
    from cxr.jobs import run_store

    console.follow_to_end(run_store.find(run_id), as_json, stops=False)


@app.command("stop")
def stop(run_id: RunId, as_json: Json = False) -> None:
    """Stop a job after its current step; what it has done so far is kept, and it can be resumed."""
    from cxr.jobs import run_store

    run = run_store.find(run_id)
    run_store.stop(run)
    console.print_json({"run": run.id}) if as_json else typer.echo(f"Job {run.id} stops after its current step.")


@app.command("resume")
def resume(run_id: RunId, wait: Wait = True, as_json: Json = False) -> None:
    """Resume a job: what it had finished is not done again."""
    from cxr.jobs import run_store

    run = run_store.find(run_id)
    run_store.resume(run)
    if wait:
        console.follow_to_end(run, as_json)
    else:
        console.print_json({"run": run.id}) if as_json else typer.echo(f"Resumed job {run.id}.")


@app.command("extend")
def extend(
    run_id: RunId,
    trials: Annotated[int, typer.Option(help="How many more trials.")] = 10,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Add trials to a study that has finished; the best of all becomes a model of its own."""
    from cxr.cli.sweep import print_study
    from cxr.jobs import run_store, sweep

    run = run_store.find(run_id)
    sweep.extend(run, trials)
    if wait:
        console.follow_to_end(run, as_json, quiet=True)
        print_study(run, as_json)
    else:
        console.print_json({"run": run.id}) if as_json else typer.echo(f"Extended study {run.id}.")


@app.command("note")
def note(
    run_id: RunId,
    text: Annotated[str | None, typer.Argument(help='The note; "" removes it. Without a text, it is shown.')] = None,
    as_json: Json = False,
) -> None:
    """Write a note on a job, or show it."""
    from cxr.jobs import run_store
    from cxr.jobs.run_notes import write_notes

    run = run_store.find(run_id)
    write_notes(run, note=text)
    _print_notes(run, as_json)


@app.command("tag")
def tag(
    run_id: RunId,
    tags: Annotated[list[str] | None, typer.Argument(help="Tags to add. Without any, they are shown.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="A tag to remove; repeat it for several.")] = None,
    as_json: Json = False,
) -> None:
    """Add tags to a job, or remove them."""
    from cxr.jobs import run_store
    from cxr.jobs.run_notes import checked_tags, notes_of, write_notes

    run = run_store.find(run_id)
    removed = checked_tags(remove or ())
    kept = [tag for tag in notes_of(run).tags if tag not in removed]
    write_notes(run, tags=[*kept, *(tags or ())])
    _print_notes(run, as_json)


def _print_notes(run: Run, as_json: bool) -> None:
    if as_json:
        console.print_json({"run": run.id} | console.notes_dict(run))
    else:
        typer.echo(console.notes_text(run) or f"Job {run.id} has no note and no tags.\n", nl=False)


@app.command("delete")
def delete(run_id: RunId, as_json: Json = False) -> None:
    """Delete a job that has ended; a model, evaluation or index that it stored stays, a map or curve goes."""
    from cxr.jobs import run_store

    run = run_store.find(run_id)
    run_store.delete(run)
    console.print_json({"run": run.id}) if as_json else typer.echo(f"Deleted job {run.id}.")


def start_in_background(job: Job, as_json: bool) -> None:
    """Start a job on a stored model and say how to watch it."""
    from cxr.jobs import run_store

    run = run_store.start(job, f"{job.kind}-{job.model or 'imagenet'}")
    message = f"Started job {run.id}. Show its progress: cxr jobs watch {run.id}"
    console.print_json({"run": run.id}) if as_json else typer.echo(message)


def model_card(name: str | None) -> Card:
    """The card of this model, or of the default model; RegistryError where there is none."""
    from cxr.core.errors import RegistryError
    from cxr.registry import default_model, registry

    chosen = name or default_model.default_name()
    if chosen is None:
        raise RegistryError("There is no model yet. Train one, or import one.", code="no-model")
    return registry.get_card(chosen)
