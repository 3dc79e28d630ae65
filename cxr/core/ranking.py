"""The area under the ROC curve, computed from ranks. NumPy alone: reading, training and evaluation all import it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def midranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Each value's rank from 1 on; equal values share the mean of the ranks that they take.

    The same as `scipy.stats.rankdata`, whose import alone takes half a second.
    """
    ordered = np.sort(values)
    below = np.searchsorted(ordered, values, "left")
    up_to = np.searchsorted(ordered, values, "right")
    return (below + up_to + 1) / 2


def roc_auc(truth: NDArray[Any], score: NDArray[Any]) -> float:
    """The area under the ROC curve; NaN if either side is empty or a score is NaN.

    It is the probability that a random positive scores higher than a random negative (Mann and Whitney's U divided by
    the number of pairs). A tie counts one half.

    `truth` is True or 1 where the case is positive, `score` is higher where it is more likely so.
    """
    truth = np.asarray(truth)
    if truth.dtype != bool:
        truth = truth == 1
    score = np.asarray(score)
    if truth.shape != score.shape or truth.ndim != 1:
        raise ValueError(f"truth has the shape {truth.shape}, score has {score.shape}; both must be one row of cases")
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives or np.isnan(score).any():
        return float("nan")
    above = midranks(score)[truth].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))
