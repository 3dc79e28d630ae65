"""`cxr evaluate`, `cxr compare`, `cxr audit-model`: evaluations on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cxr.cli import console, evaluation_text
from cxr.cli.console import writing
from cxr.cli.jobs import model_card, start_in_background
from cxr.cli.options import Data, Json, Model, takes_options
from cxr.core.csv_files import frame_csv
from cxr.core.errors import CxrError
from cxr.core.remote_files import path_of


class Split(StrEnum):
    """The splits of a dataset that a model can be evaluated on."""

    train = "train"
    val = "val"
    test = "test"
    all = "all"


@dataclass(frozen=True)
class EvaluateOptions:
    """The arguments of `cxr evaluate`."""

    data: Data
    model: Model = None
    split: Annotated[Split | None, typer.Option(help="By default, the held-out X-rays only.")] = None
    readings: Annotated[
        str | None, typer.Option(help="Use the readings of this folder, made by cxr read, instead of reading again.")
    ] = None
    scores: Annotated[Path | None, typer.Option(help="Write the scores of each X-ray to this CSV file.")] = None
    intervals: Annotated[bool, typer.Option("--intervals", help="Add a 95% CI to each metric.")] = False
    by: Annotated[str | None, typer.Option(help="Add subgroup metrics by source, view, sex or age.")] = None
    save: Annotated[bool, typer.Option("--save", help="Save the evaluation for the page Evaluate.")] = False
    detach: Annotated[bool, typer.Option("--detach", help="Run as a job in the background, and save the result.")] = (
        False
    )
    keep: Annotated[bool, typer.Option("--keep", hidden=True)] = False  # the name of --save in version 0.1
    as_json: Json = False

    @property
    def saves(self) -> bool:
        """Whether the evaluation is saved."""
        return self.save or self.keep


@takes_options(EvaluateOptions)
def evaluate(options: EvaluateOptions) -> None:
    """Evaluate a model on labeled X-rays."""
    from cxr.evaluation import grouping, model_evaluation
    from cxr.evaluation import stored_evaluations as stored_scores
    from cxr.evaluation.indeterminate import selective_metrics
    from cxr.evaluation.metric_intervals import metric_intervals
    from cxr.evaluation.subgroups import Partition, subgroup_metrics

    if options.detach:
        _check_detached(options)
        from cxr.jobs.evaluate import evaluation_job

        start_in_background(evaluation_job(model_card(options.model), options.data, options.split), options.as_json)
        return
    with console.bar("Reading X-rays") as progress:
        result = (
            model_evaluation.evaluate_readings(path_of(options.readings), options.data, options.split, progress)
            if options.readings
            else model_evaluation.evaluate_model(options.model, options.data, options.split, progress)
        )
    if options.model not in (None, result.card.name):
        raise CxrError(f"These readings were made by '{result.card.name}'.", code="other-model")
    if options.scores:
        with writing(options.scores):
            options.scores.write_text(frame_csv(result.scores), "utf-8")
    cases = result.cases
    metrics = metric_intervals(cases) if options.intervals else {}
    groups = subgroup_metrics(cases, options.by) if options.by else None
    sources = Partition.of(cases, "source").values(cases) if grouping.divides(cases.films, "source") else ()
    band = result.card.unsure if options.intervals else None
    selective = selective_metrics(cases, band) if band else None
    if options.saves:
        title = _title(result.scores["dataset"].unique().tolist(), options.readings)
        stored_scores.store_evaluation(result.card, title, options.split, result.scores)
    if options.as_json:
        answer = result.evaluation.as_dict() | {"unreadable": result.unreadable, "takes_no_part": result.left_out}
        answer["rejected_by_input_check"] = len(result.rejected)
        if sources:
            answer["sources"] = [source.as_dict() for source in sources]
        if options.intervals:
            answer["intervals"] = {name: interval.as_dict() for name, interval in metrics.items()}
            answer["sure"] = selective.as_dict() if selective else None
        if groups:
            answer["groups"] = groups.as_dict()
        console.print_json(answer)
        return
    for path, reason in result.unreadable.items():
        typer.echo(f"Excluded {path}: {reason}", err=True)
    for sentence in filter(None, [*result.left_out, result.rejected.sentence]):
        typer.echo(sentence, err=True)
    evaluation_text.print_evaluation(result.evaluation)
    if sources:
        evaluation_text.print_sources(sources)
    if options.intervals:
        evaluation_text.print_intervals(metrics)
    if selective:
        evaluation_text.print_selective(selective)
    if groups:
        evaluation_text.print_subgroups(groups)


def _check_detached(options: EvaluateOptions) -> None:
    """Refuses, with a job in the background, what only this process could print or write."""
    if options.readings:
        raise typer.BadParameter("Readings are evaluated in seconds; leave out --detach.")
    if options.scores or options.intervals or options.by:
        raise typer.BadParameter(
            "A job in the background stores its scores, and the page Evaluate shows the rest. Leave out --detach, or "
            "--scores, --intervals and --by."
        )


def _title(datasets: list[str], readings: str | None) -> str:
    """What an evaluation is stored under: its datasets, and that they were read in int8, where they were."""
    from cxr.inference.archive.parts import facts_of

    in_int8 = readings is not None and facts_of(path_of(readings)).get("precision") == "int8"
    return "+".join(datasets) + (" in int8" if in_int8 else "")


def compare(
    first: Annotated[str, typer.Argument(help="A model in the registry.")],
    second: Annotated[str, typer.Argument(help="Another model.")],
    data: Annotated[list[str] | None, typer.Option("--data", help="X-rays for both models to read.")] = None,
    split: Annotated[
        Split | None, typer.Option(help="By default, the X-rays held out from the training of both.")
    ] = None,
    stored: Annotated[
        bool, typer.Option("--stored", help="Compare the stored scores of both held-out test sets.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Write a report (HTML) with a verdict in words.")] = None,
    as_json: Json = False,
) -> None:
    """Compare two models on the same X-rays: differences with 95% CI, and discordant predictions."""
    from cxr.evaluation import model_evaluation

    if bool(data) == stored:
        raise typer.BadParameter("Use either --data or --stored.")
    if stored and split:
        raise typer.BadParameter("Stored scores are those of the test sets; --split needs --data.")
    with console.bar("Reading X-rays") as progress:
        result = model_evaluation.compare_models(first, second, data or [], split, progress)
    if report:
        from cxr.presentation.comparison_report import comparison_html
        from cxr.registry import registry

        with writing(report):
            report.write_text(comparison_html(result, [registry.get_card(name) for name in (first, second)]), "utf-8")
    console.print_json(result.as_dict()) if as_json else evaluation_text.print_comparison(result)


def audit_model(
    name: Annotated[str, typer.Argument(help="A model in the registry.")],
    data: Data,
    detach: Annotated[bool, typer.Option("--detach", help="Run as a job in the background.")] = False,
    as_json: Json = False,
) -> None:
    """Audit a model for shortcut learning and test its heatmaps; the audit is stored with the model."""
    from cxr.evaluation import model_evaluation

    if detach:
        from cxr.jobs.audit import audit_job

        start_in_background(audit_job(model_card(name), data), as_json)
        return
    with console.bar("Reading X-rays") as progress:
        result = model_evaluation.audit_model(name, data, progress)
    console.print_json(result.as_dict()) if as_json else evaluation_text.print_shortcuts(result)
