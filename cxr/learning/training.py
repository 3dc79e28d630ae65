"""Training: frozen features once, then epochs, each followed by a checkpoint that a killed run resumes from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import DatasetError, RunError
from cxr.core.number_format import counted
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace
from cxr.learning import history as training_history
from cxr.learning.augmented_views import AugmentedViews, processes_for
from cxr.learning.checkpoint import load_best, resume_from_checkpoint, save_checkpoint
from cxr.learning.device import Device
from cxr.learning.epoch import EpochBatches, TrainingInputs, as_input, run_epoch
from cxr.learning.features import FeatureTable, PixelTable, feature_table, pixel_table
from cxr.learning.history import STOPPED, EpochMetrics
from cxr.learning.journal import Journal, Phase
from cxr.learning.network import Network, build
from cxr.learning.normalization import Equalization, fit_whitening, whitens
from cxr.learning.optimization import group_accuracy, group_crossentropy, log_probabilities, make_optimizer
from cxr.learning.shared_inputs import CompiledHead, ReadFilms, SharedInputs
from cxr.learning.starting_weights import load_starting_weights
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import round_to_half

WHITENING_FILMS = 512
POOLED_BATCH = 1024  # X-rays whose pooled features are evaluated at once; of images and maps, 32
MAX_NAMED = 20  # unreadable images that the journal names


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A network with the weights of its best epoch, and how it got them."""

    network: Network
    history: list[EpochMetrics]
    best_epoch: int
    starting_weights: str
    zca_rank: int
    films: Dataset  # every film that took part, with `role` and `film` (the film's id, a hash of its bytes)
    probabilities: NDArray[np.float32]  # of the films that are not in train, in their order


def train(recipe: Recipe, dataset: Dataset, labels: LabelSpace, device: Device, journal: Journal) -> TrainingResult:
    """The network trained on the films by role; continues from the journal's checkpoint where there is one."""
    prepared = prepare(recipe, dataset, labels, device, journal)
    history = prepared.train_epochs(journal)
    return prepared.result(history, journal)


@dataclass(frozen=True, eq=False)
class PreparedTraining:
    """All that the epochs of a training need: the films, the network, its inputs, and the batches."""

    recipe: Recipe
    films: ReadFilms
    labels: LabelSpace
    network: Network
    model: keras.Model  # the part that is trained, compiled
    batches: EpochBatches
    starting_weights: str
    zca_rank: int

    def train_epochs(self, journal: Journal) -> list[EpochMetrics]:
        """The history after the last epoch; the journal has the checkpoints and the best weights."""
        with self.batches.inputs.augmented or nullcontext():
            return _train_epochs(self.recipe, self.model, self.batches, (self.films, self.labels), journal)

    def result(self, history: list[EpochMetrics], journal: Journal) -> TrainingResult:
        """The network with the weights of its best epoch, and what it says of validation and test films."""
        best = training_history.best_epoch(history, self.recipe.training.best)
        load_best(self.model, best + 1, journal)
        if self.recipe.training.half:
            round_to_half(self.network.model.weights, self.recipe.training.half_bits)
        films, inputs = self.films, self.batches.inputs
        probabilities = np.exp(_log_probabilities(inputs, films.held_out))
        dataset, weights = films.dataset, self.starting_weights
        return TrainingResult(self.network, history, best + 1, weights, self.zca_rank, dataset, probabilities)


