"""Probabilities of labels out of fold: by heads that saw no image of the same patient.

X-rays of other datasets may help to train the heads. Where the classes of a dataset differ in scanner or view as well,
heads learn that instead of disease, and wrong labels stay hidden; reference X-rays from elsewhere break the tie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.copies import with_known_copies
from cxr.evaluation.finished_steps import NOTHING_FINISHED, FinishedSteps
from cxr.evaluation.shortcuts.probes import FOLDS, ProbeTarget, probe_probabilities
from cxr.learning.image_features import ImageFeatures

REPEATS = 5  # of the cross-validation, with other folds, whose probabilities are averaged
MOST_REFERENCE = 2  # times as many reference X-rays of a class as the dataset has itself

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class ReferenceFilms:
    """X-rays of other datasets: every head is trained on them, none is asked about them."""

    features: Floats
    class_index: NDArray[np.int64]

    @classmethod
    def none(cls, features: int) -> ReferenceFilms:
        """No reference X-rays."""
        return cls(np.zeros((0, features)), np.zeros(0, np.int64))

    @classmethod
    def from_features(cls, reference: ImageFeatures, classes: tuple[str, ...], reviewed: set[str]) -> ReferenceFilms:
        """The X-rays with one of the classes as label, without those that are reviewed themselves."""
        labels = reference.films.labels
        chosen = (labels.isin(classes) & ~reference.films.table["film"].isin(reviewed)).to_numpy(bool)
        index = np.array([classes.index(label) for label in labels[chosen]], np.int64)
        return cls(reference.last_block[chosen].astype(float), index)


def without_known_copies(reference: Dataset, reviewed: Dataset) -> Dataset:
    """The reference X-rays that are not reviewed themselves, nor known as copies of those that are."""
    own = set(zip(reviewed.table["root"], reviewed.table["path"], strict=True))
    places = zip(reference.table["root"], reference.table["path"], strict=True)
    others = reference.where(np.array([place not in own for place in places], bool))
    if not len(others):
        return others
    patients = with_known_copies(Dataset.join([reviewed, others])).patients
    return others.where(~patients.iloc[len(reviewed) :].isin(patients.iloc[: len(reviewed)]))


def drawn_reference(dataset: Dataset, own_counts: dict[str, int], seed: int = 0) -> Dataset:
    """A draw of the dataset's X-rays: of each class at most twice as many as are reviewed, of other labels none."""
    rng, rows = np.random.default_rng(seed), []
    for label, count in sorted(own_counts.items()):
        members = np.flatnonzero((dataset.labels == label).to_numpy())
        rows.append(rng.permutation(members)[: MOST_REFERENCE * count])
    chosen = np.zeros(len(dataset), bool)
    chosen[np.concatenate(rows)] = True
    return dataset.where(chosen)


@dataclass(frozen=True)
class OutOfFoldSteps:
    """What keeps the finished repeats of a cross-validation, and is told its progress."""

    finished: FinishedSteps = NOTHING_FINISHED
    progress: Callable[..., None] = lambda done, total, what="": None


ALL_STEPS = OutOfFoldSteps()
TRAINING_HEADS = "Training heads"


def out_of_fold(
    features: Floats,
    target: ProbeTarget,
    reference: ReferenceFilms | None = None,
    seed: int = 0,
    steps: OutOfFoldSteps = ALL_STEPS,
) -> Floats:
    """The mean probabilities (films, classes) of repeated cross-validations by patient."""
    extra = ReferenceFilms.none(features.shape[1]) if reference is None else reference
    total = np.zeros((len(features), len(target.classes)))
    for repeat in range(REPEATS):
        steps.progress(repeat, REPEATS, TRAINING_HEADS)

        def compute(repeat: int = repeat) -> dict[str, Floats]:
            return {"probabilities": _one_repeat(features, target, extra, seed + repeat)}

        total += steps.finished.arrays(f"out-of-fold-{repeat}", compute)["probabilities"]
    return total / REPEATS


def _one_repeat(features: Floats, target: ProbeTarget, extra: ReferenceFilms, seed: int) -> Floats:
    """The probabilities of one cross-validation by patient."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds, classes = min(FOLDS, int(target.patients.min())), len(target.classes)
    found = np.zeros((len(features), classes))
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for train, test in split.split(features, target.class_index, target.patient):
        known = np.concatenate([features[train], extra.features])
        labels = np.concatenate([target.class_index[train], extra.class_index])
        found[test] = probe_probabilities(known, labels, features[test], classes)
    return found
