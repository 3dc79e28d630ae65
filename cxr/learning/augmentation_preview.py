"""What a recipe's augmentation makes of a few of a dataset's own films, as the training would show them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import FilmError
from cxr.datasets.dataset import Dataset
from cxr.films.film import Film
from cxr.learning.augmentation import augment, view_rng
from cxr.registry.recipe import Recipe

FILMS = 4


@dataclass(frozen=True, eq=False)
class PreviewFilm:
    """A training film at the size that the model sees, and its name made of its bytes."""

    label: str
    pixels: NDArray[np.uint8]
    digest: bytes

    def view(self, recipe: Recipe, number: int) -> NDArray[np.uint8]:
        """The film as the training would show it in its view of that number."""
        return augment(self.pixels, recipe.augmentation, view_rng(recipe.training.seed, self.digest, number))


def preview_films(dataset: Dataset, size_px: int) -> list[PreviewFilm]:
    """Up to four training films, of as many labels as there are; those that cannot be read are passed over."""
    found: list[PreviewFilm] = []
    for i in _by_turns(dataset):
        try:
            data = dataset.read_bytes(i)
            pixels = Film.read(data).fitted(size_px)
        except FilmError:
            continue
        found.append(PreviewFilm(str(dataset.labels.iloc[i]), pixels, hashlib.sha256(data).digest()))
        if len(found) == FILMS:
            break
    return found


def _by_turns(dataset: Dataset) -> list[int]:
    """Training films, one of each label after the other."""
    train = np.flatnonzero(dataset.table["role"] == "train")
    labels = dataset.labels.iloc[train]
    turn = labels.groupby(labels.to_numpy()).cumcount().to_numpy()
    return train[np.argsort(turn, kind="stable")].tolist()
