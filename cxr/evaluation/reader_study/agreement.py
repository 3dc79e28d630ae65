"""Agreement beyond chance: Cohen's kappa of two raters, Fleiss' kappa of several, each with a 95% interval.

The interval is Wilson's of the observed agreement, for as many cases as would vary as much as a jackknife over cases
says, with the agreement by chance as it is. The jackknife's own interval would be too narrow where raters agree on
nearly all of few cases. `bench/reader_study.py` measures how often it holds the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.intervals import Interval, wilson_interval

Labels = NDArray[np.str_]
Floats = NDArray[np.float64]
MIN_CASES = 2
MOST_PER_CASE = 6  # several raters tell more of a case than one pair, but no more than this many cases would
Agreements = Callable[[Floats, int], tuple[float, float]]  # summed terms, cases -> observed and by chance


def cohen_kappa(first: Labels, second: Labels) -> Interval:
    """Cohen's kappa (1960) of two raters of the same cases; NaN where both give one answer alone."""
    names, codes = np.unique([first, second], return_inverse=True)
    codes = codes.reshape(2, -1)
    cells = np.zeros((len(first), len(names), len(names)))
    cells[np.arange(len(first)), codes[0], codes[1]] = 1
    return _kappa(cells, _cohen)


def fleiss_kappa(answers: Labels) -> Interval:
    """Fleiss' kappa (1971) of several raters (raters, cases) who all answered; NaN where all give one answer alone."""
    raters = len(answers)
    if raters < 2:
        return Interval(nan, nan, nan)
    names, codes = np.unique(answers, return_inverse=True)
    counts = np.stack([(codes.reshape(answers.shape) == k).sum(axis=0) for k in range(len(names))], axis=1)
    agreeing_pairs = (counts * (counts - 1)).sum(axis=1, keepdims=True) / (raters * (raters - 1))
    return _kappa(np.hstack([agreeing_pairs, counts / raters]), _fleiss)


def _cohen(total: Floats, cases: int) -> tuple[float, float]:
    shares = total / cases
    return float(np.trace(shares)), float(shares.sum(axis=0) @ shares.sum(axis=1))


def _fleiss(total: Floats, cases: int) -> tuple[float, float]:
    means = total / cases
    return float(means[0]), float((means[1:] ** 2).sum())


def _beyond_chance(observed: float, by_chance: float) -> float:
    return (observed - by_chance) / (1 - by_chance) if by_chance < 1 else nan


def _kappa(terms: Floats, agreements: Agreements) -> Interval:
    """The kappa of the summed terms of the cases, with its interval."""
    cases, total = len(terms), terms.sum(axis=0)
    if not cases:
        return Interval(nan, nan, nan)
    observed, by_chance = agreements(total, cases)
    value = _beyond_chance(observed, by_chance)
    if cases < MIN_CASES or not isfinite(value):
        return Interval(value, nan, nan)
    without = np.array([_beyond_chance(*agreements(total - case, cases - 1)) for case in terms])
    if not np.isfinite(without).all():
        return Interval(value, nan, nan)
    variance = (cases - 1) / cases * float(((without - without.mean()) ** 2).sum()) * (1 - by_chance) ** 2
    effective = float(cases)
    if variance > 0 and 0 < observed < 1:
        effective = min(observed * (1 - observed) / variance, float(MOST_PER_CASE * cases))
    bounds = wilson_interval(observed * effective, effective)
    return Interval(value, _beyond_chance(bounds.low, by_chance), _beyond_chance(bounds.high, by_chance))
