"""`cxr labels`: labels that may be wrong are ranked, reviewed blind, and corrected in a revision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxr.cli import console
from cxr.cli.console import writing
from cxr.cli.jobs import start_in_background
from cxr.cli.options import Json, Wait
from cxr.core.number_format import counted, decimal, interval_range, percent, percent_with_interval

if TYPE_CHECKING:
    from cxr.evaluation.label_review.outcome import ReviewOutcome
    from cxr.evaluation.label_review.ranking import LabelRanking

app = typer.Typer(help="Find labels that may be wrong, review them blind, and correct them.", no_args_is_help=True)

SHOWN = 20  # rows of a ranking in a terminal; all of them are in the JSON and the CSV
Dataset = Annotated[Path, typer.Argument(help="A folder, ZIP or manifest.csv of X-rays.")]
Backbone = Annotated[
    str, typer.Option("--features", help='"imagenet", or a model in the registry, whose backbone gives the features.')
]
Reference = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        help="Other labeled X-rays that help to train the heads, where scanner or view separate the classes here.",
    ),
]
Scores = Annotated[
    str,
    typer.Option(
        help="The ID of a finished cross-validation whose out-of-fold scores are taken, without computing features."
    ),
]
Detach = Annotated[bool, typer.Option("--detach", help="Run as a job in the background.")]
ReviewId = Annotated[str, typer.Argument(help="The id of a review.")]


@app.command()
def rank(
    data: Dataset,
    features: Backbone = "imagenet",
    reference: Reference = None,
    scores: Scores = "",
    csv: Annotated[Path | None, typer.Option(help="Write the whole ranking to this file.")] = None,
    detach: Detach = False,
    as_json: Json = False,
) -> None:
    """Rank all X-rays by how unlikely their label is, by confident learning on out-of-fold probabilities."""
    from cxr.core.csv_files import frame_csv

    if detach:
        from cxr.jobs.rank import rank_job

        if csv:
            raise typer.BadParameter("A job keeps its ranking; leave --csv out.")
        start_in_background(rank_job(_place(data), features, reference or (), scores=scores), as_json)
        return
    ranking = _ranking(data, features, reference, scores)
    if csv:
        with writing(csv):
            csv.write_text(frame_csv(ranking.table()), "utf-8")
    console.print_json(ranking.as_dict()) if as_json else _print_ranking(ranking)


@app.command()
def review(
    data: Dataset,
    features: Backbone = "imagenet",
    reference: Reference = None,
    suspects: Annotated[int, typer.Option(min=1, max=5000, help="X-rays with the least likely labels.")] = 30,
    controls: Annotated[int, typer.Option(min=0, max=5000, help="X-rays drawn from the rest, mixed with them.")] = 10,
    detach: Detach = False,
    as_json: Json = False,
) -> None:
    """Start a blinded review; readers answer on the page Data, under Labels."""
    from cxr.evaluation.label_review.review import ReviewSize, start_review

    size = ReviewSize(suspects, controls)
    if detach:
        from cxr.jobs.rank import rank_job

        start_in_background(rank_job(_place(data), features, reference or (), size), as_json)
        return
    made = start_review(_ranking(data, features, reference), _place(data), size)
    if as_json:
        console.print_json({"review": made.id, "films": len(made.items), "classes": list(made.classes)})
    else:
        typer.echo(
            f"Started review {made.id} of {counted(len(made.items), 'X-ray')}. Readers find it on the page Data."
        )


@app.command()
def outcome(review_id: ReviewId, as_json: Json = False) -> None:
    """Show what a review found: agreed changes, disagreements, and how often suspects and controls were wrong."""
    from cxr.evaluation.label_review.outcome import review_outcome
    from cxr.evaluation.label_review.review import find_review

    found = review_outcome(find_review(review_id))
    console.print_json(found.as_dict()) if as_json else _print_outcome(found)


@app.command()
def apply(review_id: ReviewId, as_json: Json = False) -> None:
    """Revise the dataset by what all readers of a review agree on; the old manifest is kept."""
    from cxr.evaluation.label_review.outcome import revise_by_review
    from cxr.evaluation.label_review.review import find_review

    revision = revise_by_review(find_review(review_id)).revision
    if as_json:
        console.print_json(revision.model_dump(mode="json"))
    else:
        typer.echo(f"Saved as revision {revision.number} with {counted(len(revision.edits), 'edit')}.")


@app.command()
def retrain(
    review_id: ReviewId,
    model: Annotated[str, typer.Option(help="The model that was trained before the review.")],
    name: Annotated[str | None, typer.Option(help="The name of the new model.")] = None,
    more: Annotated[list[str] | None, typer.Option("--data", help="Other datasets to train on, as before.")] = None,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Train a model's recipe again on the dataset that a review has revised, and compare both models.

    They are compared on test X-rays that the review did not touch: paired bootstrap, McNemar's and DeLong's tests.
    """
    from cxr.evaluation.label_review.review import find_review
    from cxr.jobs import run_store
    from cxr.jobs.model_names import free_name
    from cxr.jobs.review_comparison import NAME, REPORT, comparison_of, retrain_job

    job = retrain_job(find_review(review_id), model, name or free_name(f"{model[:50]}-revised"), more)
    run = run_store.start(job, f"{NAME}{model}")
    if not wait:
        message = f"Started job {run.id}. Show its progress: cxr jobs watch {run.id}"
        console.print_json({"run": run.id}) if as_json else typer.echo(message)
        return
    console.follow_to_end(run, as_json, quiet=as_json)
    found = comparison_of(run)
    if as_json:
        console.print_json(console.run_dict(run) | {"comparison": vars(found) if found else None})
    elif found:
        typer.echo(f"Report: {run.result_folder / REPORT}")


