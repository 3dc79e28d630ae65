"""Labels ranked by scores that a cross-validation has left: X-rays known by their bytes, labels as they are now."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxr.core.ranking import roc_auc
from cxr.datasets.dataset import Dataset
from cxr.datasets.manifest import write_manifest
from cxr.evaluation.label_review.given_scores import rank_by_scores
from cxr.evaluation.label_review.review import ReviewSize, start_review
from cxr.evaluation.model_evaluation import film_ids
from tests.support.datasets import raises_code

CLASSES = ("bacterial", "normal", "viral")
JOB = "20260101-000000-ab12"


def silent(done: int, total: int, what: str = "") -> None:
    """No progress is shown."""


def scores_of(dataset: Dataset, classes: tuple[str, ...] = CLASSES, seed: int = 0) -> pd.DataFrame:
    """Scores that give the true class 0.6 to 0.9, for all X-rays that the manifest does not hold out as test."""
    dataset = dataset.with_column("film", film_ids(dataset, silent))
    dataset = dataset.where(dataset.table["split"] != "test")
    rng = np.random.default_rng(seed)
    own = rng.uniform(0.6, 0.9, len(dataset))
    table = dataset.table[["dataset", "path", "film", "label"]].assign(role="test")
    for name in classes:
        table[f"p_{name}"] = np.where(dataset.labels == name, own, (1 - own) / (len(classes) - 1))
    return table.sample(frac=1, random_state=seed)


@pytest.fixture
def swapped(phantoms: Path, tmp_path: Path) -> tuple[Path, pd.DataFrame, np.ndarray]:
    """A copy of the drawn X-rays elsewhere, scores from before, and the labels that were made wrong since."""
    scores = scores_of(Dataset.open(phantoms), (*CLASSES, "covid19"))
    folder = shutil.copytree(phantoms, tmp_path / "moved")
    dataset = Dataset.open(folder)
    rng = np.random.default_rng(1)
    wrong = np.zeros(len(dataset), bool)
    wrong[rng.permutation(np.flatnonzero(dataset.table["split"] != "test"))[:8]] = True
    label = np.where(wrong, np.where(dataset.labels == "viral", "normal", "viral"), dataset.labels)
    write_manifest(folder / "manifest.csv", dataset.with_column("label", label))
    return folder, scores, wrong


def test_labels_that_differ_from_the_scores_come_first_wherever_the_files_are(
    swapped: tuple[Path, pd.DataFrame, np.ndarray], home: Path
) -> None:
    folder, scores, wrong = swapped
    ranking = rank_by_scores([str(folder)], scores, JOB, silent)
    dataset = Dataset.open(folder)
    held_out = int((dataset.table["split"] == "test").sum())
    assert (len(ranking.labels), ranking.not_scored) == (len(dataset) - held_out, held_out)
    names = set(dataset.table["path"][wrong])
    assert set(ranking.table().head(8)["path"]) == names
    assert roc_auc(np.isin(ranking.films.table["path"], list(names)), -ranking.quality.margin) == 1
    assert (ranking.scores, ranking.backbone) == (JOB, "")
    assert ranking.as_dict(0)["scores"] == JOB
    review = start_review(ranking, str(folder), ReviewSize(4, 2))
    assert JOB in review.basis


def test_labels_without_a_score_are_left_out_and_the_rest_share_the_probability(phantoms: Path, home: Path) -> None:
    ranking = rank_by_scores([str(phantoms)], scores_of(Dataset.open(phantoms)), JOB, silent)
    assert ranking.classes == CLASSES
    assert list(ranking.left_out) == ["covid19"]
    assert ranking.probabilities.sum(axis=1) == pytest.approx(1)


def test_scores_of_other_x_rays_rank_nothing(phantoms: Path, others: Path, home: Path) -> None:
    scores = scores_of(Dataset.open(phantoms))
    with raises_code("dataset.no-scores"):
        rank_by_scores([str(others / "loose")], scores, JOB, silent)
    with raises_code("dataset.no-scores"):
        rank_by_scores([str(phantoms)], scores.drop(columns="film"), JOB, silent)
