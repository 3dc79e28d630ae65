"""Terminal output that several commands share: JSON, progress bars and the progress of runs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cxr.core.errors import CxrError, RunError

if TYPE_CHECKING:
    from cxr.jobs.run import Run, Status

POLL_S = 0.5
STOPPING = {
    True: "Stopping after the current step. The best weights so far become the model.",
    False: "Stopping after the current step. What is finished is kept.",
}


def print_json(value: Any) -> None:
    """Print strict JSON: NaN and infinity become null."""
    strict = json.loads(json.dumps(value), parse_constant=lambda _: None)
    typer.echo(json.dumps(strict, indent=2, ensure_ascii=False))


def listed(counts: Mapping[str, int]) -> str:
    """Names with their counts: normal 40, viral 12."""
    return ", ".join(f"{name or '(none)'} {count}" for name, count in counts.items())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Create the path's folder for the block, and turn a failure to write into a CxrError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise CxrError(f"Cannot write {path}: {error.strerror or error}.", code="not-writable") from error


@contextmanager
def bar(title: str) -> Iterator[Callable[..., None]]:
    """A progress bar on standard error; call the result with (done, total) or (done, total, title) to move it."""
    from rich.console import Console
    from rich.progress import Progress

    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task(title, total=None)

        def move(done: int, total: int, step: str = "") -> None:
            progress.update(task, completed=done, total=total, description=step or title)

        yield move


def follow(run: Run, stops: bool = True) -> Status:
    """Show a run's progress until it ends, and return its last status.

    Ctrl-C stops the run, and a second one leaves it; where it only watches, the first one leaves it.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from cxr.jobs import run_store
    from cxr.jobs.parameters import JobKind
    from cxr.learning.journal import Phase

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    printed, stopping = 0, False
    screen = Console(stderr=True)
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("starting", total=None, left="")
        while (status := run.status).alive:
            try:
                history = run.history()
                for row in history[printed:]:
                    progress.console.print(epoch_line(row), soft_wrap=True)
                printed = max(printed, len(history))
                where = f"epoch {status.epoch} of {status.epochs}" if status.phase == Phase.TRAINING else status.phase
                where = f"{status.part} of {status.parts}: {where}" if status.parts else where
                progress.update(
                    task,
                    description=where or status.state,
                    completed=status.done,
                    total=status.total or None,
                    left=left_text(status, history),
                )
                time.sleep(POLL_S)
            except KeyboardInterrupt:
                if not stops:
                    raise RunError(f"Job {run.id} goes on. Watch it again: cxr jobs watch {run.id}") from None
                if stopping:
                    raise RunError(f"Job {run.id} is stopping. Show its progress: cxr jobs show {run.id}") from None
                stopping = True
                progress.console.print(STOPPING[run.kind == JobKind.TRAIN])
                with suppress(RunError):  # it may just have ended
                    run_store.stop(run)
    for row in run.history()[printed:]:
        typer.echo(epoch_line(row), err=True)
    return status


def follow_to_end(run: Run, as_json: bool, stops: bool = True, quiet: bool = False) -> None:
    """Follow a run and print how it ended, unless `quiet`; RunError if it has made nothing."""
    status = follow(run, stops)
    if status.state == "failed" or (status.state != "finished" and not status.model):
        raise RunError(status.sentence or f"Job {run.id} ended without a result.")
    if quiet:
        return
    if as_json:
        print_json(run_dict(run))
    else:
        typer.echo(status.sentence)


def epoch_line(row: Mapping[str, float]) -> str:
    """An epoch's metrics as one line."""
    return (
        f"epoch {row['epoch']:.0f}  loss {row['loss']:.3f}  accuracy {row['accuracy']:.3f}  "
        f"val_loss {row['val_loss']:.3f}  val_accuracy {row['val_accuracy']:.3f}  val_auc {row['val_auc']:.3f}  "
        f"{row['seconds']:.1f} s"
    )


def run_dict(run: Run) -> dict[str, Any]:
    """A run's ID, status and notes, ready for JSON."""
    from dataclasses import asdict

    return {"run": run.id, "kind": run.kind} | asdict(run.status) | notes_dict(run)


def notes_dict(run: Run) -> dict[str, Any]:
    """The note and the tags of a job, ready for JSON."""
    from cxr.jobs.run_notes import notes_of

    notes = notes_of(run)
    return {"note": notes.note, "tags": list(notes.tags)}


def notes_text(run: Run) -> str:
    """The note and the tags of a job as lines; empty where it has none."""
    from cxr.jobs.run_notes import notes_of

    notes = notes_of(run)
    tags = " ".join(f"#{tag}" for tag in notes.tags)
    return "".join(f"{line}\n" for line in (tags, notes.note) if line)


def left_text(status: Status, history: Sequence[Mapping[str, float]] = ()) -> str:
    """The time that a job still takes, as in "about 5 min left"; empty where it is not known."""
    from cxr.core.number_format import duration
    from cxr.jobs.estimate import time_left_s

    left_s = time_left_s(status, history) if status.alive else None
    return "" if left_s is None else f"about {duration(left_s)} left"


def run_line(status: Status) -> str:
    """A run's progress and what it has made as one line."""
    epochs = f"epoch {status.epoch} of {status.epochs}" if status.epochs else ""
    epochs = f"{status.part} of {status.parts}, {epochs}".strip(", ") if status.parts else epochs
    step = f"{status.phase} {status.done} of {status.total}" if status.alive and status.total else status.phase
    left = left_text(status) if status.share is not None else ""
    made = status.model and f"model {status.model}"
    return ", ".join(part for part in (epochs, step, left, made, status.result) if part)
