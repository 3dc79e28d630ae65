"""A preview of a recipe's augmentation on a few films of a dataset, as the training would see them."""

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
    """A training film at the model's input size, with the hash of its file."""

    label: str
    pixels: NDArray[np.uint8]
    digest: bytes

    def view(self, recipe: Recipe, number: int) -> NDArray[np.uint8]:
        """The film as the training would see it in the view of that number."""
        return augment(self.pixels, recipe.augmentation, view_rng(recipe.seed_of_views, self.digest, number))


def preview_films(dataset: Dataset, size_px: int) -> list[PreviewFilm]:
    """Up to four readable training films, of as many different labels as possible."""
    films: list[PreviewFilm] = []
    for i in _by_turns(dataset):
        try:
            data = dataset.read_bytes(i)
            pixels = Film.read(data).fitted(size_px)
        except FilmError:
            continue
        films.append(PreviewFilm(str(dataset.labels.iloc[i]), pixels, hashlib.sha256(data).digest()))
        if len(films) == FILMS:
            break
    return films


def _by_turns(dataset: Dataset) -> list[int]:
    """The training films in turns: one of each label, then the next of each."""
    train = np.flatnonzero(dataset.table["role"] == "train")
    labels = dataset.labels.iloc[train]
    turn = labels.groupby(labels.to_numpy()).cumcount().to_numpy()
    return train[np.argsort(turn, kind="stable")].tolist()
