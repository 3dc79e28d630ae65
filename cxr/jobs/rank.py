"""Rankings of labels as jobs: features once, out-of-fold probabilities step by step, and a review if one is wanted.

Where a cross-validation has scored the X-rays already, its scores are taken instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cxr.core.access import Action, authorize
from cxr.core.atomic_files import write_atomically
from cxr.core.csv_files import frame_csv
from cxr.core.errors import RunError
from cxr.core.number_format import counted
from cxr.datasets.dataset import open_datasets
from cxr.evaluation.finished_steps import FinishedSteps
from cxr.evaluation.label_review.given_scores import rank_by_scores
from cxr.evaluation.label_review.ranking import LabelRanking, rank_dataset
from cxr.evaluation.label_review.review import ReviewSize, start_review
from cxr.jobs import run_store
from cxr.jobs.crossval_result import out_of_fold_scores
from cxr.jobs.job import Job
from cxr.jobs.parameters import RankParameters
from cxr.jobs.run import Run
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.stored_model_job import card_of, progress_of
from cxr.learning.image_features import IMAGENET
from cxr.learning.journal import Phase
from cxr.registry import registry

TABLE, SUMMARY = "ranking.csv", "ranking.json"  # in the run's result folder


def rank_job(
    data: str, features: str, reference: Sequence[str] = (), review: ReviewSize | None = None, scores: str = ""
) -> Job:
    """The job of ranking the labels of a dataset, and of starting a review of the least likely ones if wanted.

    `scores` is the ID of a cross-validation whose scores are taken instead of features.
    """
    authorize(Action.REVIEW_LABELS if review else Action.AUDIT_DATASET)
    if scores:
        scores = scored_run(scores, features, reference).id
    version = "" if features == IMAGENET else registry.get_card(features).version
    size = ReviewSize(0, 0) if review is None else review
    paths = tuple(str(Path(path).resolve()) for path in (data, *reference))
    return Job(RankParameters(features, version, size.suspects, size.controls, scores), paths)


def scored_run(scores: str, features: str, reference: Sequence[str]) -> Run:
    """The cross-validation of this ID, or its first characters, whose scores are taken.

    RunError where it has none, or where features are wanted as well.
    """
    if features != IMAGENET or reference:
        raise RunError(
            "Scores of a cross-validation need no features and no reference X-rays. Leave them out.",
            code="scores-need-no-features",
        )
    found = run_store.find(scores)
    out_of_fold_scores(found)
    return found


def rank_by_run(data: str, run: Run, progress: Callable[..., None]) -> LabelRanking:
    """The ranking of a dataset's labels by the scores of a finished cross-validation."""
    return rank_by_scores([data], out_of_fold_scores(run), run.id, progress)


def run(job: Job, journal: RunJournal) -> str:
    """How a ranking ended, in a sentence; it is in the run's folder."""
    asked = job.parameters_as(RankParameters)
    if asked.version:
        card_of(asked.features, asked.version)
    data, *reference = job.inputs
    steps = FinishedSteps(journal.run.steps_folder)
    steps.check_unchanged("films", " ".join(open_datasets([path]).digest for path in job.inputs))
    progress = progress_of(journal, Phase.COMPUTING_FEATURES)
    if asked.scores:
        ranking = rank_by_run(data, run_store.find(asked.scores), progress)
    else:
        ranking = rank_dataset([data], asked.features, progress, reference=reference, steps=steps)
    _store(journal.run, ranking)
    doubts = f"{int(ranking.quality.suspected.sum()):,} of {counted(len(ranking.labels), 'label')} may be wrong."
    if not asked.suspects:
        return doubts
    review = start_review(ranking, data, ReviewSize(asked.suspects, asked.controls), review_id=journal.run.id)
    journal.update(result=review.id)
    return f"{doubts} A review of {counted(len(review.items), 'X-ray')} has started."


def _store(run: Run, ranking: LabelRanking) -> None:
    run.result_folder.mkdir(exist_ok=True)
    write_atomically(run.result_folder / TABLE, frame_csv(ranking.table()))
    write_atomically(run.result_folder / SUMMARY, json.dumps(ranking.as_dict(0)))


def summary_of(run: Run) -> dict[str, Any] | None:
    """The summary of a finished ranking; None where there is none, or it is damaged."""
    try:
        stored = json.loads((run.result_folder / SUMMARY).read_bytes())
    except (OSError, ValueError):
        return None
    return stored if isinstance(stored, dict) else None
