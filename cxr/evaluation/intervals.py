"""95% intervals: bootstrap over patients, Wilson's for a proportion, DeLong's for an AUC.

Films of one patient are not independent, so the bootstrap draws patients, not films: as many as there are, with
replacement; a film counts as often as its patient is drawn. Wilson's interval is for a bare proportion; DeLong's is for
one AUC, or the difference of two, of independent films.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, nan, sqrt
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator

from cxr.core.number_format import with_interval
from cxr.core.ranking import midranks
from cxr.evaluation.metrics import Floats, metric_values

if TYPE_CHECKING:
    from cxr.evaluation.cases import LabeledCases

LEVEL = 0.95
Z = 1.959963984540054
RESAMPLES = 2000
BLOCK = 64  # resamples at once: their weights stay in the processor's cache
MIN_DEFINED = 0.9  # the share of resamples that must have a value; otherwise too few patients carry the metric
PREDICTIVE_VALUES = ("binary.ppv", "binary.npv")
BIASED = ("ece", "binary.ece")  # noise only adds to them, so their resamples lie above the value itself


@dataclass(frozen=True)
class Interval:
    """A value with its 95% interval; bounds that the films cannot tell are NaN."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether both bounds are finite."""
        return isfinite(self.low) and isfinite(self.high)

    def text(self, places: int = 3) -> str:
        """The value with its bounds, as in 0.912 (0.887–0.934); the value alone where they are not known."""
        return with_interval(self.value, self.low, self.high, places)

    def as_dict(self) -> dict[str, float | None]:
        """Ready for JSON: a number that is not finite is null."""
        return {name: value if isfinite(value) else None for name, value in vars(self).items()}


UNKNOWN = Interval(nan, nan, nan)


def _read_back(value: Any) -> Any:
    return (
        {name: nan if bound is None else bound for name, bound in value.items()} if isinstance(value, dict) else value
    )


StoredInterval = Annotated[Interval, BeforeValidator(_read_back)]  # in JSON, an unknown number is null


def metric_intervals(
    cases: LabeledCases, resamples: int = RESAMPLES, seed: int = 0, *, prevalence: float | None = None
) -> dict[str, Interval]:
    """Every metric of `evaluate` with its interval, by flat name ("accuracy", "auc.normal", "binary.sensitivity", ...).

    Bounds are percentiles of a bootstrap over patients. A proportion of 0 or 1 is the same in every resample, which
    says nothing about its uncertainty; it gets the Wilson interval of its patients. The calibration error has no
    bounds. With a prevalence, the predictive values are those expected where that share of films is positive.
    """
    values = metric_values(cases, np.ones((cases.n, 1)), prevalence)
    drawn = [metric_values(cases, weights, prevalence) for weights in bootstrap_weights(cases.patient, resamples, seed)]
    denominators = _denominators(cases)
    if prevalence is not None:
        denominators = {name: films for name, films in denominators.items() if name not in PREDICTIVE_VALUES}
    intervals = {}
    for name, (value,) in values.items():
        samples = np.concatenate([block[name] for block in drawn])
        if name in BIASED:
            intervals[name] = Interval(float(value), nan, nan)
        elif name in denominators and value in (0, 1):
            patients = len(np.unique(cases.patient[denominators[name]]))
            intervals[name] = wilson_interval(int(value) * patients, patients)
        else:
            bootstrap = percentile_interval(float(value), samples)
            intervals[name] = bootstrap if bootstrap.low < bootstrap.high else Interval(bootstrap.value, nan, nan)
    return intervals


def bootstrap_weights(patient: NDArray[np.int64], resamples: int, seed: int) -> Iterator[Floats]:
    """Blocks of weights (films, resamples): how often each film's patient is drawn. Patients are 0, 1, 2, ..."""
    rng = np.random.default_rng(seed)
    people = int(patient.max()) + 1
    for start in range(0, resamples, BLOCK):
        block = min(BLOCK, resamples - start)
        drawn = rng.integers(people, size=(block, people)) + people * np.arange(block)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=people * block).reshape(block, people)
        yield counts.T.astype(np.float32)[patient]


def percentile_interval(value: float, samples: Floats) -> Interval:
    """The value with the 2.5th and 97.5th percentiles of its resamples."""
    known = samples[~np.isnan(samples)]
    if np.isnan(value) or len(known) < max(MIN_DEFINED * len(samples), 1):
        return Interval(value, nan, nan)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    return Interval(value, float(low), float(high))


def wilson_interval(part: int, whole: int) -> Interval:
    """A proportion with Wilson's score interval (1927)."""
    if not whole:
        return UNKNOWN
    share = part / whole
    center = (share + Z**2 / (2 * whole)) / (1 + Z**2 / whole)
    reach = Z / (1 + Z**2 / whole) * sqrt(share * (1 - share) / whole + Z**2 / (4 * whole**2))
    return Interval(share, max(0.0, center - reach) if part else 0.0, min(1.0, center + reach) if part < whole else 1.0)


def delong_covariance(reference: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """The AUCs of several scores (scores, films) of the same films, and their covariance (DeLong 1988).

    By midranks (Sun and Xu 2014). NaN where a side has no film; no covariance where a side has one film only.
    """
    scores = np.atleast_2d(scores)
    positives, negatives = int(reference.sum()), int((~reference).sum())
    if not positives or not negatives:
        return np.full(len(scores), nan), np.full((len(scores),) * 2, nan)
    among_all = _midranks(scores)
    of_positives = (among_all[:, reference] - _midranks(scores[:, reference])) / negatives
    of_negatives = 1 - (among_all[:, ~reference] - _midranks(scores[:, ~reference])) / positives
    if positives < 2 or negatives < 2:
        return of_positives.mean(axis=1), np.full((len(scores),) * 2, nan)
    covariance = np.atleast_2d(np.cov(of_positives)) / positives + np.atleast_2d(np.cov(of_negatives)) / negatives
    return of_positives.mean(axis=1), covariance


def delong_interval(reference: NDArray[np.bool_], score: Floats) -> Interval:
    """The AUC with DeLong's interval, clipped to 0 and 1."""
    (area,), covariance = delong_covariance(reference, score)
    reach = Z * np.sqrt(covariance[0, 0])
    if not reach > 0:  # unknown, or perfectly separated
        return Interval(float(area), nan, nan)
    return Interval(float(area), float(max(0, area - reach)), float(min(1, area + reach)))


def _denominators(cases: LabeledCases) -> dict[str, NDArray[np.bool_]]:
    """The films that each proportion is taken of."""
    classes = dict(enumerate(cases.labels.classes))
    by_class = {f"recall.{name}": cases.has_single_class & cases.targets[:, k] for k, name in classes.items()}
    by_class |= {f"precision.{name}": cases.has_single_class & (cases.predicted == k) for k, name in classes.items()}
    known, positive = cases.binary_reference >= 0, cases.predicted != cases.labels.negative
    return by_class | {
        "accuracy": np.ones(cases.n, bool),
        "binary.accuracy": known,
        "binary.sensitivity": cases.binary_reference == 1,
        "binary.specificity": cases.binary_reference == 0,
        "binary.ppv": known & positive,
        "binary.npv": known & ~positive,
    }


def _midranks(rows: Floats) -> Floats:
    return np.stack([midranks(row) for row in rows])
