"""What trainings that follow each other on the same films share: pixels, features of a frozen backbone, compiled heads.

The trials of a study differ in their heads and optimizers. Those that train the head alone start from the same
features, so that all of them cost one pass of the backbone; those whose heads are alike use one compiled head.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cxr.datasets.dataset import Dataset
from cxr.learning.epoch import TrainingInputs
from cxr.learning.features import FeatureTable, PixelTable
from cxr.learning.network import Network
from cxr.registry.recipe import Recipe

MOST_HEADS, MOST_WEIGHTS = 8, 2_000_000  # heads that stay compiled, and weights of each


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
class CompiledHead:
    """A head that is compiled already, for trainings that differ in learning rate, smoothing and batches alone."""

    network: Network
    inputs: TrainingInputs
    model: keras.Model
    smoothing: keras.Variable
    start: list[NDArray[Any]]  # of all variables, before the first step

    @classmethod
    def before_training(
        cls, network: Network, inputs: TrainingInputs, model: keras.Model, smoothing: keras.Variable
    ) -> CompiledHead:
        """This head, of which no step has been trained."""
        start = [np.asarray(variable).copy() for variable in _variables(model)]
        return cls(network, inputs, model, smoothing, start)

    def begin(self, recipe: Recipe) -> None:
        """Make it as it was before its first step, with this recipe's learning rate and smoothing."""
        for variable, value in zip(_variables(self.model), self.start, strict=True):
            variable.assign(value)
        if recipe.optimiser.schedule == "constant":
            self.model.optimizer.learning_rate = recipe.optimiser.rate
        self.smoothing.assign(recipe.training.label_smoothing)


def _variables(model: keras.Model) -> list[Any]:
    return [*model.weights, *model.optimizer.variables]


@dataclass(frozen=True, eq=False)
class SharedInputs:
    """What is known already, of trainings on the same films in one process."""

    films_by_size: dict[int, ReadFilms] = field(default_factory=dict)
    features_by_key: dict[str, SharedFeatures] = field(default_factory=dict)
    heads_by_key: dict[str, CompiledHead] = field(default_factory=dict)

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

    def has_head(self, recipe: Recipe, precision: str) -> bool:
        """Whether a training of this recipe finds its head compiled."""
        return _head_key(recipe, precision) in self.heads_by_key

    def head_of(self, recipe: Recipe, precision: str) -> CompiledHead | None:
        """The compiled head of a training before that had the same one, as it was before its first step."""
        head = self.heads_by_key.get(_head_key(recipe, precision))
        if head is not None:
            head.begin(recipe)
        return head

    def smoothing_of(self, recipe: Recipe) -> float | keras.Variable:
        """The label smoothing, as a variable where the head that is compiled with it may be used again.

        JAX takes a variable for a constant, so there every training compiles its own head.
        """
        value = recipe.training.label_smoothing
        if keras.backend.backend() != "tensorflow" or not _trains_new_head(recipe):
            return value
        return keras.Variable(value, trainable=False, dtype="float32")

    def keep_head(self, recipe: Recipe, precision: str, head: CompiledHead) -> None:
        """Remember a compiled head, unless it is large; the one that was compiled first makes room."""
        if sum(array.size for array in head.start) > MOST_WEIGHTS:
            return
        while len(self.heads_by_key) >= MOST_HEADS:
            del self.heads_by_key[next(iter(self.heads_by_key))]
        self.heads_by_key[_head_key(recipe, precision)] = head


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


def _head_key(recipe: Recipe, precision: str) -> str:
    """All that is compiled into a head and its optimizer; a schedule has the learning rate and the steps in it."""
    changeable = {"rate"} if recipe.optimiser.schedule == "constant" else set()
    training = recipe.training.model_dump(mode="json")
    unused = {"label_smoothing", *({"batch", "class_weights"} if changeable else ())}
    facts = [
        _key(recipe, precision),
        recipe.head.model_dump(mode="json"),
        recipe.optimiser.model_dump(mode="json", exclude=changeable),
        {name: value for name, value in training.items() if name not in unused},
    ]
    return json.dumps(facts, sort_keys=True)
