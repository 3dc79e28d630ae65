"""Building the index of a model's training X-rays, and how often look-alikes have the same label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.access import Action, authorize
from cxr.core.errors import DatasetError
from cxr.datasets.dataset import open_datasets
from cxr.datasets.quality.copies import with_known_copies
from cxr.evaluation.intervals import Interval, effective_patients, wilson_interval
from cxr.evaluation.look_alikes.index import TEXTS, LookAlikeIndex
from cxr.evaluation.training_films import roles_in_training
from cxr.learning.image_features import ImageFeatures, image_features
from cxr.registry import registry

NEIGHBORS = 10
BUILDING = "building the index"
NOTHING_TO_COMPARE = "These datasets have no training X-rays of this model, so there is nothing to compare with."

Floats = NDArray[np.floating]
Indexes = NDArray[np.int64]


@dataclass(frozen=True)
class LabelPrecision:
    """How many of the nearest look-alikes of a class's X-rays have its label."""

    label: str
    films: int
    same: Interval  # the share, with its interval over patients
    chance: float  # the share of X-rays of the class among all that could be look-alikes

    def as_dict(self) -> dict[str, object]:
        """Ready for JSON."""
        return {"label": self.label, "films": self.films, "same": self.same.as_dict(), "chance": round(self.chance, 6)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> LabelPrecision:
        """What `as_dict` has made; KeyError, TypeError or ValueError where it is something else."""
        same = Interval.from_dict(stored["same"])
        return cls(str(stored["label"]), int(stored["films"]), same, float(stored["chance"]))


def build_index(name: str, paths: Sequence[str], progress: Callable[..., None]) -> LookAlikeIndex:
    """The index of the model's training X-rays in these datasets, stored in this installation's cache."""
    authorize(Action.EVALUATE_MODEL)
    card = registry.get_card(name)
    datasets = with_known_copies(open_datasets(paths))
    features = image_features(name, datasets, progress, choose=lambda films: trained_on(name, films))
    progress(len(features.values), len(features.values), BUILDING)
    index = index_of(f"{card.name}@{card.version}", features)
    index.save()
    return index


def trained_on(name: str, films: Sequence[str]) -> NDArray[np.bool_]:
    """Which X-rays, by their ids, the model was trained on; DatasetError where it was trained on none of them."""
    trained = np.array([role == "train" for role in roles_in_training(name, films)], bool)
    if not trained.any():
        raise DatasetError(NOTHING_TO_COMPARE, code="no-training-films")
    return trained


def index_of(model: str, features: ImageFeatures) -> LookAlikeIndex:
    """The index of these X-rays; DatasetError where there are fewer than two patients of them."""
    patients = features.films.patients
    if patients.nunique() < 2:
        raise DatasetError(NOTHING_TO_COMPARE, code="no-training-films")
    table = features.films.table.assign(patient=patients.to_numpy(str))
    texts = {column: table[column].to_numpy(str) for column in TEXTS}
    return LookAlikeIndex.from_features(model, features.last_block.astype(float), texts)


def precision_by_label(
    index: LookAlikeIndex, count: int = NEIGHBORS, other_sources: bool = False
) -> list[LabelPrecision]:
    """For each class, the share of its X-rays' nearest look-alikes, of other patients, that have the same label.

    Of more than 100,000 X-rays, a random sample is asked.
    With `other_sources`, look-alikes come from other sources only; X-rays without any are left out.
    """
    label = index.texts["label"]
    same, chance = np.full(len(index), np.nan), np.full(len(index), np.nan)
    for rows, distances in index.distances_to_others(other_sources):
        allowed = np.isfinite(distances)
        equal = label[rows][:, None] == label[None]
        enough = allowed.sum(axis=1) >= count
        nearest = np.argpartition(distances, min(count, len(index) - 1), axis=1)[:, :count]
        same[rows[enough]] = np.take_along_axis(equal, nearest, axis=1)[enough].mean(axis=1)
        chance[rows[enough]] = (equal & allowed).sum(axis=1)[enough] / allowed.sum(axis=1)[enough]
    patient = pd.factorize(index.texts["patient"])[0].astype(np.int64)
    known = np.isfinite(same)
    return [_of_label(name, same, chance, known & (label == name), patient) for name in sorted(set(label[known]))]


def _of_label(name: str, same: Floats, chance: Floats, films: NDArray[np.bool_], patient: Indexes) -> LabelPrecision:
    """The mean share, with Wilson's interval of the effective number of patients.

    Look-alikes of one X-ray are not independent, so each patient counts once.
    """
    share, people = float(same[films].mean()), effective_patients(patient[films])
    bounds = wilson_interval(share * people, people)
    return LabelPrecision(name, int(films.sum()), Interval(share, bounds.low, bounds.high), float(chance[films].mean()))
