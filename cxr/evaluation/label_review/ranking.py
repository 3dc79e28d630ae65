"""The X-rays of a dataset in the order in which their labels should be looked at, the least likely label first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.access import Action, authorize
from cxr.core.errors import DatasetError
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.quality.copies import with_known_copies
from cxr.evaluation.finished_steps import NOTHING_FINISHED, FinishedSteps
from cxr.evaluation.intervals import Interval, percentile_interval
from cxr.evaluation.label_review.confident_learning import LabelQuality, label_quality
from cxr.evaluation.label_review.out_of_fold import (
    ALL_STEPS,
    OutOfFoldSteps,
    ReferenceFilms,
    drawn_reference,
    out_of_fold,
    without_known_copies,
)
from cxr.evaluation.shortcuts.probes import ProbeTarget
from cxr.evaluation.training_films import roles_in_training
from cxr.learning.image_features import IMAGENET, ImageFeatures, image_features

FEWEST_PATIENTS = 10  # with a label, for it to be a class
RESAMPLES = 500

Floats = NDArray[np.floating]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class LabelRanking:
    """All X-rays of a dataset whose label is one of its classes, with out-of-fold probabilities."""

    films: Dataset  # with `film`, the id of each
    classes: tuple[str, ...]
    labels: NDArray[np.int64]  # (films,)
    probabilities: Floats  # (films, classes), each by models that were not trained on the patient
    quality: LabelQuality
    wrong: dict[str, Interval]  # by class: how many of its labels are estimated to be wrong
    left_out: dict[str, int]  # label -> X-rays with it, which is no class or has too few patients
    unreadable: dict[str, str]
    backbone: str = ""  # whose features the heads had; empty where the scores of a job were taken
    trained_on: int = 0  # X-rays that the backbone itself was trained on, so that their label may hide in it
    reference_films: int = 0  # of other datasets, which helped to train the heads
    scores: str = ""  # the ID of the cross-validation whose scores the probabilities are
    not_scored: int = 0  # X-rays without a score there

    @property
    def order(self) -> NDArray[np.int64]:
        """The X-rays from the least likely label on."""
        return self.quality.order

    def table(self) -> pd.DataFrame:
        """A row for each X-ray in this order."""
        order, images = self.order, np.arange(len(self.labels))
        own = self.probabilities[images, self.labels]
        suggested = self.quality.suggested
        films = self.films.table
        return pd.DataFrame(
            {
                "rank": images + 1,
                "dataset": films["dataset"].to_numpy()[order],
                "path": films["path"].to_numpy()[order],
                "film": films["film"].to_numpy()[order],
                "label": [self.classes[k] for k in self.labels[order]],
                "suggested": [self.classes[k] for k in suggested[order]],
                "p_label": np.round(own[order], 6),
                "p_suggested": np.round(self.probabilities[images, suggested][order], 6),
                "suspected": self.quality.suspected[order],
            }
        )

    def as_dict(self, first: int | None = None) -> dict[str, Any]:
        """Ready for JSON, with the first rows of the table, or all."""
        table = self.table()
        return {
            "backbone": self.backbone,
            "films": len(self.labels),
            "classes": list(self.classes),
            "suspected": int(self.quality.suspected.sum()),
            "wrong": {name: interval.as_dict() for name, interval in self.wrong.items()},
            "joint": np.round(self.quality.joint, 6).tolist(),
            "left_out": self.left_out,
            "unreadable": self.unreadable,
            "trained_on": self.trained_on,
            "reference_films": self.reference_films,
            "scores": self.scores,
            "not_scored": self.not_scored,
            "ranking": table.head(len(table) if first is None else first).to_dict("records"),
        }


def rank_dataset(
    paths: Sequence[str],
    backbone: str,
    progress: Progress,
    seed: int = 0,
    reference: Sequence[str] = (),
    steps: FinishedSteps = NOTHING_FINISHED,
) -> LabelRanking:
    """The ranking of all labels of these datasets, by features of ImageNet's VGG16 or of a stored model.

    X-rays of the reference datasets help to train the heads; their own labels are not reviewed. What `steps` has is
    not done again.
    """
    authorize(Action.AUDIT_DATASET)
    reviewed = open_datasets(paths)
    dataset = with_known_copies(reviewed)
    classes = reviewed_classes(dataset)
    features = image_features(backbone, dataset, progress)
    ids = features.films.table["film"].tolist()
    trained_on = 0 if backbone == IMAGENET else roles_in_training(backbone, ids).count("train")
    films = None
    if reference:
        counts = {name: int((dataset.labels == name).sum()) for name in classes}
        drawn = drawn_reference(without_known_copies(open_datasets(reference), reviewed), counts, seed)
        if not len(drawn):
            raise DatasetError("The reference X-rays have none of the labels that are reviewed.", code="no-reference")
        films = ReferenceFilms.from_features(image_features(backbone, drawn, progress), classes, set(ids))
    return rank_labels(features, seed, trained_on, films, OutOfFoldSteps(steps, progress))


def reviewed_classes(dataset: Dataset, fewest: int = FEWEST_PATIENTS) -> tuple[str, ...]:
    """The labels that are classes, by name: those with enough patients; DatasetError where there are not two."""
    patients = dataset.patients.groupby(dataset.labels).nunique()
    classes = tuple(sorted(str(name) for name, count in patients.items() if name and count >= fewest))
    if len(classes) < 2:
        raise DatasetError(
            f"This needs two labels with X-rays of at least {fewest} patients each.",
            code="too-few-labels",
        )
    return classes


def rank_labels(
    features: ImageFeatures,
    seed: int = 0,
    trained_on: int = 0,
    reference: ReferenceFilms | None = None,
    steps: OutOfFoldSteps = ALL_STEPS,
) -> LabelRanking:
    """The ranking of all labels by heads on these features, cross-fitted by patient."""
    ranked = RankedFilms.from_films(features.films, reviewed_classes(features.films))
    values = features.last_block[ranked.known].astype(float)
    return ranked.ranking(
        out_of_fold(values, ranked.target, reference, seed, steps),
        seed,
        backbone=features.backbone,
        unreadable=features.unreadable,
        trained_on=trained_on,
        reference_films=0 if reference is None else len(reference.class_index),
    )


@dataclass(frozen=True, eq=False)
class RankedFilms:
    """The X-rays of a dataset whose label is one of the classes, ready for probabilities."""

    films: Dataset
    known: NDArray[np.bool_]  # which of the dataset's X-rays they are
    target: ProbeTarget
    left_out: dict[str, int]

    @classmethod
    def from_films(cls, films: Dataset, classes: tuple[str, ...]) -> RankedFilms:
        """Those of these X-rays whose label is one of the classes."""
        known = films.labels.isin(classes).to_numpy(bool)
        others = films.labels[~known].value_counts()
        chosen = films.where(known)
        patient = pd.factorize(chosen.patients)[0].astype(np.int64)
        target = ProbeTarget.from_values(chosen.labels, patient, classes)
        return cls(chosen, known, target, {str(name): int(count) for name, count in others.items()})

    def ranking(self, probabilities: Floats, seed: int, **facts: Any) -> LabelRanking:
        """The ranking by these probabilities (films, classes), with facts about where they are from."""
        return LabelRanking(
            films=self.films,
            classes=self.target.classes,
            labels=self.target.class_index,
            probabilities=probabilities,
            quality=label_quality(probabilities, self.target.class_index),
            wrong=wrong_labels(probabilities, self.target, seed),
            left_out=self.left_out,
            **facts,
        )


def wrong_labels(probabilities: Floats, target: ProbeTarget, seed: int = 0) -> dict[str, Interval]:
    """How many labels of each class are estimated to be wrong, with the interval of a bootstrap over patients."""
    labels, classes = target.class_index, len(target.classes)
    counts = np.bincount(labels, minlength=classes)
    value = label_quality(probabilities, labels).wrong_by_label(counts)
    people = int(target.patient.max()) + 1
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(RESAMPLES):
        times = np.bincount(rng.integers(people, size=people), minlength=people)
        rows = np.repeat(np.arange(len(labels)), times[target.patient])
        own = np.bincount(labels[rows], minlength=classes)
        share = label_quality(probabilities[rows], labels[rows]).wrong_by_label(own) / np.maximum(own, 1)
        drawn.append(share * counts)
    samples = np.array(drawn)
    return {name: percentile_interval(float(value[k]), samples[:, k]) for k, name in enumerate(target.classes)}
