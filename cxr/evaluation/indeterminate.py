"""The unsure band: scores around the threshold that are no ground for either answer."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.evaluation import labeled_cases, probabilities_of
from cxr.evaluation.interval import Interval
from cxr.evaluation.intervals import RESAMPLES, metric_intervals
from cxr.evaluation.metrics import Floats, LabeledCases

ACCURACY = 0.95
MIN_PATIENTS = 20  # beyond either end; fewer show nothing
EDGE = 1e-6  # scores are stored with so many digits


@dataclass(frozen=True)
class IndeterminateBand:
    """Scores from `low` up to, not including, `high` are unsure; no range, and why, where no band can be had."""

    range: tuple[float, float] | None
    rule: str


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """How often the model is right, if it answers only where the score is so far from the threshold."""

    margin: Floats  # in log odds, falling
    share: Floats  # of the films that are answered
    accuracy: Floats  # of those answers


@dataclass(frozen=True)
class SelectiveMetrics:
    """How the model does where it is sure."""

    n: int
    share: float  # of all films
    accuracy: Interval
    ppv: Interval  # of the films called positive
    npv: Interval  # of the films called negative

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: what is no finite number is null."""
        parts = {name: value for name, value in vars(self).items() if isinstance(value, Interval)}
        return {"n": self.n, "share": self.share} | {name: value.as_dict() for name, value in parts.items()}


def choose_band(
    table: pd.DataFrame, labels: LabelSpace, threshold: float | None, accuracy: float = ACCURACY
) -> IndeterminateBand:
    """The narrowest band around the threshold so that on either side of it this share of answers is right.

    Each side must hold by itself, with the films of some patients in it: good negatives do not excuse bad positives.
    It is true of these films, which are the validation films; test films show whether it holds elsewhere.
    """
    if threshold is None or labels.negative is None:
        return IndeterminateBand(None, "No band: this model has no threshold.")
    cases = labeled_cases(table, labels, threshold)
    says = cases.positive >= 0
    score, truth, patient = cases.score[says], cases.positive[says] == 1, cases.patient[says]
    called = score >= threshold
    low = _end(score[~called], ~truth[~called], patient[~called], threshold, accuracy)
    high = _end(-score[called], truth[called], patient[called], -threshold, accuracy)
    if low is None or high is None:
        side = labels.classes[labels.negative] if low is None else f"not {labels.classes[labels.negative]}"
        return IndeterminateBand(
            None,
            f"No band: no cut leaves {MIN_PATIENTS} validation patients of whom {accuracy:.0%} are "
            f"rightly called {side}.",
        )
    if low == -high:
        return IndeterminateBand(
            (low, low), f"empty: {accuracy:.0%} right on either side of the threshold, on validation films"
        )
    return IndeterminateBand((low, -high), f"{accuracy:.0%} right on either side of it, on validation films")


def _end(
    score: Floats, right: NDArray[np.bool_], patient: NDArray[np.int64], threshold: float, accuracy: float
) -> float | None:
    """The highest cut up to the threshold below which so many answers are right, halfway to the next score."""
    order = np.argsort(score, kind="stable")
    score, right, patient = score[order], right[order], patient[order]
    first = np.zeros(len(patient), bool)
    first[np.unique(patient, return_index=True)[1]] = True
    good = np.cumsum(right) >= accuracy * np.arange(1, len(right) + 1) - 1e-9
    whole = np.diff(score, append=np.inf) > 0  # equal scores fall on one side
    cuts = np.flatnonzero(good & whole & (np.cumsum(first) >= MIN_PATIENTS))
    if not len(cuts):
        return None
    last = int(cuts[-1])
    return threshold if last == len(score) - 1 else round(float((score[last] + score[last + 1]) / 2), 7)


def coverage_curve(table: pd.DataFrame, labels: LabelSpace, threshold: float) -> CoverageCurve:
    """Accuracy of the binary answer against the share of films that are answered, the surest first."""
    cases = labeled_cases(table, labels, threshold)
    says = _asked(cases)
    right = (cases.score[says] >= threshold) == (cases.positive[says] == 1)
    margin = np.round(np.abs(_log_odds(cases.score[says]) - _log_odds(np.array([threshold]))), 9)
    order = np.argsort(-margin, kind="stable")
    answered = np.flatnonzero(np.diff(margin[order], append=-np.inf))  # films of one margin come together
    sums = np.cumsum(right[order])[answered]
    return CoverageCurve(margin[order][answered], (answered + 1) / len(right), sums / (answered + 1))


def selective_metrics(
    table: pd.DataFrame,
    labels: LabelSpace,
    threshold: float | None,
    band: tuple[float, float],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> SelectiveMetrics:
    """The figures of the films whose score lies outside of the band; no numbers where there is none."""
    asked = table.iloc[np.flatnonzero(labels.positive(table["label"]) >= 0)]
    unsure = labels.indeterminate(probabilities_of(asked, labels.classes), band)
    sure = asked.iloc[np.flatnonzero(~unsure)]
    if sure.empty:
        none = Interval(nan, nan, nan)
        return SelectiveMetrics(0, 0.0, none, none, none)
    found = metric_intervals(sure, labels, threshold, resamples, seed)
    return SelectiveMetrics(
        n=len(sure),
        share=len(sure) / len(asked),
        accuracy=found["binary.accuracy"],
        ppv=found["binary.ppv"],
        npv=found["binary.npv"],
    )


def _asked(cases: LabeledCases) -> NDArray[np.int64]:
    says = np.flatnonzero(cases.positive >= 0)
    if not len(says):
        raise DatasetError("None of these films has a label that says whether something was found.")
    return says


def _log_odds(score: Floats) -> Floats:
    score = np.clip(score, EDGE / 2, 1 - EDGE / 2)
    return np.log(score / (1 - score))
