"""Training: frozen maps once, then epochs, with a checkpoint after each that a killed run goes on from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import DatasetError, RunError
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace
from cxr.learning import history as training_history
from cxr.learning import objective
from cxr.learning.augmentation import augment, view_rng
from cxr.learning.device import Device
from cxr.learning.epochs import EpochBatches, TrainingInputs, as_input
from cxr.learning.features import FeatureTable, PixelTable, feature_table, pixel_table
from cxr.learning.network import Network, build
from cxr.learning.optimizer import make_optimizer
from cxr.learning.whitening import fit_whitening, whitens
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import arrays_of, assign, load_starting_weights, round_to_half

WHITENING_FILMS = 512


class Journal(Protocol):
    """Where a training says how far it is, hears that it shall stop, and keeps what it would resume from."""

    def phase(self, name: str, done: int = 0, total: int = 0) -> None: ...
    def step(self, now: training_history.StepProgress) -> None: ...
    def history(self, rows: list[training_history.Row]) -> None: ...
    def note(self, sentence: str) -> None: ...
    def stopping(self) -> bool: ...
    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None: ...
    def load(self, name: str) -> dict[str, NDArray[Any]] | None: ...


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A network with the best epoch's weights, and how it came to them."""

    network: Network
    history: list[training_history.Row]
    best_epoch: int
    starting_weights: str
    zca_rank: int
    films: Dataset  # all that took part, with `role` and `film`, a name made of a film's bytes alone
    probabilities: NDArray[np.float32]  # of those that are not in train, in their order


def train(recipe: Recipe, dataset: Dataset, labels: LabelSpace, device: Device, journal: Journal) -> TrainingResult:
    """The network trained on the films by their roles; it goes on from the journal's checkpoint if there is one."""
    journal.phase("reading films")
    pixels = pixel_table(dataset, recipe.input.size_px, _counter(journal, "reading films"))
    dataset, pixels = _without_broken(dataset, pixels, journal)
    dataset = dataset.with_column("film", [digest.hex()[:16] for digest in pixels.digests])
    roles = dataset.table["role"].to_numpy()
    targets = labels.targets(dataset.labels)
    whitening = _whitening(recipe, pixels, np.flatnonzero(roles == "train"))
    zca_rank = whitening[2].shape[1] if len(whitening) > 2 else 0

    with device.scope():
        network = build(recipe, len(labels.classes), device.precision, zca_rank)
        if whitening:
            network.model.get_layer("whitening").set_weights(whitening)
        starting_weights = load_starting_weights(network.model, recipe)
    lesson = _lesson(recipe, network, pixels, roles, journal)  # outside: several GPUs would each take the batch
    sources = dataset.table["source"].to_numpy()
    epoch_films = EpochBatches(recipe, lesson, np.flatnonzero(roles == "train"), targets, sources)
    with device.scope():
        trained = keras.Model(lesson.model.input, lesson.model.output)
        trained.compile(
            optimizer=make_optimizer(
                recipe.optimiser, len(epoch_films), recipe.training.epochs, recipe.training.average
            ),
            loss=objective.group_crossentropy(recipe.training.label_smoothing),
            metrics=[keras.metrics.MeanMetricWrapper(objective.group_accuracy, name="accuracy")],
            jit_compile=False,  # measured slower on CPUs
        )
        trained.optimizer.build(trained.trainable_variables)

    held = np.flatnonzero(roles == "val")
    history = _resume(trained, journal)
    while (reason := training_history.stop_reason(history, recipe.training)) is None:
        passed = _epoch(trained, epoch_films, len(history), journal)
        if passed is None:
            reason = "stopped"
            break
        history.append(passed.row | training_history.validation_metrics(_predict(lesson, held), targets[held], labels))
        _keep(trained, passed.weights, history, recipe, journal)
    if not history:
        raise RunError("The run was stopped before its first epoch ended, so there is nothing to keep.")
    journal.note(f"Ended after epoch {len(history)}: {reason}.")
    best = training_history.best_epoch(history, recipe.training.best)
    kept = journal.load(f"best-{best + 1}")
    if kept is None:
        raise RunError("The best epoch's weights are missing from the run's folder; start it again.")
    assign(_learned(trained), kept)
    if recipe.training.half:
        round_to_half(network.model.weights)
    judged = np.flatnonzero(roles != "train")
    probabilities = np.exp(_predict(lesson, judged))
    return TrainingResult(network, history, best + 1, starting_weights, zca_rank, dataset, probabilities)


