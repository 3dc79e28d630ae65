"""The learning curve of a dataset: its X-rays' features, the classes with enough patients, and the curve of heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.copies import with_known_copies
from cxr.evaluation.finished_steps import NOTHING_FINISHED, FinishedSteps
from cxr.evaluation.label_review.ranking import reviewed_classes
from cxr.evaluation.learning_curve import FEWEST_PATIENTS, LearningCurve, learning_curve
from cxr.evaluation.shortcuts.probes import ProbeTarget
from cxr.learning.image_features import image_features

COMPUTING = "training classifiers"


@dataclass(frozen=True, eq=False)
class DatasetCurve:
    """A learning curve, and what it was made of."""

    curve: LearningCurve
    classes: tuple[str, ...]
    left_out: Mapping[str, int]  # label -> X-rays, of labels with too few patients
    backbone: str  # that the features are of

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        about = {"classes": list(self.classes), "left_out": dict(self.left_out), "backbone": self.backbone}
        return about | self.curve.as_dict()

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> DatasetCurve:
        """What `as_dict` has made; KeyError, TypeError or ValueError where it is something else."""
        left_out = {str(name): int(count) for name, count in stored["left_out"].items()}
        return cls(LearningCurve.from_dict(stored), tuple(stored["classes"]), left_out, str(stored["backbone"]))


def dataset_curve(
    features: str, dataset: Dataset, progress: Callable[..., None], steps: FinishedSteps = NOTHING_FINISHED
) -> DatasetCurve:
    """The learning curve of heads on these features of the dataset's X-rays; what `steps` has is not done again."""
    computed = image_features(features, with_known_copies(dataset), progress)
    steps.check_unchanged("features", computed.digest)
    classes = reviewed_classes(computed.films, FEWEST_PATIENTS)
    known = computed.films.labels.isin(classes).to_numpy(bool)
    left_out = {str(name): int(count) for name, count in computed.films.labels[~known].value_counts().items()}
    films = computed.films.where(known)
    patient = pd.factorize(films.patients)[0].astype(np.int64)
    target = ProbeTarget.from_values(films.labels, patient, classes)

    def report(done: int, total: int) -> None:
        progress(done, total, COMPUTING)

    curve = learning_curve(computed.last_block[known].astype(float), target, report, steps=steps)
    return DatasetCurve(curve, classes, left_out, computed.backbone)