def prepare(
    recipe: Recipe,
    dataset: Dataset,
    labels: LabelSpace,
    device: Device,
    journal: Journal,
    shared: SharedInputs | None = None,
) -> PreparedTraining:
    """A training before its first epoch, or before the one after the journal's checkpoint.

    Trainings that follow each other on the same films in one process may share their inputs. The backbone of a network
    whose features are shared then has no weights: its epochs are those of any training, its result is not.
    """
    may_share, shared = shared is not None, shared or SharedInputs()
    films = shared.films(recipe.input.size_px, lambda: _read_films(recipe, dataset, labels, journal))
    whitening = _fitted_whitening(recipe, films)
    zca_rank = whitening[2].shape[1] if len(whitening) > 2 else 0
    sources = films.dataset.sources.to_numpy(object)
    if head := shared.head_of(recipe, device.precision):
        batches = EpochBatches(recipe, head.inputs, films.indices("train"), films.targets, sources)
        return PreparedTraining(recipe, films, labels, head.network, head.model, batches, "", zca_rank)
    known = shared.features_of(recipe, device.precision)
    with device.scope():
        network = build(recipe, len(labels.classes), device.precision, zca_rank)
        if whitening:
            network.model.get_layer("whitening").set_weights(whitening)
        starting_weights = "" if known else load_starting_weights(network.model, recipe)
    # Outside the scope: several GPUs would each get the whole batch.
    inputs = known.of(network) if known else _inputs(recipe, network, films, device, journal)
    shared.keep_features(recipe, device.precision, inputs)
    batches = EpochBatches(recipe, inputs, films.indices("train"), films.targets, sources)
    with device.scope():
        smoothing = shared.smoothing_of(recipe) if may_share else recipe.training.label_smoothing
        model = _compiled(recipe, inputs, len(batches), smoothing)
    if isinstance(smoothing, keras.Variable):
        shared.keep_head(recipe, device.precision, CompiledHead.before_training(network, inputs, model, smoothing))
    return PreparedTraining(recipe, films, labels, network, model, batches, starting_weights, zca_rank)