def _lesson(
    recipe: Recipe, network: Network, pixels: PixelTable, roles: NDArray[np.object_], journal: Journal
) -> TrainingInputs:
    settings, seed = recipe.augmentation, recipe.training.seed
    fresh = settings.active and not recipe.training.views
    if recipe.trunk.train == "all" or fresh:
        logits = network.model.get_layer("logits").output
        whole = keras.Model(network.model.input, logits)

        def change(film: int, epoch: int) -> NDArray[np.uint8]:
            plain = pixels.table.take(np.array(film))
            return augment(plain, settings, view_rng(seed, pixels.digests[film], epoch))

        return TrainingInputs(whole, pixels.table, pixels.table, change if fresh else None)
    count = _counter(journal, "computing features")
    front, train, rest = network.frozen_part, np.flatnonzero(roles == "train"), np.flatnonzero(roles != "train")
    if settings.active:
        views = feature_table(front, recipe, train, pixels, recipe.training.views, count)
        plain = feature_table(front, recipe, rest, pixels, 0, count)
    else:
        views = plain = feature_table(front, recipe, np.arange(len(roles)), pixels, 0, count)
    return TrainingInputs(network.trainable_part, views, plain, None)


class _ProgressCallback(keras.callbacks.Callback):
    """Tells the journal of every step, and ends the epoch when the run shall stop."""

    def __init__(self, journal: Journal, epoch: int, films: EpochBatches) -> None:
        super().__init__()
        self.journal, self.epoch, self.films, self.stopped = journal, epoch, films, False
        self.weights: list[NDArray[Any]] | None = None  # as trained, where Keras goes on to the average of them
        self.films_s = 0.0
        self._warm_at = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        said = logs or {}
        self._clock(batch)
        where = (self.epoch, batch + 1, len(self.films))
        means = (float(said.get("loss", np.nan)), float(said.get("accuracy", np.nan)))
        self.journal.step(training_history.StepProgress(*where, *means, self.films_s))
        if self.journal.stopping():
            self.stopped = self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.model.optimizer.use_ema:
            self.weights = [variable.numpy() for variable in _learned(self.model)]

    def _clock(self, batch: int) -> None:
        """Films a second without the first step, which may compile the graph."""
        if batch == 0:
            self._warm_at = time.monotonic()
            return
        size, shown = self.films.settings.batch, len(self.films.order)
        self.films_s = (min((batch + 1) * size, shown) - size) / max(time.monotonic() - self._warm_at, 1e-6)


@dataclass(frozen=True, eq=False)
class _EpochOutcome:
    """What an epoch brought; the network now has the weights to be judged."""

    row: training_history.Row
    weights: list[NDArray[Any]] | None  # those to go on from, where they are others


def _epoch(trained: keras.Model, films: EpochBatches, epoch: int, journal: Journal) -> _EpochOutcome | None:
    """One pass; None where it was stopped on the way."""
    started = time.monotonic()
    films.begin(epoch)
    _reseed(trained, films.settings.seed, epoch)
    watch = _ProgressCallback(journal, epoch + 1, films)
    logs = trained.fit(
        films, epochs=epoch + 1, initial_epoch=epoch, shuffle=False, verbose=0, callbacks=[watch]
    ).history
    if watch.stopped:
        return None
    value = float(logs["loss"][-1])
    if not np.isfinite(value):
        raise RunError(f"The loss became {value} in epoch {epoch + 1}. Lower the learning rate, or set a clip norm.")
    rate = float(np.asarray(trained.optimizer.learning_rate))
    row = {
        "epoch": epoch + 1,
        "loss": value,
        "accuracy": float(logs["accuracy"][-1]),
        "rate": rate,
        "seconds": round(time.monotonic() - started, 2),
        "films_s": round(watch.films_s, 2),
    }
    return _EpochOutcome(row, watch.weights)


