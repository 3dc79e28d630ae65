"""Training: frozen maps once, then epochs, with a checkpoint after each that a killed run goes on from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace
from cxr.errors import DatasetError, RunError
from cxr.learning import loss, progress
from cxr.learning.augmentation import augment, view_rng
from cxr.learning.device import Device
from cxr.learning.features import Pixels, Table, feature_table, pixel_table
from cxr.learning.network import Network, build
from cxr.learning.recipe import Optimiser, Recipe
from cxr.learning.weights import arrays_of, assign, round_to_half, start_from
from cxr.learning.whitening import fit_whitening, whitens

WHITENING_FILMS = 512


class Journal(Protocol):
    """Where a training says how far it is, hears that it shall stop, and keeps what it would resume from."""

    def phase(self, name: str, done: int = 0, total: int = 0) -> None: ...
    def step(self, now: progress.Step) -> None: ...
    def history(self, rows: list[progress.Row]) -> None: ...
    def note(self, sentence: str) -> None: ...
    def stopping(self) -> bool: ...
    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None: ...
    def load(self, name: str) -> dict[str, NDArray[Any]] | None: ...


@dataclass(frozen=True, eq=False)
class Trained:
    """A network with the best epoch's weights, and how it came to them."""

    network: Network
    history: list[progress.Row]
    best_epoch: int
    starting_weights: str
    zca_rank: int
    films: Dataset  # all that took part, with `role` and `film`, a name made of a film's bytes alone
    probabilities: NDArray[np.float32]  # of those that are not in train, in their order


def train(recipe: Recipe, dataset: Dataset, labels: LabelSpace, device: Device, journal: Journal) -> Trained:
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
        starting_weights = start_from(network.model, recipe)
    lesson = _lesson(recipe, network, pixels, roles, journal)  # outside: several GPUs would each take the batch
    sources = dataset.table["source"].to_numpy()
    epoch_films = _Epochs(recipe, lesson, np.flatnonzero(roles == "train"), targets, sources)
    with device.scope():
        trained = keras.Model(lesson.model.input, lesson.model.output)
        trained.compile(
            optimizer=make_optimiser(
                recipe.optimiser, len(epoch_films), recipe.training.epochs, recipe.training.average
            ),
            loss=loss.group_crossentropy(recipe.training.label_smoothing),
            metrics=[keras.metrics.MeanMetricWrapper(loss.accuracy, name="accuracy")],
            jit_compile=False,  # measured slower on CPUs
        )
        trained.optimizer.build(trained.trainable_variables)

    held = np.flatnonzero(roles == "val")
    history = _resume(trained, journal)
    while (reason := progress.finished(history, recipe.training)) is None:
        passed = _epoch(trained, epoch_films, len(history), journal)
        if passed is None:
            reason = "stopped"
            break
        history.append(passed.row | progress.validation(_predict(lesson, held), targets[held], labels))
        _keep(trained, passed.weights, history, recipe, journal)
    if not history:
        raise RunError("The run was stopped before its first epoch ended, so there is nothing to keep.")
    journal.note(f"Ended after epoch {len(history)}: {reason}.")
    best = progress.best_epoch(history, recipe.training.best)
    kept = journal.load(f"best-{best + 1}")
    if kept is None:
        raise RunError("The best epoch's weights are missing from the run's folder; start it again.")
    assign(_learned(trained), kept)
    if recipe.training.half:
        round_to_half(network.model.weights)
    judged = np.flatnonzero(roles != "train")
    probabilities = np.exp(_predict(lesson, judged))
    return Trained(network, history, best + 1, starting_weights, zca_rank, dataset, probabilities)


@dataclass(frozen=True, eq=False)
class _Lesson:
    """What is trained, and what it is shown: maps of a frozen trunk, or films."""

    model: keras.Model
    views: Table  # one column a kept view
    plain: Table  # the films as they are
    change: Callable[[int, int], NDArray[Any]] | None  # (film, epoch) -> a fresh view


def _lesson(recipe: Recipe, network: Network, pixels: Pixels, roles: NDArray[np.object_], journal: Journal) -> _Lesson:
    settings, seed = recipe.augmentation, recipe.training.seed
    fresh = settings.active and not recipe.training.views
    if recipe.trunk.train == "all" or fresh:
        logits = network.model.get_layer("logits").output
        whole = keras.Model(network.model.input, logits)

        def change(film: int, epoch: int) -> NDArray[np.uint8]:
            plain = pixels.table.take(np.array(film))
            return augment(plain, settings, view_rng(seed, pixels.digests[film], epoch))

        return _Lesson(whole, pixels.table, pixels.table, change if fresh else None)
    count = _counter(journal, "computing features")
    front, train, rest = network.front, np.flatnonzero(roles == "train"), np.flatnonzero(roles != "train")
    if settings.active:
        views = feature_table(front, recipe, train, pixels, recipe.training.views, count)
        plain = feature_table(front, recipe, rest, pixels, 0, count)
    else:
        views = plain = feature_table(front, recipe, np.arange(len(roles)), pixels, 0, count)
    return _Lesson(network.tail, views, plain, None)


