"""Curves of a binary question over all thresholds: ROC, precision-recall, score histogram, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr.core.ranking import roc_auc
from cxr.evaluation.decisions import BinaryQuestion
from cxr.evaluation.metrics import BINS, bin_index

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RocCurve:
    """The points of an ROC curve: first all films negative, then one point for each distinct score downwards."""

    question: BinaryQuestion
    thresholds: Values  # the first is infinite
    false_positive_rate: Values  # 1 - specificity
    sensitivity: Values
    auc: float


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve:
    """The points of a precision-recall curve, one for each distinct score from the highest down."""

    question: BinaryQuestion
    thresholds: Values
    recall: Values
    precision: Values
    average_precision: float
    prevalence: float  # the precision of a random score


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """The number of films of each label in each bin of scores."""

    question: BinaryQuestion
    edges: Values
    films: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """The mean predicted score and the observed frequency in each bin that has films."""

    question: BinaryQuestion
    mean_predicted: Values
    observed_frequency: Values  # share of films that are positive
    films: NDArray[np.int64]
    brier: float
    expected_error: float  # mean distance of the two, weighted by films
    bias: float  # mean score minus observed frequency


def roc_curve(question: BinaryQuestion) -> RocCurve:
    """The ROC curve of the question."""
    thresholds, positives, negatives = _cumulative_counts(question)
    return RocCurve(
        question,
        np.append(np.inf, thresholds),
        np.append(0, negatives) / negatives[-1],
        np.append(0, positives) / positives[-1],
        roc_auc(question.reference, question.scores),
    )


def precision_recall_curve(question: BinaryQuestion) -> PrecisionRecallCurve:
    """The precision-recall curve of the question."""
    thresholds, positives, negatives = _cumulative_counts(question)
    precision, recall = positives / (positives + negatives), positives / positives[-1]
    average = float((np.diff(recall, prepend=0) * precision).sum())
    return PrecisionRecallCurve(question, thresholds, recall, precision, average, float(question.reference.mean()))


def score_histogram(question: BinaryQuestion, bins: int = 25) -> ScoreHistogram:
    """The histogram of the question's scores for each label."""
    edges = np.linspace(0, 1, bins + 1)
    labels = np.unique(question.labels)
    films = {str(label): np.histogram(question.scores[question.labels == label], edges)[0] for label in labels}
    return ScoreHistogram(question, edges, films)


def calibration_curve(question: BinaryQuestion) -> CalibrationCurve:
    """The calibration curve of the question's scores, with its Brier score and expected calibration error."""
    reference, scores = question.reference.astype(float), question.scores
    bins = bin_index(scores)
    films = np.bincount(bins, minlength=BINS)
    filled = films > 0
    predicted = np.bincount(bins, scores, BINS)[filled] / films[filled]
    observed = np.bincount(bins, reference, BINS)[filled] / films[filled]
    return CalibrationCurve(
        question,
        predicted,
        observed,
        films[filled],
        brier=float(((scores - reference) ** 2).mean()),
        expected_error=float((np.abs(predicted - observed) * films[filled]).sum() / len(scores)),
        bias=float((scores - reference).mean()),
    )


def _cumulative_counts(question: BinaryQuestion) -> tuple[Values, Values, Values]:
    """The distinct scores, highest first, and how many positive and negative films have that score or a higher one."""
    if not question.answerable:
        raise ValueError(f"There are not both positive and negative films of '{question}'.")
    order = np.argsort(-question.scores, kind="stable")
    scores, reference = question.scores[order].astype(float), question.reference[order]
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True))
    return scores[last], np.cumsum(reference, dtype=float)[last], np.cumsum(~reference, dtype=float)[last]
