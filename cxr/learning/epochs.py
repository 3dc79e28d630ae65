"""The batches of a training, epoch after epoch: order, views and changes depend on seed and epoch alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cxr.learning import objective
from cxr.learning.features import FeatureTable
from cxr.registry.recipe import Recipe


@dataclass(frozen=True, eq=False)
class TrainingInputs:
    """What is trained, and what it is shown: maps of a frozen trunk, or films."""

    model: keras.Model
    views: FeatureTable  # one column a kept view
    plain: FeatureTable  # the films as they are
    change: Callable[[int, int], NDArray[Any]] | None  # (film, epoch) -> a fresh view


class EpochBatches(keras.utils.PyDataset):
    """The batches of the epoch that was begun last."""

    def __init__(
        self,
        recipe: Recipe,
        lesson: TrainingInputs,
        films: NDArray[np.int64],
        targets: NDArray[np.float32],
        sources: NDArray[np.object_],
    ) -> None:
        super().__init__(workers=1, max_queue_size=4)
        self.settings = recipe.training
        self.lesson = lesson
        self.films = films
        self.targets = targets
        self.weights = np.ones(len(targets), np.float32)
        if recipe.training.class_weights == "balanced":
            self.weights[films] = objective.balanced_weights(targets[films])
        elif recipe.training.class_weights == "by_source":
            self.weights[films] = objective.source_weights(targets[films], sources[films])
        self.begin(0)

    def __len__(self) -> int:
        return self.settings.steps_per_epoch or -(-len(self.films) // self.settings.batch)

    def begin(self, epoch: int) -> None:
        rng = np.random.default_rng([self.settings.seed, epoch])
        need = len(self) * self.settings.batch
        rounds = max(1, -(-need // len(self.films))) if self.settings.steps_per_epoch else 1
        self.epoch = epoch
        self.order = np.concatenate([rng.permutation(self.films) for _ in range(rounds)])[:need]
        self.view = rng.integers(0, self.lesson.views.places.shape[1], len(self.order))

    def __getitem__(self, step: int) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        part = slice(step * self.settings.batch, (step + 1) * self.settings.batch)
        films = self.order[part]
        if self.lesson.change:
            shown = np.stack([self.lesson.change(int(film), self.epoch) for film in films])
        else:
            shown = self.lesson.views.take(films, self.view[part])
        return as_input(shown), self.targets[films], self.weights[films]


def as_input(rows: NDArray[Any]) -> NDArray[Any]:
    """Films get their channel; maps stay as they are."""
    return rows[..., None].astype(np.float32) if rows.dtype == np.uint8 else rows
