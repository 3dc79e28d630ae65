"""A ranking of labels by probabilities that exist already: the out-of-fold scores of a finished cross-validation.

A cross-validation has trained whole models, fine-tuned ones too, and each X-ray was scored by one that saw no image of
its patient. No feature is computed then and no head trained. X-rays are recognized by their bytes; labels are those of
the dataset now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from cxr.core.access import Action, authorize
from cxr.core.errors import DatasetError
from cxr.datasets.dataset import open_datasets
from cxr.datasets.quality.copies import with_known_copies
from cxr.evaluation.label_review.ranking import LabelRanking, RankedFilms, reviewed_classes
from cxr.evaluation.model_evaluation import film_ids
from cxr.evaluation.scores import PREFIX, probabilities_of


def rank_by_scores(
    paths: Sequence[str], scores: pd.DataFrame, job: str, progress: Callable[..., None], seed: int = 0
) -> LabelRanking:
    """The ranking of the labels of these datasets by the scores of this job, a score table with a column `film`.

    X-rays without a score, such as the manifest's test X-rays, and labels that are no class of the scores are left out.
    DatasetError where nothing is left.
    """
    authorize(Action.AUDIT_DATASET)
    dataset = with_known_copies(open_datasets(paths))
    dataset = dataset.with_column("film", film_ids(dataset, progress))
    row_of = {film: row for row, film in enumerate(scores.get("film", ())) if film}
    films = dataset.table["film"]
    scored = films.isin(row_of).to_numpy(bool)
    if not scored.any():
        raise DatasetError(f"The job {job} has scores of none of these X-rays.", code="no-scores")
    unreadable = {str(path): "The file cannot be read." for path in dataset.table["path"][films == ""]}
    candidates = dataset.where(scored)
    has_column = candidates.labels.map(lambda label: f"{PREFIX}{label}" in scores).to_numpy(bool)
    classes = reviewed_classes(candidates.where(has_column))
    ranked = RankedFilms.from_films(candidates, classes)
    rows = [row_of[film] for film in ranked.films.table["film"]]
    probabilities = probabilities_of(scores.iloc[rows], classes)
    probabilities = probabilities / np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-9)
    return ranked.ranking(
        probabilities, seed, scores=job, unreadable=unreadable, not_scored=int((~scored).sum()) - len(unreadable)
    )
