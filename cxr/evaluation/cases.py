"""The labeled cases of an evaluation: reference labels, probabilities and decisions, derived once from stored scores.

Curves, metrics, intervals, subgroups and the indeterminate band are all computed from the same `LabeledCases`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.scores import probabilities_of

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class LabeledCases:
    """The films whose label the model knows, one row each, and its decisions at the threshold."""

    labels: LabelSpace
    threshold: float | None  # None: the most probable class is predicted
    films: pd.DataFrame  # their rows of the score table
    film_labels: NDArray[np.object_]  # as the dataset has them
    probabilities: Floats  # (films, classes)
    targets: NDArray[np.bool_]  # (films, classes): the classes that the film's label allows
    predicted: NDArray[np.int64]  # index of a class
    binary_reference: NDArray[np.int64]  # 1 finding, 0 none, -1 where the label does not say or no class is negative
    patient: NDArray[np.int64]  # numbered from 0
    left_out: int = 0  # films of the table whose label the model does not know
    band: tuple[float, float] | None = None  # in which the model abstains at this threshold; None: not known, or none

    @property
    def n(self) -> int:
        """The number of films."""
        return len(self.predicted)

    @property
    def patients(self) -> int:
        """The number of patients."""
        return int(self.patient.max()) + 1

    @cached_property
    def has_single_class(self) -> NDArray[np.bool_]:
        """Which films have a label that allows one class only."""
        return self.targets.sum(axis=1) == 1

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which films are predicted as a class that their label allows."""
        return self.targets[np.arange(self.n), self.predicted]

    @property
    def binary_scores(self) -> Floats:
        """The probability of any class but the negative one."""
        return 1 - self.probabilities[:, self.labels.negative]

    @property
    def in_band(self) -> NDArray[np.bool_]:
        """Which films have a score in the indeterminate band."""
        if self.band is None:
            return np.zeros(self.n, bool)
        return self.labels.indeterminate(self.probabilities, self.band)

    def at(self, threshold: float | None, band: tuple[float, float] | None = None) -> LabeledCases:
        """The same films with the decisions at another threshold, and the band in which the model then abstains."""
        predicted = self.labels.decide(self.probabilities, threshold)
        return replace(self, threshold=threshold, predicted=predicted, band=band)

    def subset(self, chosen: NDArray[np.bool_]) -> LabeledCases:
        """These films alone, with their patients numbered anew."""
        return replace(
            self,
            films=self.films.iloc[np.flatnonzero(chosen)],
            film_labels=self.film_labels[chosen],
            probabilities=self.probabilities[chosen],
            targets=self.targets[chosen],
            predicted=self.predicted[chosen],
            binary_reference=self.binary_reference[chosen],
            patient=_numbered(self.patient[chosen]),
            left_out=0,
        )


def labeled_cases(
    table: pd.DataFrame, labels: LabelSpace, threshold: float | None, band: tuple[float, float] | None = None
) -> LabeledCases:
    """The labeled cases of a score table at a threshold; a DatasetError where the model knows none of the labels.

    The band is that in which the model abstains at this threshold.
    A table without the column `patient` has one film for each patient.
    """
    place, names = distinct_values(table["label"])  # films are many, labels few
    targets = (labels.targets(names) > 0)[place]
    known = targets.any(axis=1)
    if not known.any():
        raise DatasetError("The model knows none of these labels, so there is nothing to evaluate.", code="no-labels")
    films = table.iloc[np.flatnonzero(known)]
    probabilities = probabilities_of(films, labels.classes)
    place = place[known]
    unknown = np.full(len(films), -1)
    return LabeledCases(
        labels=labels,
        threshold=threshold,
        films=films,
        film_labels=names[place],
        probabilities=probabilities,
        targets=targets[known],
        predicted=labels.decide(probabilities, threshold),
        binary_reference=unknown if labels.negative is None else labels.positive(names)[place],
        patient=_numbered(films["patient"]) if "patient" in films else np.arange(len(films)),
        left_out=int((~known).sum()),
        band=band,
    )


def distinct_values(column: pd.Series) -> tuple[NDArray[np.intp], NDArray[np.object_]]:
    """For each row the place of its value among the distinct ones, which follow; a missing value is one of them."""
    place, distinct = pd.factorize(column, use_na_sentinel=False)
    return place, distinct.to_numpy(object)


def _numbered(patients: Any) -> NDArray[np.int64]:
    """Each film's patient as a number from 0, in the order in which patients first appear."""
    return pd.factorize(patients)[0]
