"""What readers reach on the same cases (AUC, sensitivity, specificity), and how it varies together over cases.

The covariance is that of a jackknife over patients, whose cases are left out together: with one case a patient, it is
the jackknife of Hillis, Obuchowski, Schartz and Berbaum (2005, Statistics in Medicine 24: 1579-1607).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.metrics import Floats, ranking_metrics, ratio


class Figure(StrEnum):
    """A measure of how well a reader tells positive from negative cases."""

    AUC = "auc"
    SENSITIVITY = "sensitivity"
    SPECIFICITY = "specificity"


@dataclass(frozen=True, eq=False)
class JointEstimates:
    """A measure of several sets of readings of the same cases, and its covariance over cases."""

    values: Floats  # (sets,)
    covariance: Floats  # (sets, sets)


@dataclass(frozen=True, eq=False)
class Readings:
    """Several sets of readings of the same cases: of several readers, under several conditions."""

    reference: NDArray[np.bool_]  # (cases,)
    ratings: Floats  # (sets, cases), higher where a finding is more likely
    positive: NDArray[np.bool_]  # (sets, cases)
    patient: NDArray[np.int64]  # (cases,), from 0


def joint_estimates(readings: Readings, figure: Figure) -> JointEstimates:
    """The measure of each set of readings with its covariance; NaN where it is not defined without some patient."""
    values = _values(readings, figure, np.ones((len(readings.reference), 1)))[:, 0]
    patients = int(readings.patient.max()) + 1
    without = 1.0 - (readings.patient[:, None] == np.arange(patients))
    deviations = _values(readings, figure, without)
    deviations = deviations - deviations.mean(axis=1, keepdims=True)
    covariance = (patients - 1) / patients * np.einsum("ap,bp->ab", deviations, deviations)
    return JointEstimates(values, covariance)


def _values(readings: Readings, figure: Figure, weights: Floats) -> Floats:
    """The measure of each set of readings for each column of weights: (sets, columns)."""
    reference = readings.reference
    if figure is Figure.AUC:
        return np.stack([ranking_metrics(rating, reference, weights)[0] for rating in readings.ratings])
    own = reference if figure is Figure.SENSITIVITY else ~reference
    right = readings.positive if figure is Figure.SENSITIVITY else ~readings.positive
    return ratio(np.einsum("sn,nw->sw", (right & own).astype(float), weights), own.astype(float) @ weights)