def _reseed(trained: keras.Model, seed: int, epoch: int) -> None:
    """Dropout starts every epoch from seed and epoch, so a resumed run draws what an unbroken one draws."""
    for layer in trained.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.seed_generator is not None:
            layer.seed_generator.state.assign(np.array([seed, epoch], np.uint32))


def _predict(lesson: TrainingInputs, films: NDArray[np.int64]) -> NDArray[np.float32]:
    """Log-probabilities of films as they are."""
    rows = []
    for start in range(0, len(films), 32):
        batch = as_input(lesson.plain.take(films[start : start + 32]))
        rows.append(np.asarray(objective.log_probabilities(lesson.model.predict_on_batch(batch))))
    return np.concatenate(rows)


def _learned(trained: keras.Model) -> list[Any]:
    """Every variable that training changes; not Dropout's state, which is set anew and numbered by the process."""
    return [v for layer in trained.layers if layer.trainable for v in layer.weights]


def _keep(
    trained: keras.Model,
    go_on_from: list[NDArray[Any]] | None,
    history: list[training_history.Row],
    recipe: Recipe,
    journal: Journal,
) -> None:
    """The best weights first, then the checkpoint that counts the epoch: a kill in between repeats the epoch."""
    if training_history.best_epoch(history, recipe.training.best) == len(history) - 1:
        journal.save(f"best-{len(history)}", arrays_of(_learned(trained)))
    for variable, value in zip(_learned(trained), go_on_from or [], strict=go_on_from is not None):
        variable.assign(value)
    state = arrays_of(_learned(trained) + list(trained.optimizer.variables))
    journal.save("checkpoint", state | {"history": training_history.to_array(history)})
    journal.history(history)


def _resume(trained: keras.Model, journal: Journal) -> list[training_history.Row]:
    state = journal.load("checkpoint")
    if state is None:
        return []
    history = training_history.from_array(state.pop("history"))
    assign(_learned(trained) + list(trained.optimizer.variables), state)
    journal.note(f"Resumed after epoch {len(history)}.")
    journal.history(history)
    return history


def _whitening(recipe: Recipe, pixels: PixelTable, films: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    if not whitens(recipe.input):
        return []
    rng = np.random.default_rng(recipe.training.seed)
    chosen = np.sort(rng.permutation(films)[:WHITENING_FILMS])
    return fit_whitening(recipe.input, pixels.table.take(chosen))


def _without_broken(dataset: Dataset, pixels: PixelTable, journal: Journal) -> tuple[Dataset, PixelTable]:
    if not pixels.broken:
        return dataset, pixels
    for film, reason in list(pixels.broken.items())[:20]:
        journal.note(f"Left out {dataset.table['path'].iloc[film]}: {reason}")
    journal.note(f"{len(pixels.broken)} of {len(dataset)} films cannot be read and were left out.")
    whole = np.array([film not in pixels.broken for film in range(len(dataset))])
    left = set(dataset.table["role"][whole])
    for role, use in (("train", "train"), ("val", "validate")):
        if role not in left:
            raise DatasetError(f"None of the films to {use} with can be read.")
    kept = PixelTable(
        FeatureTable(pixels.table.rows, pixels.table.places[whole]),
        tuple(digest for digest, good in zip(pixels.digests, whole, strict=True) if good),
        {},
    )
    return dataset.where(whole), kept


def _counter(journal: Journal, phase: str) -> Callable[[int, int], None]:
    def count(done: int, total: int) -> None:
        journal.phase(phase, done, total)
        if journal.stopping():
            raise RunError("The run was stopped before its first epoch ended, so there is nothing to keep.")

    return count
