"""Agreement beyond chance: Cohen's kappa of two raters, Fleiss' kappa of several, each with a 95% interval.

The interval comes from a jackknife over cases, on a normal scale (Fleiss and Davies 1982).
"""

from __future__ import annotations

from collections.abc import Callable
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.intervals import Interval

Labels = NDArray[np.str_]
Floats = NDArray[np.float64]
MIN_CASES = 2
QUANTILE = 1.959964  # of the normal distribution, for 95%


def cohen_kappa(first: Labels, second: Labels) -> Interval:
    """Cohen's kappa (1960) of two raters of the same cases; NaN where both give one answer alone."""
    names, codes = np.unique([first, second], return_inverse=True)
    codes = codes.reshape(2, -1)
    cells = np.zeros((len(first), len(names), len(names)))
    cells[np.arange(len(first)), codes[0], codes[1]] = 1
    return _jackknifed(cells, _cohen)


def fleiss_kappa(answers: Labels) -> Interval:
    """Fleiss' kappa (1971) of several raters (raters, cases) who all answered; NaN where all give one answer alone."""
    raters = len(answers)
    names, codes = np.unique(answers, return_inverse=True)
    counts = np.stack([(codes.reshape(answers.shape) == k).sum(axis=0) for k in range(len(names))], axis=1)
    if raters < 2:
        return Interval(nan, nan, nan)
    agreeing_pairs = (counts * (counts - 1)).sum(axis=1, keepdims=True) / (raters * (raters - 1))
    return _jackknifed(np.hstack([agreeing_pairs, counts / raters]), _fleiss)


def _cohen(total: Floats, cases: int) -> float:
    shares = total / cases
    return _beyond_chance(float(np.trace(shares)), float(shares.sum(axis=0) @ shares.sum(axis=1)))


def _fleiss(total: Floats, cases: int) -> float:
    means = total / cases
    return _beyond_chance(float(means[0]), float((means[1:] ** 2).sum()))


def _beyond_chance(observed: float, expected: float) -> float:
    return (observed - expected) / (1 - expected) if expected < 1 else nan


def _jackknifed(terms: Floats, kappa: Callable[[Floats, int], float]) -> Interval:
    """The kappa of the summed terms of the cases, with an interval from leaving each case out once."""
    cases, total = len(terms), terms.sum(axis=0)
    if not cases:
        return Interval(nan, nan, nan)
    value = kappa(total, cases)
    if cases < MIN_CASES:
        return Interval(value, nan, nan)
    without = np.array([kappa(total - case, cases - 1) for case in terms])
    if not np.isfinite(without).all():
        return Interval(value, nan, nan)
    reach = QUANTILE * sqrt((cases - 1) / cases * float(((without - without.mean()) ** 2).sum()))
    return Interval(value, max(value - reach, -1.0), min(value + reach, 1.0))
