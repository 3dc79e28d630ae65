"""What a fit knows of a hospital's labeled X-rays: the model's answers, features, labels and patients."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.datasets.labels import NO_NEGATIVE, LabelSpace

Floats = NDArray[np.floating]
Indexes = NDArray[np.intp]
FOLDS = 5
FEWEST_PATIENTS = 10  # on each side, normal and with a finding; fewer cannot be split into folds that say anything


@dataclass(frozen=True, eq=False)
class LocalFilms:
    """Labeled X-rays of one hospital; every array has a row for each."""

    labels: LabelSpace
    probabilities: Floats  # of the model as it is
    features: Floats  # the input of its last layer
    targets: NDArray[np.bool_]  # the classes that the label allows
    patient: NDArray[np.int64]

    @property
    def has_finding(self) -> NDArray[np.bool_]:
        """Whether an X-ray's label excludes the negative class."""
        return ~self.targets[:, self.labels.negative]

    def subset(self, rows: Indexes) -> LocalFilms:
        """These X-rays alone."""
        return replace(
            self,
            probabilities=self.probabilities[rows],
            features=self.features[rows],
            targets=self.targets[rows],
            patient=self.patient[rows],
        )

    def check(self) -> None:
        """DatasetError if there are too few patients on one side, or no negative class."""
        if self.labels.negative is None:
            raise DatasetError(NO_NEGATIVE, code="no-negative-class")
        for finding, name in ((False, "normal X-rays"), (True, "X-rays with a finding")):
            patients = len(np.unique(self.patient[self.has_finding == finding]))
            if patients < FEWEST_PATIENTS:
                raise DatasetError(
                    f"A fit needs {name} of at least {FEWEST_PATIENTS} patients; these are of {patients}.",
                    code="too-few-patients",
                )


def score_of(probabilities: Floats, labels: LabelSpace) -> Floats:
    """The probability of any class but the negative one."""
    return 1 - probabilities[:, labels.negative]


def patient_folds(films: LocalFilms, seed: int, folds: int = FOLDS) -> NDArray[np.intp]:
    """The fold of each X-ray: patients stay together, and normal and other patients are spread evenly."""
    rng = np.random.default_rng(seed)
    people, person = np.unique(films.patient, return_inverse=True)
    ill = np.zeros(len(people), bool)
    np.logical_or.at(ill, person, films.has_finding)
    fold = np.empty(len(people), np.intp)
    start = 0
    for side in (False, True):
        members = rng.permutation(np.flatnonzero(ill == side))
        fold[members] = (np.arange(len(members)) + start) % folds
        start += len(members)
    return fold[person]
