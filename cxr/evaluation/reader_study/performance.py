"""How well readings tell cases with a finding from those without: sensitivity, specificity, accuracy and AUC.

A reader's confidence in an answer becomes a rating: the probability that the reader gives to a finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.intervals import (
    UNKNOWN,
    Interval,
    proportion_interval,
)
from cxr.evaluation.metric_intervals import interval_of_auc
from cxr.evaluation.metrics import Floats
from cxr.inference.reader_responses import ReaderResponse


@dataclass(frozen=True)
class Performance:
    """Sensitivity, specificity, accuracy and AUC of one set of readings, each with its 95% interval."""

    sensitivity: Interval
    specificity: Interval
    accuracy: Interval
    auc: Interval

    def as_dict(self) -> dict[str, dict[str, float | None]]:
        """Ready for JSON."""
        return {name: interval.as_dict() for name, interval in vars(self).items()}


def performance(reference: NDArray[np.bool_], positive: NDArray[np.bool_], ratings: Floats) -> Performance:
    """The performance of readings of cases from one patient each; the AUC is not known without ratings."""
    patient = np.arange(len(reference))
    return Performance(
        proportion_interval(positive[reference], patient[reference]),
        proportion_interval(~positive[~reference], patient[~reference]),
        proportion_interval(positive == reference, patient),
        _auc(reference, ratings, patient),
    )


def _auc(reference: NDArray[np.bool_], ratings: Floats, patient: NDArray[np.int64]) -> Interval:
    if not len(reference) or np.isnan(ratings).any():
        return UNKNOWN
    return interval_of_auc(reference, ratings, patient)


def rating(answer: str, confidence: int, negative: str) -> float:
    """The probability of a finding that an answer and its confidence in percent stand for; NaN without an answer."""
    if not answer:
        return nan
    return 1 - confidence / 100 if answer == negative else confidence / 100


@dataclass(frozen=True, eq=False)
class Condition:
    """The readings of one reader, or of the model, under one condition."""

    positive: NDArray[np.bool_]
    ratings: Floats


def reference_of(responses: Sequence[ReaderResponse]) -> NDArray[np.bool_]:
    """Which X-rays have a finding by their label."""
    return np.array([response.reference != response.negative for response in responses], bool)


def with_prediction(responses: Sequence[ReaderResponse]) -> list[ReaderResponse]:
    """The responses to X-rays that have a prediction: of a rejected one, none may have been shown."""
    return [response for response in responses if response.decision]


def alone(responses: Sequence[ReaderResponse]) -> Condition:
    """The readings without the model."""
    return Condition(
        np.array([response.first != response.negative for response in responses], bool),
        np.array([rating(response.first, response.first_confidence, response.negative) for response in responses]),
    )


def with_model(responses: Sequence[ReaderResponse]) -> Condition:
    """The readings after the model's answer was seen; all of these responses have a second answer."""
    return Condition(
        np.array([response.second != response.negative for response in responses], bool),
        np.array([rating(response.second, response.second_confidence, response.negative) for response in responses]),
    )


def of_model(responses: Sequence[ReaderResponse]) -> Condition:
    """The model's predictions and its scores; all of these responses have a prediction."""
    return Condition(
        np.array([response.decision != response.negative for response in responses], bool),
        np.array([nan if response.score is None else response.score for response in responses]),
    )
