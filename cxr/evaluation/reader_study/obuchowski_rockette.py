"""Two conditions compared over several readers and cases: Obuchowski and Rockette's method with Hillis' degrees.

Obuchowski and Rockette (1995), Communications in Statistics - Simulation and Computation 24: 285-308; Hillis (2007),
Statistics in Medicine 26: 596-619. Every reader reads every case under both conditions. The tests check it against the
output of the authors' own program on the data of Van Dyke and others (1993).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, nan, sqrt

import numpy as np

from cxr.evaluation.intervals import LEVEL, Interval
from cxr.evaluation.metrics import Floats
from cxr.evaluation.reader_study.jackknife import JointEstimates

CONDITIONS = 2
SMALLEST_VARIANCE = 1e-15  # of a difference; below it, nothing varies but the last bits


@dataclass(frozen=True)
class Difference:
    """The second condition minus the first, with its 95% interval and the two-sided p-value."""

    interval: Interval
    p: float
    degrees: float  # of freedom; infinite where the normal distribution is used


@dataclass(frozen=True)
class ErrorCovariance:
    """How the estimates vary over cases: one of them, and two that share the reader, the condition, or neither."""

    variance: float
    same_reader: float  # Cov1
    same_condition: float  # Cov2
    neither: float  # Cov3


@dataclass(frozen=True)
class ReaderComparison:
    """Two conditions compared: for readers like these, for these readers alone, and for each reader."""

    means: tuple[Interval, Interval]  # over readers like these
    all_readers: Difference  # readers and cases are random
    these_readers: Difference  # cases alone are random
    each_reader: tuple[Difference, ...]
    error: ErrorCovariance
    statistic: float  # F of `all_readers`, with 1 and `all_readers.degrees` degrees of freedom


def compare_conditions(estimates: JointEstimates) -> ReaderComparison:
    """The comparison of two conditions; the estimates hold all readers under the first, then all under the second.

    With one reader nothing can be said about others: the interval and the p-value of `all_readers` are NaN.
    """
    values = estimates.values.reshape(CONDITIONS, -1)
    readers = values.shape[1]
    covariance = estimates.covariance.reshape(CONDITIONS, readers, CONDITIONS, readers)
    error = _error_covariance(covariance)
    means = values.mean(axis=1)
    residuals = values - means[:, None] - values.mean(axis=0) + values.mean()
    interaction = float((residuals**2).sum()) / (readers - 1) if readers > 1 else nan
    shared = readers * max(error.same_condition - error.neither, 0.0)
    denominator, difference = interaction + shared, float(means[1] - means[0])
    degrees = denominator**2 * (readers - 1) / interaction**2 if interaction > 0 else inf
    all_readers = _difference(difference, 2 / readers * denominator, degrees)
    fixed = error.variance - error.same_reader + (readers - 1) * shared / readers
    between = readers * difference**2 / 2
    return ReaderComparison(
        (_mean(values[0], covariance[0, :, 0]), _mean(values[1], covariance[1, :, 1])),
        all_readers,
        _difference(difference, 2 / readers * fixed, inf),
        tuple(
            _difference(
                float(values[1, j] - values[0, j]),
                float(covariance[0, j, 0, j] + covariance[1, j, 1, j] - 2 * covariance[0, j, 1, j]),
                inf,
            )
            for j in range(readers)
        ),
        error,
        between / denominator if denominator > 0 else nan,
    )


def _error_covariance(covariance: Floats) -> ErrorCovariance:
    """The means of the covariances (condition, reader, condition, reader) of each kind."""
    readers = covariance.shape[1]
    same = np.eye(readers, dtype=bool)
    within = [covariance[i, :, i] for i in range(CONDITIONS)]
    across = covariance[0, :, 1]
    return ErrorCovariance(
        float(np.mean([block[same] for block in within])),
        float(across[same].mean()),
        float(np.mean([block[~same] for block in within])) if readers > 1 else 0.0,
        float(across[~same].mean()) if readers > 1 else 0.0,
    )


def _mean(values: Floats, covariance: Floats) -> Interval:
    """The mean of one condition over readers like these, from its own variances alone."""
    readers = len(values)
    if readers < 2:
        return Interval(float(values.mean()), nan, nan)
    between = float(values.var(ddof=1))
    shared = readers * max(float(covariance[~np.eye(readers, dtype=bool)].mean()), 0.0)
    degrees = (between + shared) ** 2 * (readers - 1) / between**2 if between > 0 else inf
    return _difference(float(values.mean()), (between + shared) / readers, degrees).interval


def _difference(value: float, variance: float, degrees: float) -> Difference:
    """The value with the interval and p-value of Student's t; NaN where nothing varies."""
    from scipy.stats import norm, t  # late: lists and help do without SciPy

    if not (isfinite(value) and variance > SMALLEST_VARIANCE):
        return Difference(Interval(value, nan, nan), nan, degrees)
    error = sqrt(variance)
    law = t(degrees) if isfinite(degrees) else norm()
    reach = float(law.ppf((1 + LEVEL) / 2)) * error
    return Difference(Interval(value, value - reach, value + reach), float(2 * law.sf(abs(value) / error)), degrees)
