"""95 % intervals. Films of one patient are no independent witnesses, so patients are drawn, not films.

The bootstrap draws as many patients as there are, with replacement; a film counts as often as its patient was drawn.
Wilson's interval is for a bare proportion; DeLong's is for one AUC, or the difference of two, of independent films.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import nan, sqrt

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.evaluation import labeled_cases
from cxr.evaluation.interval import Interval
from cxr.evaluation.metrics import Floats, LabeledCases, metric_values

LEVEL = 0.95
Z = 1.959963984540054
RESAMPLES = 2000
BLOCK = 64  # resamples at once: their weights stay in the processor's cache
DEFINED = 0.9  # of the resamples must have a figure, or too few patients carry it
BIASED = ("ece", "binary.ece")  # noise only adds to them, so those of resamples lie above those of the films


def metric_intervals(
    table: pd.DataFrame,
    labels: LabelSpace,
    threshold: float | None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    *,
    prevalence: float | None = None,
) -> dict[str, Interval]:
    """Every figure of `evaluate` under its flat name ("accuracy", "auc.normal", "binary.sensitivity", ...).

    Bounds are the percentiles of a bootstrap over patients. A share of 0 or 1 does not vary in any resample, which
    says nothing of how sure it is; it gets the Wilson interval of its patients. The calibration error has no bounds.
    With a prevalence, the predictive values are those to be expected where so many films are positive.
    """
    cases = labeled_cases(table, labels, threshold)
    values = metric_values(cases, np.ones((len(cases.p), 1)), prevalence)
    drawn = [metric_values(cases, weights, prevalence) for weights in bootstrap_weights(cases.patient, resamples, seed)]
    counted = _denominators(cases)
    if prevalence is not None:
        counted = {name: films for name, films in counted.items() if name not in ("binary.ppv", "binary.npv")}
    intervals = {}
    for name, (value,) in values.items():
        samples = np.concatenate([block[name] for block in drawn])
        if name in BIASED:
            intervals[name] = Interval(float(value), nan, nan)
        elif name in counted and value in (0, 1):
            patients = len(np.unique(cases.patient[counted[name]]))
            intervals[name] = wilson_interval(int(value) * patients, patients)
        else:
            found = percentile_interval(float(value), samples)
            intervals[name] = found if found.low < found.high else Interval(found.value, nan, nan)
    return intervals


def bootstrap_weights(patient: NDArray[np.int64], resamples: int, seed: int) -> Iterator[Floats]:
    """Weights (films, resamples of a block): how often each film's patient was drawn. Patients are 0, 1, 2, ..."""
    rng = np.random.default_rng(seed)
    people = int(patient.max()) + 1
    for start in range(0, resamples, BLOCK):
        block = min(BLOCK, resamples - start)
        drawn = rng.integers(people, size=(block, people)) + people * np.arange(block)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=people * block).reshape(block, people)
        yield counts.T.astype(np.float32)[patient]


def percentile_interval(value: float, samples: Floats) -> Interval:
    """The value between the 2.5th and 97.5th percentile of its resamples."""
    known = samples[~np.isnan(samples)]
    if np.isnan(value) or len(known) < max(DEFINED * len(samples), 1):
        return Interval(value, nan, nan)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    return Interval(value, float(low), float(high))


def wilson_interval(part: int, whole: int) -> Interval:
    """A proportion with Wilson's score interval (1927)."""
    if not whole:
        return Interval(nan, nan, nan)
    share = part / whole
    centre = (share + Z**2 / (2 * whole)) / (1 + Z**2 / whole)
    reach = Z / (1 + Z**2 / whole) * sqrt(share * (1 - share) / whole + Z**2 / (4 * whole**2))
    return Interval(share, max(0.0, centre - reach) if part else 0.0, min(1.0, centre + reach) if part < whole else 1.0)


def delong_covariance(truth: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """AUCs of several scores (scores, films) of the same films, and their covariance (DeLong 1988).

    By midranks, as Sun and Xu (2014) found. Not a number where a side has no film, no covariance where it has one.
    """
    from scipy.stats import rankdata

    scores = np.atleast_2d(scores)
    ones, zeros = int(truth.sum()), int((~truth).sum())
    if not ones or not zeros:
        return np.full(len(scores), nan), np.full((len(scores),) * 2, nan)
    among_all = rankdata(scores, axis=1)
    of_ones = (among_all[:, truth] - rankdata(scores[:, truth], axis=1)) / zeros
    of_zeros = 1 - (among_all[:, ~truth] - rankdata(scores[:, ~truth], axis=1)) / ones
    if ones < 2 or zeros < 2:
        return of_ones.mean(axis=1), np.full((len(scores),) * 2, nan)
    covariance = np.atleast_2d(np.cov(of_ones)) / ones + np.atleast_2d(np.cov(of_zeros)) / zeros
    return of_ones.mean(axis=1), covariance


def delong_interval(truth: NDArray[np.bool_], score: Floats) -> Interval:
    """An AUC with DeLong's interval, as wide as 0 to 1 at most."""
    (area,), covariance = delong_covariance(truth, score)
    reach = Z * np.sqrt(covariance[0, 0])
    if not reach > 0:  # unknown, or sides that do not overlap at all
        return Interval(float(area), nan, nan)
    return Interval(float(area), float(max(0, area - reach)), float(min(1, area + reach)))


def _denominators(cases: LabeledCases) -> dict[str, NDArray[np.bool_]]:
    """Which films each share is a share of."""
    classes = dict(enumerate(cases.labels.classes))
    of_class = {f"recall.{name}": cases.single & cases.targets[:, k] for k, name in classes.items()}
    of_class |= {f"precision.{name}": cases.single & (cases.decided == k) for k, name in classes.items()}
    says, called = cases.positive >= 0, cases.decided != cases.labels.negative
    return of_class | {
        "accuracy": np.ones(len(cases.p), bool),
        "binary.accuracy": says,
        "binary.sensitivity": cases.positive == 1,
        "binary.specificity": cases.positive == 0,
        "binary.ppv": says & called,
        "binary.npv": says & ~called,
    }
