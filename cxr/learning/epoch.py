"""One epoch of a training: its batches and its optimizer steps. Both depend on the recipe and the epoch alone."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import RunError
from cxr.learning.augmented_views import AugmentedViews
from cxr.learning.checkpoint import trained_variables
from cxr.learning.features import FeatureTable
from cxr.learning.history import EpochMetrics
from cxr.learning.journal import Journal, StepProgress
from cxr.learning.optimization import balanced_weights, source_weights
from cxr.registry.recipe import Recipe

AHEAD = 2  # threads that augment the next batches
NEXT_ROUND = 1_000_000  # more than epochs can be, so that no view is made twice


@dataclass(frozen=True, eq=False)
class TrainingInputs:
    """The part of a network that is trained, and its inputs: features of the frozen backbone, or images."""

    model: keras.Model
    views: FeatureTable  # what is trained on: one column per precomputed view
    plain: FeatureTable  # the films without augmentation
    augmented: AugmentedViews | None  # makes new views each epoch; None: `views` are used


class EpochBatches(keras.utils.PyDataset):
    """The batches of the epoch that `begin` was called with last."""

    def __init__(
        self,
        recipe: Recipe,
        inputs: TrainingInputs,
        films: NDArray[np.int64],
        targets: NDArray[np.float32],
        sources: NDArray[np.object_],
    ) -> None:
        # Keras makes batches ahead of the steps from two workers on; with one, each step waits for its batch.
        workers = max(AHEAD, inputs.augmented.processes) if inputs.augmented else 1
        super().__init__(workers=workers, max_queue_size=4 * workers)
        self.settings = recipe.training
        self.seed = recipe.seed_of_views
        self.inputs = inputs
        self.films = films
        self.targets = targets
        self.weights = np.ones(len(targets), np.float32)
        if recipe.training.class_weights == "balanced":
            self.weights[films] = balanced_weights(targets[films])
        elif recipe.training.class_weights == "by_source":
            self.weights[films] = source_weights(targets[films], sources[films])
        self.begin(0)

    def __len__(self) -> int:
        return self.settings.steps_per_epoch or -(-len(self.films) // self.settings.batch)

    def begin(self, epoch: int) -> None:
        """Draw the order of the films and their views for this epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        needed = len(self) * self.settings.batch
        rounds = max(1, -(-needed // len(self.films))) if self.settings.steps_per_epoch else 1
        self.order = np.concatenate([rng.permutation(self.films) for _ in range(rounds)])[:needed]
        # A film that comes again in an epoch gets another view, as in every epoch.
        self.fresh_view = epoch + NEXT_ROUND * (np.arange(len(self.order)) // len(self.films))
        self.view = rng.integers(0, self.inputs.views.row_numbers.shape[1], len(self.order))

    def __getitem__(self, step: int) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        part = slice(step * self.settings.batch, (step + 1) * self.settings.batch)
        films = self.order[part]
        if self.inputs.augmented:
            rows = self.inputs.augmented.batch(films.tolist(), self.fresh_view[part].tolist())
        else:
            rows = self.inputs.views.take(films, self.view[part])
        return as_input(rows), self.targets[films], self.weights[films]


def as_input(rows: NDArray[Any]) -> NDArray[Any]:
    """The rows as a model's input: images get a channel axis, features stay as they are."""
    return rows[..., None].astype(np.float32) if rows.dtype == np.uint8 else rows


@dataclass(frozen=True, eq=False)
class EpochOutcome:
    """The metrics of an epoch; the model now holds the weights to evaluate."""

    row: EpochMetrics
    weights: list[NDArray[Any]] | None  # the weights to continue from, where the model holds their moving average


def run_epoch(model: keras.Model, batches: EpochBatches, epoch: int, journal: Journal) -> EpochOutcome | None:
    """The outcome of one pass over the batches; None if it was stopped before its end."""
    started = time.monotonic()
    batches.begin(epoch)
    seed_dropout(model, batches.seed, epoch)
    callback = _ProgressCallback(journal, epoch + 1, batches)
    logs = model.fit(
        batches, epochs=epoch + 1, initial_epoch=epoch, shuffle=False, verbose=0, callbacks=[callback]
    ).history
    if callback.stopped:
        return None
    if model.optimizer.use_ema:
        _own_memory(model.trainable_variables)
    loss = float(logs["loss"][-1])
    if not np.isfinite(loss):
        raise RunError(
            f"The loss became {loss} in epoch {epoch + 1}. Lower the learning rate, or set a clip norm.",
            code="diverged",
        )
    row = {
        "epoch": epoch + 1,
        "loss": loss,
        "accuracy": float(logs["accuracy"][-1]),
        "rate": float(np.asarray(model.optimizer.learning_rate)),
        "seconds": round(time.monotonic() - started, 2),
        "films_s": round(callback.films_s, 2),
    }
    return EpochOutcome(row, callback.weights)


class _ProgressCallback(keras.callbacks.Callback):
    """Reports every step to the journal, and ends the epoch when the run is to stop."""

    def __init__(self, journal: Journal, epoch: int, batches: EpochBatches) -> None:
        super().__init__()
        self.journal, self.epoch, self.batches, self.stopped = journal, epoch, batches, False
        self.weights: list[NDArray[Any]] | None = None  # as trained, before Keras replaces them by their average
        self.films_s = 0.0
        self._second_step_at = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        means = logs or {}
        self._measure_speed(batch)
        loss, accuracy = float(means.get("loss", np.nan)), float(means.get("accuracy", np.nan))
        self.journal.step(StepProgress(self.epoch, batch + 1, len(self.batches), loss, accuracy, self.films_s))
        if self.journal.should_stop():
            self.stopped = self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.model.optimizer.use_ema:
            self.weights = [variable.numpy() for variable in trained_variables(self.model)]

    def _measure_speed(self, batch: int) -> None:
        """Films per second without the first step, which may compile the graph."""
        if batch == 0:
            self._second_step_at = time.monotonic()
            return
        size, count = self.batches.settings.batch, len(self.batches.order)
        elapsed_s = max(time.monotonic() - self._second_step_at, 1e-6)
        self.films_s = (min((batch + 1) * size, count) - size) / elapsed_s


def _own_memory(variables: Iterable[Any]) -> None:
    """Copy the averages that Keras put into the model: on JAX they share memory, which prediction frees."""
    for variable in variables:
        variable.assign(keras.ops.copy(variable))


def seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Seed each Dropout layer with the epoch, so that a resumed run draws what an uninterrupted one draws."""
    generators = [layer.seed_generator for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    for number, generator in enumerate(one for one in generators if one is not None):
        own = np.random.SeedSequence([seed, epoch, number]).generate_state(2) if number else [seed, epoch]
        generator.state.assign(np.array(own, np.uint32))
