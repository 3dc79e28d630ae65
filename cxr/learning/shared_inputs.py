"""What trainings that follow each other on the same films share: the pixels, and the features of a frozen backbone.

The trials of a study differ in their heads and optimizers. Those that train the head alone start from the same
features, so that all of them cost one pass of the backbone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cxr.datasets.dataset import Dataset
from cxr.learning.epoch import TrainingInputs
from cxr.learning.features import FeatureTable, PixelTable
from cxr.learning.network import Network
from cxr.registry.recipe import Recipe


@dataclass(frozen=True, eq=False)
class ReadFilms:
    """The readable films of a training with their pixels, roles and targets."""

    dataset: Dataset
    pixels: PixelTable
    targets: NDArray[np.float32]

    def indices(self, role: str) -> NDArray[np.int64]:
        """The films of this role."""
        return np.flatnonzero(self.dataset.table["role"] == role)

    @property
    def held_out(self) -> NDArray[np.int64]:
        """The films that are not trained on: validation and test."""
        return np.flatnonzero(self.dataset.table["role"] != "train")


@dataclass(frozen=True, eq=False)
class SharedFeatures:
    """The features that heads are trained on: of the training films' views, and of all films as they are."""

    views: FeatureTable
    plain: FeatureTable

    def of(self, network: Network) -> TrainingInputs:
        """The inputs of a training of this network's head."""
        return TrainingInputs(network.trainable_part, self.views, self.plain, None)


@dataclass(frozen=True, eq=False)
class SharedInputs:
    """The inputs that are known already, of trainings on the same films in one process."""

    films_by_size: dict[int, ReadFilms] = field(default_factory=dict)
    features_by_key: dict[str, SharedFeatures] = field(default_factory=dict)

    def films(self, size_px: int, read: Callable[[], ReadFilms]) -> ReadFilms:
        """The films at this size; read where no training before had them."""
        if size_px not in self.films_by_size:
            self.films_by_size[size_px] = read()
        return self.films_by_size[size_px]

    def features_of(self, recipe: Recipe, precision: str) -> SharedFeatures | None:
        """The features that the recipe's head starts from; None where they are not known, or more is trained."""
        return self.features_by_key.get(_key(recipe, precision)) if _trains_new_head(recipe) else None

    def keep_features(self, recipe: Recipe, precision: str, inputs: TrainingInputs) -> None:
        """Remember the features that a head is trained on, for the trainings that follow."""
        if _trains_new_head(recipe):
            self.features_by_key[_key(recipe, precision)] = SharedFeatures(inputs.views, inputs.plain)


def _trains_new_head(recipe: Recipe) -> bool:
    fresh_views = recipe.augmentation.active and not recipe.training.views
    return recipe.trunk.train == "head" and not recipe.head.keep and not fresh_views


def _key(recipe: Recipe, precision: str) -> str:
    """All that the features depend on beside the films."""
    views = recipe.training.views if recipe.augmentation.active else 0
    facts = [
        precision,
        recipe.input.model_dump(mode="json"),
        recipe.trunk.model_dump(mode="json"),
        recipe.head.pool,
        recipe.training.seed,
        recipe.augmentation.model_dump(mode="json") if views else None,
        views,
    ]
    return json.dumps(facts, sort_keys=True)