class _Epochs(keras.utils.PyDataset):
    """The batches of one epoch after another; order, views and changes depend on seed and epoch alone."""

    def __init__(
        self,
        recipe: Recipe,
        lesson: _Lesson,
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
            self.weights[films] = loss.balanced_weights(targets[films])
        elif recipe.training.class_weights == "by_source":
            self.weights[films] = loss.source_weights(targets[films], sources[films])
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


class _Watch(keras.callbacks.Callback):
    """Tells the journal of every step, and ends the epoch when the run shall stop."""

    def __init__(self, journal: Journal, epoch: int, films: _Epochs) -> None:
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
        self.journal.step(progress.Step(*where, *means, self.films_s))
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
class _Pass:
    """What an epoch brought; the network now has the weights to be judged."""

    row: progress.Row
    weights: list[NDArray[Any]] | None  # those to go on from, where they are others


def _epoch(trained: keras.Model, films: _Epochs, epoch: int, journal: Journal) -> _Pass | None:
    """One pass; None where it was stopped on the way."""
    started = time.monotonic()
    films.begin(epoch)
    _reseed(trained, films.settings.seed, epoch)
    watch = _Watch(journal, epoch + 1, films)
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
    return _Pass(row, watch.weights)


def _reseed(trained: keras.Model, seed: int, epoch: int) -> None:
    """Dropout starts every epoch from seed and epoch, so a resumed run draws what an unbroken one draws."""
    for layer in trained.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.seed_generator is not None:
            layer.seed_generator.state.assign(np.array([seed, epoch], np.uint32))


def _predict(lesson: _Lesson, films: NDArray[np.int64]) -> NDArray[np.float32]:
    """Log-probabilities of films as they are."""
    rows = []
    for start in range(0, len(films), 32):
        batch = as_input(lesson.plain.take(films[start : start + 32]))
        rows.append(np.asarray(loss.log_probabilities(lesson.model.predict_on_batch(batch))))
    return np.concatenate(rows)


def _learned(trained: keras.Model) -> list[Any]:
    """Every variable that training changes; not Dropout's state, which is set anew and numbered by the process."""
    return [v for layer in trained.layers if layer.trainable for v in layer.weights]


def _keep(
    trained: keras.Model,
    go_on_from: list[NDArray[Any]] | None,
    history: list[progress.Row],
    recipe: Recipe,
    journal: Journal,
) -> None:
    """The best weights first, then the checkpoint that counts the epoch: a kill in between repeats the epoch."""
    if progress.best_epoch(history, recipe.training.best) == len(history) - 1:
        journal.save(f"best-{len(history)}", arrays_of(_learned(trained)))
    for variable, value in zip(_learned(trained), go_on_from or [], strict=go_on_from is not None):
        variable.assign(value)
    state = arrays_of(_learned(trained) + list(trained.optimizer.variables))
    journal.save("checkpoint", state | {"history": progress.to_array(history)})
    journal.history(history)


def _resume(trained: keras.Model, journal: Journal) -> list[progress.Row]:
    state = journal.load("checkpoint")
    if state is None:
        return []
    history = progress.from_array(state.pop("history"))
    assign(_learned(trained) + list(trained.optimizer.variables), state)
    journal.note(f"Resumed after epoch {len(history)}.")
    journal.history(history)
    return history


def make_optimiser(settings: Optimiser, steps: int, epochs: int, average: float = 0.0) -> keras.optimizers.Optimizer:
    """The optimiser with its schedule; the step count is part of its state, so a resumed run is on the same rate."""
    schedules = keras.optimizers.schedules
    rate: Any = settings.rate
    if settings.schedule == "step":
        rate = schedules.ExponentialDecay(rate, settings.step_epochs * steps, settings.step_factor, staircase=True)
    elif settings.schedule == "cosine":
        warmup = round(settings.warmup_epochs * steps)
        rise = {"warmup_target": rate, "warmup_steps": warmup} if warmup else {}
        start = rate / 100 if warmup else rate
        rate = schedules.CosineDecay(start, max(1, epochs * steps - warmup), alpha=0.01, **rise)
    common: dict[str, Any] = {"name": settings.name}  # without one, Keras numbers it, and so the checkpoint's arrays
    if average:
        common |= {"use_ema": True, "ema_momentum": average}
    if settings.clip_norm:
        common["global_clipnorm"] = settings.clip_norm
    if settings.name == "sgd":
        return keras.optimizers.SGD(rate, momentum=settings.momentum, **common)
    if settings.name == "rmsprop":
        return keras.optimizers.RMSprop(rate, momentum=settings.momentum, **common)
    if settings.name == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, **common)
    return keras.optimizers.Adam(rate, **common)


def _whitening(recipe: Recipe, pixels: Pixels, films: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    if not whitens(recipe.input):
        return []
    rng = np.random.default_rng(recipe.training.seed)
    chosen = np.sort(rng.permutation(films)[:WHITENING_FILMS])
    return fit_whitening(recipe.input, pixels.table.take(chosen))


def _without_broken(dataset: Dataset, pixels: Pixels, journal: Journal) -> tuple[Dataset, Pixels]:
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
    kept = Pixels(
        Table(pixels.table.rows, pixels.table.places[whole]),
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
