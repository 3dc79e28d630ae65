"""Conformal prediction sets with coverage by class: each answer that an X-ray's probabilities do not rule out.

Split conformal prediction, by class (Vovk 2012; Sadinle, Lei and Wasserman 2019): an answer is in the set unless its
probability is lower than nearly all X-rays with this label have. Where patients have several X-rays, each patient
counts once (Lee, Barber and Willett 2023), so that the set of a new patient's X-ray holds the true answer as often as
was asked for, whatever the model is worth, as long as new patients are like those that the limits come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.evaluation.fitting.local_films import Floats, LocalFilms
from cxr.registry.local_fit import FINDING

FEWEST_BY_CLASS = 25  # patients with each class, for sets of classes; otherwise sets say whether there is a finding
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class SetQuestion:
    """The answers that a prediction set may have, and which of them is the label of each X-ray."""

    answers: tuple[str, ...]
    answer: NDArray[np.int64]
    by_class: bool
    negative: int

    @classmethod
    def of(cls, films: LocalFilms) -> SetQuestion:
        """The classes, where all labels are classes of enough patients each; otherwise normal or with a finding."""
        negative = films.labels.negative
        if negative is None:
            raise DatasetError("Prediction sets need a negative class.", code="no-negative-class")
        people = [len(np.unique(films.patient[films.targets[:, k]])) for k in range(films.targets.shape[1])]
        if (films.targets.sum(axis=1) == 1).all() and min(people) >= FEWEST_BY_CLASS:
            return cls(films.labels.classes, films.targets.argmax(axis=1), True, negative)
        answers = (films.labels.classes[negative], FINDING)
        return cls(answers, films.has_finding.astype(np.int64), False, negative)

    def probabilities(self, of_classes: Floats) -> Floats:
        """The probability of each answer."""
        if self.by_class:
            return of_classes
        normal = of_classes[:, self.negative]
        return np.stack([normal, 1 - normal], axis=1)


def lowest_probabilities(
    probabilities: Floats, answer: NDArray[np.int64], patient: NDArray[np.int64], coverage: float
) -> Floats:
    """For each answer, the lowest probability with which it belongs to a set; 0 where there are too few patients.

    The probabilities are those of X-rays that the model was not fitted to.
    """
    limits = np.zeros(probabilities.shape[1])
    for k in range(len(limits)):
        own = answer == k
        limits[k] = _limit(probabilities[own, k], patient[own], coverage)
    return limits


def sets(probabilities: Floats, limits: Floats) -> NDArray[np.bool_]:
    """Which answers belong to the set of each X-ray."""
    return probabilities >= limits - ROUNDING


def _limit(own: Floats, patient: NDArray[np.int64], coverage: float) -> float:
    """The probability that this share of patients' X-rays reach, where one patient more is counted as reaching none."""
    people, person, films = np.unique(patient, return_inverse=True, return_counts=True)
    weight = 1 / ((len(people) + 1) * films[person])
    order = np.argsort(-own, kind="stable")
    reached = np.cumsum(weight[order]) >= coverage - ROUNDING
    return float(own[order][reached.argmax()]) if reached.any() else 0.0
