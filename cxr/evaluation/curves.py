"""Answers to a question at every threshold: ROC, precision and recall, how scores are spread, whether they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.decisions import BinaryQuestion
from cxr.evaluation.evaluation import auc
from cxr.evaluation.metrics import BINS, bin_of

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RocCurve:
    """From everything called negative, a point for each distinct score downwards."""

    question: BinaryQuestion
    threshold: Values  # the first is infinite
    false_positives: Values  # 1 - specificity
    sensitivity: Values
    auc: float


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve:
    """From the highest score, a point for each distinct score downwards."""

    question: BinaryQuestion
    threshold: Values
    recall: Values
    precision: Values
    average_precision: float
    prevalence: float  # the precision of chance


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """How many films of each label have a score in each bin."""

    question: BinaryQuestion
    edges: Values
    films: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """Bins of scores that hold films: what was said there, and what was so."""

    question: BinaryQuestion
    mean_predicted: Values  # mean score
    observed: Values  # share of films of which the answer is yes
    films: NDArray[np.int64]
    brier: float
    expected_error: float  # mean distance of said and seen, weighted by films


def roc_curve(question: BinaryQuestion) -> RocCurve:
    threshold, yes, no = _steps(question)
    return RocCurve(
        question,
        np.append(np.inf, threshold),
        np.append(0, no) / no[-1],
        np.append(0, yes) / yes[-1],
        auc(question.truth, question.score),
    )


def precision_recall_curve(question: BinaryQuestion) -> PrecisionRecallCurve:
    threshold, yes, no = _steps(question)
    precision, recall = yes / (yes + no), yes / yes[-1]
    average = float((np.diff(recall, prepend=0) * precision).sum())
    return PrecisionRecallCurve(question, threshold, recall, precision, average, float(question.truth.mean()))


def score_histogram(question: BinaryQuestion, bins: int = 25) -> ScoreHistogram:
    edges = np.linspace(0, 1, bins + 1)
    labels = np.unique(question.label)
    films = {str(label): np.histogram(question.score[question.label == label], edges)[0] for label in labels}
    return ScoreHistogram(question, edges, films)


def calibration_curve(question: BinaryQuestion) -> CalibrationCurve:
    truth, score = question.truth.astype(float), question.score
    place = bin_of(score)
    films = np.bincount(place, minlength=BINS)
    there = films > 0
    said = np.bincount(place, score, BINS)[there] / films[there]
    seen = np.bincount(place, truth, BINS)[there] / films[there]
    return CalibrationCurve(
        question,
        said,
        seen,
        films[there],
        brier=float(((score - truth) ** 2).mean()),
        expected_error=float((np.abs(said - seen) * films[there]).sum() / len(score)),
    )


def _steps(question: BinaryQuestion) -> tuple[Values, Values, Values]:
    """Distinct scores, highest first, and how many films of each answer have that score or a higher one."""
    if not question.answerable:
        raise ValueError(f"There are not films of both answers to '{question}'.")
    order = np.argsort(-question.score, kind="stable")
    score, truth = question.score[order], question.truth[order]
    last = np.flatnonzero(np.append(np.diff(score) != 0, True))
    return score[last], np.cumsum(truth, dtype=float)[last], np.cumsum(~truth, dtype=float)[last]
