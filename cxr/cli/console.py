"""What a terminal shows: progress bars, followed runs, tables, JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr.core.errors import CxrError, RunError

if TYPE_CHECKING:
    from cxr.evaluation.comparison import Comparison
    from cxr.evaluation.evaluation import Evaluation
    from cxr.evaluation.indeterminate import SelectiveMetrics
    from cxr.evaluation.interval import Interval
    from cxr.evaluation.shortcuts.report import ProbeResult, ShortcutAudit
    from cxr.evaluation.subgroups import SubgroupMetrics
    from cxr.jobs.run import Run, Status

POLL_S = 0.5
MOST_LISTED = 20
OF_GROUPS = ("accuracy", "binary.auc", "binary.sensitivity", "binary.specificity")
Data = Annotated[
    list[str], typer.Option("--data", help="A folder, ZIP or manifest.csv of films; may be given several times.")
]
Model = Annotated[str | None, typer.Option("--model", help="A model on the shelf; without it, the one in use.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def print_json(value: Any) -> None:
    """Strict JSON: what is not a number is null."""
    strict = json.loads(json.dumps(value), parse_constant=lambda _: None)
    typer.echo(json.dumps(strict, indent=2, ensure_ascii=False))


def listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or '(none)'} {count}" for name, count in counts.items())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """The path's folder is there; what cannot be written is an error in words."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise CxrError(f"{path} cannot be written: {error.strerror or error}.") from error


@contextmanager
def bar(title: str) -> Iterator[Callable[..., None]]:
    """A bar on standard error while something long goes on; (done, total), with other words or not, moves it."""
    from rich.console import Console
    from rich.progress import Progress

    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task(title, total=None)

        def move(done: int, total: int, what: str = "") -> None:
            progress.update(task, completed=done, total=total, description=what or title)

        yield move


