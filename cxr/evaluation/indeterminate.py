"""The indeterminate band: the scores around the threshold at which the model abstains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.core.number_format import percent
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import LabeledCases, labeled_cases
from cxr.evaluation.intervals import UNKNOWN, Interval
from cxr.evaluation.metric_intervals import proportion_intervals
from cxr.evaluation.metrics import Floats

ACCURACY = 0.95
MIN_PATIENTS = 20  # on either side of the band; fewer prove nothing
EDGE = 1e-6  # the precision of stored scores


@dataclass(frozen=True)
class IndeterminateBand:
    """The range of indeterminate scores, without its upper end, and its rule; no range where there is none, and why."""

    range: tuple[float, float] | None
    rule: str


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """The accuracy of the binary decision if the model abstains near the threshold."""

    margin: Floats  # in log odds, falling
    coverage: Floats  # the share of films with a decision
    accuracy: Floats  # of those decisions


@dataclass(frozen=True)
class SelectiveMetrics:
    """The metrics of the films outside the indeterminate band."""

    n: int
    coverage: float  # their share of all films
    accuracy: Interval
    ppv: Interval  # of the films predicted positive
    npv: Interval  # of the films predicted negative

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: a number that is not finite is null."""
        intervals = {name: value for name, value in vars(self).items() if isinstance(value, Interval)}
        return {"n": self.n, "share": self.coverage} | {name: value.as_dict() for name, value in intervals.items()}


def choose_band(
    table: pd.DataFrame,
    labels: LabelSpace,
    threshold: float | None,
    accuracy: float = ACCURACY,
    spread: tuple[float, float] | None = None,
) -> IndeterminateBand:
    """The narrowest band around the threshold such that this share of decisions is correct on either side of it.

    Each side must hold by itself, with the films of some patients in it: good negatives do not excuse bad positives.
    It is true of these films, which are the validation films; test films show whether it holds elsewhere. The band
    covers `spread`, the range in which the threshold itself might lie: just beside the threshold no decision is sure.
    """
    if threshold is None or labels.negative is None:
        return IndeterminateBand(None, "No band: this model has no threshold.")
    cases = labeled_cases(table, labels, threshold)
    known = cases.binary_reference >= 0
    scores, reference, patient = cases.binary_scores[known], cases.binary_reference[known] == 1, cases.patient[known]
    positive = scores >= threshold
    low = _end(scores[~positive], ~reference[~positive], patient[~positive], threshold, accuracy)
    high = _end(-scores[positive], reference[positive], patient[positive], -threshold, accuracy)
    wanted = percent(accuracy)
    if low is None or high is None:
        side = "negative" if low is None else "positive"
        rule = f"No band: no cutoff leaves {MIN_PATIENTS} validation patients with {side} predictions {wanted} correct."
        return IndeterminateBand(None, rule)
    if spread is not None and spread[0] < spread[1]:
        band = min(low, spread[0], threshold), max(-high, spread[1], threshold)
        return IndeterminateBand(
            band, f"{wanted} correct on either side, and 80% of the thresholds of resampled patients (validation set)"
        )
    if low == -high:
        return IndeterminateBand(
            (low, low), f"empty: {wanted} correct on either side of the threshold (validation set)"
        )
    return IndeterminateBand((low, -high), f"{wanted} correct on either side of the band (validation set)")


def _end(
    scores: Floats, correct: NDArray[np.bool_], patient: NDArray[np.int64], threshold: float, accuracy: float
) -> float | None:
    """The highest cutoff up to the threshold below which this share is correct, halfway to the next score."""
    order = np.argsort(scores, kind="stable")
    scores, correct, patient = scores[order], correct[order], patient[order]
    first = np.zeros(len(patient), bool)
    first[np.unique(patient, return_index=True)[1]] = True
    good = np.cumsum(correct) >= accuracy * np.arange(1, len(correct) + 1) - 1e-9
    last_of_ties = np.diff(scores, append=np.inf) > 0  # equal scores stay on one side
    cuts = np.flatnonzero(good & last_of_ties & (np.cumsum(first) >= MIN_PATIENTS))
    if not len(cuts):
        return None
    last = int(cuts[-1])
    return threshold if last == len(scores) - 1 else round(float((scores[last] + scores[last + 1]) / 2), 7)


def coverage_curve(cases: LabeledCases) -> CoverageCurve:
    """The accuracy of the binary decision against coverage: films far from the threshold are decided first."""
    if cases.threshold is None:
        raise DatasetError("A coverage curve needs a threshold.", code="no-threshold")
    known = np.flatnonzero(cases.binary_reference >= 0)
    if not len(known):
        raise DatasetError("No label of these X-rays says whether there is a finding.", code="no-labels")
    scores, reference = cases.binary_scores[known], cases.binary_reference[known] == 1
    correct = (scores >= cases.threshold) == reference
    margin = np.round(np.abs(_log_odds(scores) - _log_odds(np.array([cases.threshold]))), 9)
    order = np.argsort(-margin, kind="stable")
    decided = np.flatnonzero(np.diff(margin[order], append=-np.inf))  # films of one margin come together
    hits = np.cumsum(correct[order])[decided]
    return CoverageCurve(margin[order][decided], (decided + 1) / len(correct), hits / (decided + 1))


def selective_metrics(cases: LabeledCases, band: tuple[float, float]) -> SelectiveMetrics:
    """The metrics of the films whose score is outside the band; no numbers where there are none."""
    known = cases.binary_reference >= 0
    decided = known & ~_in_band(cases, band)
    if not decided.any():
        return SelectiveMetrics(0, 0.0, UNKNOWN, UNKNOWN, UNKNOWN)
    intervals = proportion_intervals(cases.subset(decided))
    return SelectiveMetrics(
        n=int(decided.sum()),
        coverage=int(decided.sum()) / int(known.sum()),
        accuracy=intervals["binary.accuracy"],
        ppv=intervals["binary.ppv"],
        npv=intervals["binary.npv"],
    )


def band_coverage(cases: LabeledCases, band: tuple[float, float]) -> float:
    """The share of films with a score outside the band, of those whose label says whether there is a finding."""
    known = cases.binary_reference >= 0
    return 1 - float(_in_band(cases, band)[known].mean())


def _in_band(cases: LabeledCases, band: tuple[float, float]) -> NDArray[np.bool_]:
    return cases.labels.indeterminate(cases.probabilities, band)


def _log_odds(scores: Floats) -> Floats:
    scores = np.clip(scores, EDGE / 2, 1 - EDGE / 2)
    return np.log(scores / (1 - scores))
