"""`cxr evaluate`, `cxr compare`, `cxr audit-model`: how far a model can be trusted, on the command line."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cxr.cli import console
from cxr.cli.console import Data, Json, Model, writing


class Split(StrEnum):
    train = "train"
    val = "val"
    test = "test"
    all = "all"


def evaluate(
    data: Data,
    model: Model = None,
    split: Annotated[Split | None, typer.Option(help="Without it: the films that the model may be judged by.")] = None,
    scores: Annotated[Path | None, typer.Option(help="Write the score of every film to this CSV.")] = None,
    intervals: Annotated[bool, typer.Option("--intervals", help="Every figure with its 95 % interval.")] = False,
    by: Annotated[str | None, typer.Option(help="Judge groups of films too: by source, view, sex or age.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the scores for the page Evaluate.")] = False,
    as_json: Json = False,
) -> None:
    """Judge a model on labelled films."""
    from cxr.evaluation import model_evaluation
    from cxr.evaluation import stored as stored_scores
    from cxr.evaluation.indeterminate import selective_metrics
    from cxr.evaluation.intervals import metric_intervals
    from cxr.evaluation.subgroups import subgroup_metrics

    with console.bar("Reading films") as progress:
        judged = model_evaluation.evaluate_model(model, data, split, progress)
    if scores:
        with writing(scores):
            judged.scores.to_csv(scores, index=False)
    what = (judged.scores, judged.labels, judged.card.threshold)
    figures = metric_intervals(*what) if intervals else {}
    groups = subgroup_metrics(*what, by) if by else None
    band = judged.card.unsure if intervals else None
    sure = selective_metrics(*what, band) if band else None
    if keep:
        stored_scores.store_evaluation(judged.card, "+".join(judged.scores["dataset"].unique()), split, judged.scores)
    if as_json:
        said = judged.evaluation.as_dict() | {"unreadable": judged.unreadable, "takes_no_part": judged.left_out}
        if intervals:
            said["intervals"] = {name: figure.as_dict() for name, figure in figures.items()}
            said["sure"] = sure.as_dict() if sure else None
        if groups:
            said["groups"] = groups.as_dict()
        console.print_json(said)
        return
    for path, reason in judged.unreadable.items():
        typer.echo(f"Left out {path}: {reason}", err=True)
    for sentence in judged.left_out:
        typer.echo(sentence, err=True)
    console.print_evaluation(judged.evaluation)
    if intervals:
        console.print_intervals(figures)
    if sure:
        console.print_outside(sure)
    if groups:
        console.print_subgroups(groups)


def compare(
    first: Annotated[str, typer.Argument(help="A model on the shelf.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    data: Annotated[list[str] | None, typer.Option("--data", help="Films to read with both.")] = None,
    split: Annotated[Split | None, typer.Option(help="Without it: the films that both may be judged by.")] = None,
    stored: Annotated[bool, typer.Option("--stored", help="The test films whose scores are stored with both.")] = False,
    as_json: Json = False,
) -> None:
    """Compare two models on the same films: differences with their intervals, and the films they differ on."""
    from cxr.evaluation import model_evaluation

    if bool(data) == stored:
        raise typer.BadParameter("Give films with --data, or --stored, and not both.")
    with console.bar("Reading films") as progress:
        found = model_evaluation.compare_models(first, second, data or [], split, progress)
    console.print_json(found.as_dict()) if as_json else console.print_comparison(found)


def audit_model(
    name: Annotated[str, typer.Argument(help="A model on the shelf.")],
    data: Data,
    as_json: Json = False,
) -> None:
    """Ask whether a model can answer without the lungs and whether its heatmaps mean something; kept with it."""
    from cxr.evaluation import model_evaluation

    with console.bar("Reading films") as progress:
        found = model_evaluation.audit_model(name, data, progress)
    console.print_json(found.as_dict()) if as_json else console.print_shortcuts(found)