def follow(run: Run) -> Status:
    """Show a run's progress until it ends. Ctrl-C asks it to stop; a second one no longer waits for that."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from cxr.jobs import run_store

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    told, asked = 0, False
    screen = Console(stderr=True)
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("starting", total=None)
        while (status := run.status).alive:
            try:
                history = run.history()
                for row in history[told:]:
                    progress.console.print(epoch_line(row), soft_wrap=True)
                told = max(told, len(history))
                where = f"epoch {status.epoch} of {status.epochs}" if status.phase == "training" else status.phase
                progress.update(
                    task, description=where or status.state, completed=status.done, total=status.total or None
                )
                time.sleep(POLL_S)
            except KeyboardInterrupt:
                if asked:
                    raise RunError(f"Run {run.id} is stopping. See: python -m cxr runs show {run.id}") from None
                asked = True
                progress.console.print("Stopping after this step; the best weights so far are kept.")
                with suppress(RunError):  # it may have ended just now
                    run_store.stop(run)
    for row in run.history()[told:]:
        typer.echo(epoch_line(row), err=True)
    return status


def end_of(run: Run, as_json: bool) -> None:
    """Follow a run to its end and say how it ended; RunError where it brought no model."""
    status = follow(run)
    if status.state == "failed" or (status.state != "finished" and not status.model):
        raise RunError(status.sentence or f"Run {run.id} ended without a result.")
    if as_json:
        print_json(run_dict(run))
    else:
        typer.echo(status.sentence)


def epoch_line(row: Mapping[str, float]) -> str:
    return (
        f"epoch {row['epoch']:.0f}  loss {row['loss']:.3f}  accuracy {row['accuracy']:.3f}  "
        f"val_loss {row['val_loss']:.3f}  val_accuracy {row['val_accuracy']:.3f}  val_auc {row['val_auc']:.3f}  "
        f"{row['seconds']:.1f} s"
    )


def run_dict(run: Run) -> dict[str, Any]:
    from dataclasses import asdict

    return {"run": run.id} | asdict(run.status)


def run_line(status: Status) -> str:
    epochs = f"epoch {status.epoch} of {status.epochs}" if status.epochs else ""
    step = f"{status.phase} {status.done} of {status.total}" if status.alive and status.total else status.phase
    return ", ".join(part for part in (epochs, step, status.model and f"model {status.model}") if part)


def print_evaluation(evaluation: Evaluation) -> None:
    typer.echo(f"{evaluation.n} films; accuracy {evaluation.accuracy:.3f}, macro F1 {evaluation.macro_f1:.3f}")
    for name in evaluation.classes:
        typer.echo(f"  {name:12} AUC {evaluation.auc[name]:.3f}  recall {evaluation.recall[name]:.3f}")
    if evaluation.binary:
        both = evaluation.binary
        at = "most probable class" if evaluation.threshold is None else f"threshold {evaluation.threshold:.4f}"
        typer.echo(
            f"{evaluation.negative} against all else, {at}: AUC {both.auc:.3f}, accuracy {both.accuracy:.3f}, "
            f"sensitivity {both.sensitivity:.3f}, specificity {both.specificity:.3f} ({both.n} films)"
        )
    wide = max(13, *(len(name) + 1 for name in evaluation.rows))
    typer.echo(f"{'decision:':{wide}}" + "".join(f"{name:>12}" for name in evaluation.classes))
    for name, row in evaluation.rows.items():
        typer.echo(f"{name:{wide}}" + "".join(f"{count:12}" for count in row))
    if evaluation.left_out:
        typer.echo(f"{evaluation.left_out} films were left out: the model does not know their label.")


def interval_text(interval: Interval) -> str:
    """0.912 (0.887 to 0.934), or the bare value where its bounds cannot be told."""
    known = isfinite(interval.low) and isfinite(interval.high)
    bounds = f" ({interval.low:.3f} to {interval.high:.3f})" if known else ""
    return f"{interval.value:.3f}{bounds}"


def print_intervals(intervals: Mapping[str, Interval]) -> None:
    typer.echo("with 95 % intervals, patients drawn anew:")
    for name, interval in intervals.items():
        typer.echo(f"  {name:28} {interval_text(interval)}")


def print_outside(found: SelectiveMetrics) -> None:
    typer.echo(
        f"outside of the unsure band: {found.n} films ({found.share:.0%}), accuracy {interval_text(found.accuracy)}"
    )


def print_subgroups(found: SubgroupMetrics) -> None:
    from cxr.evaluation.subgroups import TOO_FEW

    for group in found.groups:
        sides = "" if group.positive is None else f", {group.positive} with the finding, {group.negative} without"
        typer.echo(f"{found.column} {group.name}: {group.n} films of {group.patients} patients{sides}")
        for name in OF_GROUPS:
            if name in group.figures:
                said = TOO_FEW if group.too_few(name) else interval_text(group.figures[name])
                typer.echo(f"  {name:28} {said}")
    typer.echo(found.sentence)


def print_comparison(found: Comparison) -> None:
    typer.echo(f"{found.n} films of {found.patients} patients, {found.left_out} left out; question: {found.question}")
    for name, (one, other), apart in (
        ("accuracy", found.accuracy, found.accuracy_difference),
        ("AUC", found.auc, found.auc_difference),
    ):
        typer.echo(f"{name:10} {found.first}: {interval_text(one)}, {found.second}: {interval_text(other)}")
        typer.echo(f"{'':10} difference: {interval_text(apart)}")
    delong = f", DeLong p = {found.delong_p:.3g}" if isfinite(found.delong_p) else ""
    typer.echo(
        f"only {found.first} right: {found.only_first_right}, only {found.second} right: {found.only_second_right}; "
        f"McNemar p = {found.mcnemar_p:.3g}{delong} (as if no patient had two films)"
    )
    for row in found.differing.head(MOST_LISTED).to_dict("records"):
        typer.echo(f"  {row['path']}: {row['label']}; {row['first']} / {row['second']}")
    if len(found.differing) > MOST_LISTED:
        typer.echo(f"  and {len(found.differing) - MOST_LISTED} more; all with --json")


def print_shortcuts(found: ShortcutAudit) -> None:
    """The verdict first, then what it rests on."""
    measured, lines = found.measured, [found.verdict.sentence]
    lines += [f"  because: {reason}" for reason in found.verdict.reasons]
    lines += [f"  besides: {remark}" for remark in found.verdict.remarks]
    roles = listed({role or "not seen in training": count for role, count in measured.by_role.items()})
    hidden = "their outlines" if measured.lungs == "outline" else "a box, as not all films have outlines"
    lines += [f"{measured.films} films of {measured.patients} patients ({roles}); lungs by {hidden}"]
    lines += [f"  {source}: {listed(counts)}" for source, counts in measured.by_source.items()]
    lines += [f"  {note}" for note in measured.notes]
    for title, told in (
        ("light heads, trained anew on", measured.heads),
        ("the model's own scores of", measured.own),
        ("alone, of what is not the lungs:", measured.probes),
        ("the source, from the features:", (measured.source,) if measured.source else ()),
    ):
        lines += [title] * bool(told) + [line for one in told for line in _told_lines(one)]
    if measured.together:
        lines.append(f"class and source together, Cramer's V: {interval_text(measured.together)}")
    for source in measured.sources:
        lines.append(f"source {source.name}, {source.films} films")
        of = {"AUC within it": source.inside, "AUC without it": source.outside, "right without it": source.right}
        said = {name: interval_text(one) if isfinite(one.value) else "cannot be told" for name, one in of.items()}
        lines += [f"  {name:28} {value}" for name, value in said.items()]
    for heat in measured.heat:
        where = "the outlined lungs" if heat.lungs == "outline" else "the box"
        lines.append(
            f"heat of {heat.label} in {where}: {interval_text(heat.share)}, of an even map {heat.uniform:.3f} "
            f"({heat.films} films)"
        )
    for step in measured.randomised:
        same = f"rank correlation {interval_text(step.correlation)}, SSIM {step.ssim:.3f}"
        lines.append(f"heatmaps, weights shuffled down to {step.block}: {same}")
    if measured.deletion:
        gap = interval_text(measured.deletion.between)
        lines.append(f"score lost by hiding the hottest rather than elsewhere: {gap} ({measured.deletion.films} films)")
    typer.echo("\n".join(lines))


def _told_lines(told: ProbeResult) -> list[str]:
    kept = f", {told.kept.value:.0%} of the whole film's" if told.kept else ""
    each = [f"    {name:26} AUC {interval_text(area)}" for name, area in told.classes.items()]
    return [f"  {told.name:28} AUC {interval_text(told.auc)}{kept}", *each]
