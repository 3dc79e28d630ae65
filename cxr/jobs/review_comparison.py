"""Training again after a label review: the same recipe on the revised dataset, compared with the model before.

Both models are compared on test X-rays that the review did not touch: a label that readers have changed would favor the
model that was trained on their labels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict

from cxr.core.atomic_files import write_atomically
from cxr.core.errors import CxrError, DatasetError, RunError
from cxr.datasets.revisions.history import revisions
from cxr.evaluation.comparison import Comparison, ModelScores, compare_scores
from cxr.evaluation.label_review.review import LabelReview, find_review
from cxr.evaluation.scores import read_scores
from cxr.evaluation.training_films import roles_in_training
from cxr.jobs import run_store
from cxr.jobs.job import Job, adapter
from cxr.jobs.parameters import JobKind, TrainParameters
from cxr.jobs.run import Run
from cxr.jobs.training_plan import plan
from cxr.presentation.comparison_report import comparison_html, verdict
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.registry.film_ids import recognized

NAME = "retrain-"  # with which the names of such runs begin
REPORT, RESULT = "comparison.html", "comparison.json"  # in the run's result folder


@dataclass(frozen=True)
class ReviewComparison:
    """What a training after a review has shown, as its job stores it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    verdict: tuple[str, ...]
    touched: int  # test X-rays that the review touched, which take no part
    comparison: dict[str, Any]  # of the new model with the one before


def retrain_job(review: LabelReview, before: str, new: str, more: Sequence[str] | None = None) -> Job:
    """The job of training the recipe of the model `before` on the revised dataset, and of comparing both.

    `more` are other datasets that the recipe is trained on; without them, those that the model before had. DatasetError
    where the dataset was not revised.
    """
    if not was_revised(review):
        raise DatasetError("Revise the dataset by what the readers agree on first.", code="not-revised")
    others = other_datasets(before, review) if more is None else more
    job = plan(registry.get_recipe(before), [review.data, *others], new)
    return replace(job, parameters=replace(job.training, review=review.id, before=before))


def was_revised(review: LabelReview) -> bool:
    """Whether the dataset has a revision by this review."""
    return any(review.id in revision.why for revision in revisions(review.data))


def models_before(review: LabelReview) -> list[str]:
    """The models whose training knew X-rays of the review, so that one of them is the model before."""
    films = [item.film for item in review.items]
    return [card.name for card in registry.cards() if any(roles_in_training(card.name, films))]


def other_datasets(before: str, review: LabelReview) -> list[str]:
    """The datasets beside the reviewed one that the model before was trained on; none where its run is gone."""
    try:
        run = run_store.find(registry.get_card(before).run or "")
        return [path for path in run.job.inputs if path != str(Path(review.data).resolve())]
    except RunError:
        return []


def retrainings(review: LabelReview) -> list[Run]:
    """The trainings after this review, newest first."""
    runs = [run for run in run_store.all_runs() if run.name.startswith(NAME)]
    return [run for run in runs if run.kind is JobKind.TRAIN and run.job.training.review == review.id]


def compare_after_review(run: Run, asked: TrainParameters, name: str) -> str:
    """What the comparison of the new model with the one before shows, in sentences; it is stored with its report.

    Where they cannot be compared, the sentence says why; the new model is stored in any case.
    """
    try:
        cards = [registry.get_card(name), registry.get_card(asked.before)]
        comparison, touched = _compare(cards, find_review(asked.review))
    except CxrError as error:
        return f"It could not be compared: {error}"
    found = ReviewComparison(tuple(verdict(comparison)), touched, comparison.as_dict())
    run.result_folder.mkdir(exist_ok=True)
    write_atomically(run.result_folder / REPORT, comparison_html(comparison, cards))
    write_atomically(run.result_folder / RESULT, json.dumps(vars(found)))
    return " ".join(found.verdict)


def comparison_of(run: Run) -> ReviewComparison | None:
    """The comparison that a training after a review has stored; None where there is none, or it is damaged."""
    try:
        return adapter(ReviewComparison).validate_json((run.result_folder / RESULT).read_bytes())
    except (OSError, ValueError):
        return None


def _compare(cards: Sequence[Card], review: LabelReview) -> tuple[Comparison, int]:
    """The comparison on test X-rays that the review did not touch, and how many test X-rays it did touch."""
    reviewed = [item.film for item in review.items]
    models, most = [], 0
    for card in cards:
        scores = read_scores(registry.evaluation_path(card.name))
        scores = scores[scores["role"] == "test"]
        if "film" not in scores:
            raise DatasetError(f"The X-rays of '{card.name}' cannot be recognized.", code="unknown-films")
        touched = scores.assign(film=recognized(scores["film"].tolist(), reviewed))["film"].isin(reviewed)
        most = max(most, int(touched.sum()))
        models.append(ModelScores.from_card(card, scores[~touched]))
    return compare_scores(models[0], models[1]), most