def _compiled(recipe: Recipe, inputs: TrainingInputs, steps: int, smoothing: float | keras.Variable) -> keras.Model:
    settings = recipe.training
    model = keras.Model(inputs.model.input, inputs.model.output)
    model.compile(
        optimizer=make_optimizer(recipe.optimiser, steps, settings.epochs, settings.average),
        loss=group_crossentropy(smoothing),
        metrics=[keras.metrics.MeanMetricWrapper(group_accuracy, name="accuracy")],
        jit_compile=keras.backend.backend() != "tensorflow",  # measured slower there; JAX would compile nothing without
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _train_epochs(
    recipe: Recipe,
    model: keras.Model,
    batches: EpochBatches,
    films_and_labels: tuple[ReadFilms, LabelSpace],
    journal: Journal,
) -> list[EpochMetrics]:
    """The history after the last epoch; the journal has the checkpoints and the best weights."""
    films, labels = films_and_labels
    validation = films.indices("val")
    history = resume_from_checkpoint(model, journal)
    while (reason := training_history.stop_reason(history, recipe.training)) is None:
        outcome = run_epoch(model, batches, len(history), journal)
        if outcome is None:
            reason = STOPPED
            break
        log_p = _log_probabilities(batches.inputs, validation)
        history.append(outcome.row | training_history.validation_metrics(log_p, films.targets[validation], labels))
        save_checkpoint(model, outcome.weights, history, recipe, journal)
    if not history:
        raise _stopped_early()
    journal.note(f"Training ended after epoch {len(history)}: {reason.sentence}.")
    return history


def _read_films(recipe: Recipe, dataset: Dataset, labels: LabelSpace, journal: Journal) -> ReadFilms:
    journal.phase(Phase.READING_IMAGES)
    pixels = pixel_table(dataset, recipe.input.size_px, _counter(journal, Phase.READING_IMAGES))
    dataset, pixels = _without_unreadable(dataset, pixels, journal)
    dataset = dataset.with_column("film", [digest.hex()[:16] for digest in pixels.digests])
    return ReadFilms(dataset, pixels, labels.targets(dataset.labels))


def _inputs(recipe: Recipe, network: Network, films: ReadFilms, device: Device, journal: Journal) -> TrainingInputs:
    """The trained model with its inputs: images where the backbone is trained, otherwise its frozen features."""
    settings, pixels = recipe.augmentation, films.pixels
    fresh_views = settings.active and not recipe.training.views
    if recipe.trunk.train == "all" or fresh_views:
        logits = network.model.get_layer("logits").output
        whole = keras.Model(network.model.input, logits)

        table, digests, seed = pixels.table, pixels.digests, recipe.seed_of_views
        views = AugmentedViews(table.rows, table.row_numbers[:, 0], digests, settings, seed, processes_for())
        return TrainingInputs(whole, table, table, views if fresh_views else None)
    count = _counter(journal, Phase.COMPUTING_FEATURES)
    frozen, elsewhere = network.frozen_part, device.elsewhere
    if recipe.training.half:  # before its features are computed: they are those of the weights that are stored
        round_to_half(frozen.weights, recipe.training.half_bits)
    if settings.active:
        rows = feature_table(frozen, recipe, films.indices("train"), pixels, recipe.training.views, count, elsewhere)
        plain = feature_table(frozen, recipe, films.held_out, pixels, 0, count, elsewhere)
    else:
        rows = plain = feature_table(frozen, recipe, np.arange(len(films.dataset)), pixels, 0, count, elsewhere)
    return TrainingInputs(network.trainable_part, rows, plain, None)


def _log_probabilities(inputs: TrainingInputs, films: NDArray[np.int64]) -> NDArray[np.float32]:
    """The log-probabilities of films without augmentation."""
    rows, size = [], POOLED_BATCH if inputs.plain.rows.ndim == 2 else 32
    for start in range(0, len(films), size):
        batch = as_input(inputs.plain.take(films[start : start + size]))
        rows.append(np.asarray(log_probabilities(inputs.model.predict_on_batch(batch))))
    return np.concatenate(rows)


def _fitted_whitening(recipe: Recipe, films: ReadFilms) -> list[NDArray[np.float32]]:
    """The weights of the whitening layer, from a sample of the training films; empty if there is no such layer."""
    if not whitens(recipe.input):
        return []
    rng = np.random.default_rng(recipe.training.seed)
    sample = np.sort(rng.permutation(films.indices("train"))[:WHITENING_FILMS])
    pixels = films.pixels.table.take(sample)
    if recipe.input.equalize:
        pixels = np.asarray(Equalization(recipe.input.equalize)(as_input(pixels)))[..., 0]
    return fit_whitening(recipe.input, pixels)


def _without_unreadable(dataset: Dataset, pixels: PixelTable, journal: Journal) -> tuple[Dataset, PixelTable]:
    if not pixels.unreadable:
        return dataset, pixels
    for film, reason in list(pixels.unreadable.items())[:MAX_NAMED]:
        journal.note(f"Excluded {dataset.table['path'].iloc[film]}: {reason}")
    journal.note(f"Excluded {counted(len(pixels.unreadable), 'unreadable image')} of {len(dataset):,}.")
    readable = np.array([film not in pixels.unreadable for film in range(len(dataset))])
    roles = set(dataset.table["role"][readable])
    for role, name in (("train", "training"), ("val", "validation")):
        if role not in roles:
            raise DatasetError(f"None of the {name} images can be read.", code="unreadable")
    left = PixelTable(
        FeatureTable(pixels.table.rows, pixels.table.row_numbers[readable]),
        tuple(digest for digest, good in zip(pixels.digests, readable, strict=True) if good),
        {},
    )
    return dataset.where(readable), left


def _counter(journal: Journal, phase: Phase) -> Callable[[int, int], None]:
    """Reports progress within a phase, and ends the run when it is to stop."""

    def count(done: int, total: int) -> None:
        journal.phase(phase, done, total)
        if journal.should_stop():
            raise _stopped_early()

    return count


def _stopped_early() -> RunError:
    return RunError("Stopped before the end of the first epoch, so there is no model.", code="stopped")