def _place(data: Path) -> str:
    """The dataset's path as the list of datasets has it: the folder, not its manifest."""
    from cxr.datasets.archive import MANIFEST

    place = data.resolve()
    return str(place.parent if place.name == MANIFEST else place)


def _ranking(data: Path, features: str, reference: list[str] | None, scores: str = "") -> LabelRanking:
    from cxr.evaluation.label_review.ranking import rank_dataset

    if scores:
        from cxr.jobs.rank import rank_by_run, scored_run

        run = scored_run(scores, features, reference or ())
        with console.bar("Recognizing X-rays") as progress:
            return rank_by_run(str(data), run, progress)
    with console.bar("Computing features") as progress:
        return rank_dataset([str(data)], features, progress, reference=reference or ())


def _print_ranking(ranking: LabelRanking) -> None:
    from cxr.datasets.labels import display_name
    from cxr.evaluation.label_review.review import basis_text

    reference = f", {counted(ranking.reference_films, 'reference X-ray')}" if ranking.reference_films else ""
    basis = basis_text(ranking.backbone, ranking.scores)
    typer.echo(f"{counted(len(ranking.labels), 'X-ray')}, {basis}{reference}.")
    if ranking.not_scored:
        typer.echo(f"{counted(ranking.not_scored, 'X-ray')} without a score there left out.")
    for name, interval in ranking.wrong.items():
        bounds = interval_range(interval.low, interval.high, 0)
        typer.echo(f"{display_name(name)}: {decimal(interval.value, 0)} labels estimated to be wrong ({bounds})")
    if ranking.trained_on:
        typer.echo(
            f"Caution: {counted(ranking.trained_on, 'X-ray')} trained this backbone, so their labels may hide in it."
        )
    table = ranking.table()
    for row in table.head(SHOWN).to_dict("records"):
        shares = f"{percent(row['p_label'])} {row['label']}, {percent(row['p_suggested'])} {row['suggested']}"
        typer.echo(f"{row['rank']:5}  {row['path']}  {shares}")
    if len(table) > SHOWN:
        typer.echo(f"... and {len(table) - SHOWN} more: --csv FILE writes all.")


def _print_outcome(found: ReviewOutcome) -> None:
    typer.echo(f"Review {found.review.id}: {counted(len(found.readers), 'reader')}, {len(found.labels)} X-rays.")
    for name, control in (("suspects", False), ("controls", True)):
        share = found.wrong_share(control)
        typer.echo(f"Wrong among {name}: {percent_with_interval(share.value, share.low, share.high)}")
    typer.echo(f"Cohen's kappa: {decimal(found.kappa, 2)}")
    for edit in found.edits:
        typer.echo(f"    {edit.subject}: {edit.kind} {edit.value}".rstrip())
    for label in found.disputed:
        answers = ", ".join(f"{reader} {answer}" for reader, answer in label.answers.items())
        typer.echo(f"    {label.item.path}: disputed ({answers})")
