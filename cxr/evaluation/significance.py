"""Tests of the difference between two models on the same films, by patient: DeLong's and McNemar's, clustered.

Films of one patient are not independent. Where every patient has one film, these are DeLong's test (1988) and
McNemar's exact test.
"""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

from cxr.core.ranking import midranks
from cxr.evaluation.metrics import Floats


def auc_covariance(reference: NDArray[np.bool_], scores: Floats, patient: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """The AUCs of several scores (scores, films) of the same films, and their covariance over patients.

    By Obuchowski (1997), who sums DeLong's components by patient. NaN where a side has no film; no covariance where a
    side has one patient only.
    """
    scores = np.atleast_2d(scores)
    positives, negatives = int(reference.sum()), int((~reference).sum())
    unknown = np.full((len(scores),) * 2, nan)
    if not positives or not negatives:
        return np.full(len(scores), nan), unknown
    among_all = _midranks(scores)
    of_positives = (among_all[:, reference] - _midranks(scores[:, reference])) / negatives
    of_negatives = 1 - (among_all[:, ~reference] - _midranks(scores[:, ~reference])) / positives
    aucs = of_positives.mean(axis=1)
    people = [len(np.unique(patient[side])) for side in (reference, ~reference)]
    if min(people) < 2:
        return aucs, unknown
    everybody = np.unique(patient, return_inverse=True)[1]
    count = int(everybody.max()) + 1
    with_finding = _summed(of_positives - aucs[:, None], everybody[reference], count) / positives
    without = _summed(of_negatives - aucs[:, None], everybody[~reference], count) / negatives
    own = [part @ part.T * n / (n - 1) for part, n in zip((with_finding, without), people, strict=True)]
    shared = with_finding @ without.T * count / (count - 1)
    return aucs, own[0] + own[1] + shared + shared.T


def delong_p(reference: NDArray[np.bool_], scores: Floats, patient: NDArray[np.int64]) -> float:
    """The two-sided p-value of the difference between the AUCs of two scores; NaN where they do not differ at all."""
    from scipy.stats import norm

    aucs, covariance = auc_covariance(reference, scores, patient)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    if not variance > 1e-15:
        return nan
    return float(2 * norm.sf(abs(aucs[0] - aucs[1]) / sqrt(variance)))


def mcnemar_p(first: NDArray[np.bool_], second: NDArray[np.bool_], patient: NDArray[np.int64]) -> float:
    """The exact two-sided p-value of the difference between the films that each of two models gets right.

    A patient counts with the number of films that only the first model gets right minus those that only the second
    does. If the models are equally good, either sign of that difference is equally likely, for each patient on its
    own. So the p-value is the share of all choices of signs whose sum is as far from 0 as the one found.
    """
    differences = _by_patient(first, second, patient)
    found = abs(int(differences.sum()))
    chances, reach = np.ones(1), 0
    for step in np.abs(differences[differences != 0]):
        wider = np.zeros(len(chances) + 2 * step)
        wider[: len(chances)] += chances / 2
        wider[2 * step :] += chances / 2
        chances, reach = wider, reach + int(step)
    sums = np.arange(-reach, reach + 1)
    return float(min(chances[np.abs(sums) >= found].sum(), 1.0))


def _by_patient(first: NDArray[np.bool_], second: NDArray[np.bool_], patient: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each patient's films that only the first model gets right, minus those that only the second does."""
    differences = np.bincount(np.unique(patient, return_inverse=True)[1], first.astype(int) - second.astype(int))
    return differences.astype(np.int64)


def _summed(components: Floats, patient: NDArray[np.int64], patients: int) -> Floats:
    """The components (scores, films) summed by patient."""
    return np.stack([np.bincount(patient, row, patients) for row in components])


def _midranks(rows: Floats) -> Floats:
    return np.stack([midranks(row) for row in rows])
