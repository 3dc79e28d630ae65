"""Whether readings of some weeks have left the reference: three tests, each valid for few readings and by itself.

Scores: the largest difference of the two distributions, with the inequality of Dvoretzky, Kiefer and Wolfowitz for two
samples (Wei and Dudley 2012). Input check: whether more images are rejected or questioned, by Fisher's exact test.
Features: whether their mean lies elsewhere, by Hotelling's test with the covariance of the reference.
"""

from __future__ import annotations

from enum import StrEnum
from math import exp

import numpy as np
from numpy.typing import NDArray

from cxr.drift.tally import Floats, Tally

Counts = NDArray[np.int64]

DKW = 2.16863  # the constant with which the inequality holds for two samples of any size
FEWEST_PLACES = 20  # readings whose mean is close to normal
FEWEST_OF_A_DIMENSION = 5  # X-rays of the reference, for each dimension of its covariance


class Measure(StrEnum):
    """What is compared."""

    SCORES = "scores"
    INPUT_CHECK = "input-check"
    FEATURES = "features"


def p_value(measure: Measure, readings: Tally, reference: Tally) -> float | None:
    """The probability of so large a difference by chance alone; None where there is too little to compare."""
    tests = {Measure.SCORES: scores_p, Measure.INPUT_CHECK: input_check_p, Measure.FEATURES: features_p}
    return tests[measure](readings, reference)


def scores_p(readings: Tally, reference: Tally) -> float | None:
    """Whether the scores are distributed differently."""
    if not readings.scored or not reference.scored:
        return None
    shares = [np.cumsum(tally.scores) / tally.scored for tally in (readings, reference)]
    largest = float(np.abs(shares[0] - shares[1]).max())
    size = readings.scored * reference.scored / (readings.scored + reference.scored)
    return min(1.0, DKW * exp(-2 * size * largest**2))


def input_check_p(readings: Tally, reference: Tally) -> float | None:
    """Whether the input check rejects or questions a larger share."""
    from scipy.special import gammaln

    if not readings.checked or not reference.checked:
        return None
    drawn, whole = readings.checked, readings.checked + reference.checked
    marked = readings.questioned + reference.questioned
    counts = np.arange(readings.questioned, min(drawn, marked) + 1)

    def log_choose(n: int, k: Counts) -> Floats:
        return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))

    logs = log_choose(marked, counts) + log_choose(whole - marked, drawn - counts)
    return min(1.0, float(np.exp(logs - log_choose(whole, np.array(drawn))).sum()))


def features_p(readings: Tally, reference: Tally) -> float | None:
    """Whether the mean of the features lies elsewhere."""
    from scipy.special import fdtrc

    same = readings.basis == reference.basis and len(readings.sums) == len(reference.sums)
    if not same or readings.places < FEWEST_PLACES:
        return None
    size = min(len(reference.sums), reference.places // FEWEST_OF_A_DIMENSION)
    if size < 2:
        return None
    kept = [*range(size - 1), len(reference.sums) - 1]  # the first axes, and the distance
    difference = (readings.mean - reference.mean)[kept]
    covariance = reference.covariance[np.ix_(kept, kept)]
    covariance += 1e-6 * np.trace(covariance) / size * np.eye(size) + 1e-9 * np.eye(size)
    weight = 1 / (1 / readings.places + 1 / reference.places)
    squared = weight * float(difference @ np.linalg.solve(covariance, difference))
    freedom = reference.places - size
    return float(fdtrc(size, freedom, squared * freedom / (size * (reference.places - 1))))
