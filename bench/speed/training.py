"""Training as this library does it, and as articles do it with the same network in Keras alone."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy.ndimage import affine_transform

from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.scores import read_films
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.jobs import run_store
from cxr.jobs.kinds import execute
from cxr.jobs.run import SCORES
from cxr.jobs.training_plan import plan
from cxr.learning.device import find_device
from cxr.learning.film_selection import select
from cxr.learning.network import build
from cxr.learning.optimization import group_crossentropy, make_optimizer
from cxr.learning.starting_weights import load_starting_weights
from cxr.registry.recipe import Recipe

BATCH = 32
TIMED_STEPS = 5


@contextmanager
def films(count: int) -> Iterator[Path]:
    """So many drawn films of 224 px, and a home of their own so that nothing is found computed already."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("CXR_HOME")
        os.environ["CXR_HOME"] = str(Path(folder) / "home")
        try:
            yield draw_phantom_set(Path(folder) / "phantoms", count, size_px=224).parent
        finally:
            os.environ.pop("CXR_HOME")
            if before:
                os.environ["CXR_HOME"] = before


def ours(recipe: Recipe, folder: Path) -> tuple[float, float, int]:
    """Seconds of the whole training, of an epoch without its first step, which compiles (median), and the films."""
    run = run_store.create(plan(recipe, [str(folder)], None), recipe.name)
    started = time.perf_counter()
    execute(run)
    spent_s = time.perf_counter() - started
    roles = read_films(run.folder / SCORES)["role"]
    trained = int((roles == "train").sum())
    return spent_s, float(np.median([trained / row["films_s"] for row in run.history()])), trained


def keras_alone(recipe: Recipe, folder: Path, trained: str) -> tuple[float, int]:
    """Seconds of one epoch of `fit` through the whole network in float32, its augmentation on the way; and its films.

    `trained` is "head", a block, or "all", as the recipe's `trunk.train`.
    """
    chosen = recipe.model_copy(update={"trunk": recipe.trunk.model_copy(update={"train": trained})})
    dataset, labels = select(chosen, open_datasets([folder]))
    shown = dataset.where((dataset.table["role"] == "train").to_numpy())
    network = build(chosen, len(labels.classes), "float32")
    load_starting_weights(network.model, chosen)
    network.model.compile(keras.optimizers.Adam(chosen.optimiser.rate), loss="categorical_crossentropy")
    batches = _Batches(shown, labels, chosen.input.size_px)
    network.model.fit(batches, epochs=1, steps_per_epoch=2, verbose=0)  # compiles
    started = time.perf_counter()
    network.model.fit(batches, epochs=1, verbose=0)
    return time.perf_counter() - started, len(shown)


def share_outside_steps(recipe: Recipe, folder: Path, epoch_s: float) -> float:
    """The share of an epoch of this length that is not the steps of the optimizer: batches, augmentation, reporting."""
    dataset, labels = select(recipe, open_datasets([folder]))
    trained = int((dataset.table["role"] == "train").sum())
    device = find_device(recipe.training.precision)
    network = build(recipe, len(labels.classes), device.precision)
    model = keras.Model(network.model.input, network.model.get_layer("logits").output)
    model.compile(make_optimizer(recipe.optimiser, 1, 1, recipe.training.average), loss=group_crossentropy(0.05))
    size, batch = recipe.input.size_px, recipe.training.batch
    pixels = np.random.default_rng(0).uniform(0, 255, (batch, size, size, 1)).astype(np.float32)
    targets = np.eye(len(labels.classes), dtype=np.float32)[np.arange(batch) % len(labels.classes)]
    taken = []
    for _ in range(1 + TIMED_STEPS):
        started = time.perf_counter()
        model.train_on_batch(pixels, targets, np.ones(batch, np.float32))
        taken.append(time.perf_counter() - started)
    return 1 - float(np.median(taken[1:])) * trained / batch / epoch_s


class _Batches(keras.utils.PyDataset):
    """Films read from disk and varied by rotation, shift and zoom, as an ImageDataGenerator does."""

    def __init__(self, dataset: Dataset, labels: LabelSpace, size_px: int) -> None:
        super().__init__(workers=2)
        self.dataset, self.size_px = dataset, size_px
        self.targets = labels.targets(dataset.labels)
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return -(-len(self.dataset) // BATCH)

    def __getitem__(self, step: int) -> tuple[Any, Any]:
        part = range(step * BATCH, min((step + 1) * BATCH, len(self.dataset)))
        pixels = np.stack([self.dataset.read(i).fitted(self.size_px) for i in part])[..., None]
        return _varied(pixels.astype(np.float32), self.rng), self.targets[part.start : part.stop]


def _varied(films: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    out = np.empty_like(films)
    for film, made in zip(films, out, strict=True):
        turn, zoom = np.deg2rad(rng.uniform(-15, 15)), rng.uniform(0.9, 1.1)
        matrix = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        centre = (np.array(film.shape[:2]) - 1) / 2
        offset = centre - matrix @ centre + rng.uniform(-0.1, 0.1, 2) * film.shape[0]
        affine_transform(film[..., 0], matrix, offset, output=made[..., 0], order=1, mode="nearest")
    return out
