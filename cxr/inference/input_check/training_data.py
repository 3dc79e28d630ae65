"""Training data of an input check: features of training images, of the same images corrupted, and of non-X-rays.

Training images train it, validation images set its limits; test images are used for neither. A few hundred suffice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError, FilmError
from cxr.datasets.dataset import Dataset
from cxr.films.film import Film
from cxr.films.synthetic.corruptions import CORRUPTIONS
from cxr.films.synthetic.non_xrays import draw_non_xray
from cxr.inference.input_check.findings import InputCheckCode
from cxr.learning.augmentation import augment
from cxr.registry.recipe_sections import AugmentationSettings

MAX_FILMS = 480  # training images, as they are and once more varied
MAX_CORRUPTED_FILMS = 160  # of those, with each corruption
MAX_HELD_OUT = 320  # validation images
NON_XRAYS = 288
MIN_NON_XRAY_PX = 96  # smaller ones would have no detail to be recognized by
MAX_OUT_OF_SCOPE = 100  # images left out of the classes, of each kind
BATCH_SIZE = 16
# Variations between devices and days, which are no fault.
VARIATIONS = AugmentationSettings(
    rotation_deg=8,
    shift_x=0.04,
    shift_y=0.04,
    zoom=0.1,
    crop_area=0.75,
    crop_aspect=1.2,
    brightness=0.15,
    contrast=0.25,
    gamma=0.4,
    blur_px=1.0,
    noise=6,
    channel_shift=15,
)
CT, LATERAL_VIEWS, NOT_CHEST_XRAY_LABEL = "CT", ("L", "LL", "LATERAL"), "not-a-chest-xray"  # as in manifests
CORRUPTION_CODES = {
    "upside down": InputCheckCode.UPSIDE_DOWN,
    "on its side": InputCheckCode.ROTATED_90,
    "negative": InputCheckCode.INVERTED,
    "cropped": InputCheckCode.CROPPED,
}

Pixels = NDArray[np.uint8]
FeatureExtractor = Callable[[Pixels], NDArray[np.floating]]  # fitted images (images, side, side) -> (images, features)
Progress = Callable[[int, int], None]  # done, total; it may raise, to stop


@dataclass(frozen=True, eq=False)
class InputCheckExamples:
    """Images in feature space, with the kind of each."""

    features: NDArray[np.float32]  # (images, features)
    kinds: NDArray[np.str_]  # (images,)
    held_out: NDArray[np.float32]  # (images, features): frontal images that train nothing
    films: int  # training images among them
    held_out_rows: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))  # of them in the dataset


def collect_examples(
    extract: FeatureExtractor, size_px: int, dataset: Dataset, out_of_scope: Dataset, seed: int, progress: Progress
) -> InputCheckExamples:
    """The examples that train an input check: from a model's dataset, and from films that its recipe leaves out.

    `dataset` has a column `role`, `out_of_scope` one named `kind`. A film that cannot be read is skipped.
    """
    role = dataset.table["role"].to_numpy()
    rng = np.random.default_rng(seed)
    sources = dataset.table["source"].to_numpy(str)
    training = balanced_sample(np.flatnonzero(role == "train"), sources, MAX_FILMS, rng)
    held_out = balanced_sample(np.flatnonzero(role == "val"), sources, MAX_HELD_OUT, rng)
    others = _sample_of_each_kind(out_of_scope, rng)
    corrupted = len(CORRUPTIONS) * min(len(training), MAX_CORRUPTED_FILMS)
    total = 2 * len(training) + corrupted + len(held_out) + NON_XRAYS + len(others)
    rows: list[int] = []  # of the validation images that can be read

    def images() -> Iterator[tuple[str, Pixels]]:
        yield from _training_images(dataset, training, size_px, seed)
        for number in range(NON_XRAYS):
            pixels = draw_non_xray(seed * NON_XRAYS + number, max(size_px, MIN_NON_XRAY_PX))
            yield InputCheckCode.NOT_CHEST_XRAY, Film.from_pixels(pixels).fitted(size_px)
        for i in others:
            kind = str(out_of_scope.table["kind"].iat[i])
            yield from ((kind, film.fitted(size_px)) for film in _read(out_of_scope, i))
        for i in held_out:
            for film in _read(dataset, int(i)):
                rows.append(int(i))
                yield "", film.fitted(size_px)

    features, kinds = _extract(extract, images(), total, progress)
    labeled = kinds != ""
    if not (kinds == InputCheckCode.FRONTAL).any() or labeled.all():
        raise DatasetError(
            "There are no training and validation images here to train the input check with.", code="no-examples"
        )
    return InputCheckExamples(
        features[labeled], kinds[labeled], features[~labeled], len(training), np.array(rows, np.intp)
    )


def balanced_sample(
    rows: NDArray[np.intp], sources: NDArray[np.str_], most: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """At most that many of the rows, at random, with the same number from each source as far as it has them.

    The check is to know every source that the model knows: a plain sample would be of the largest alone.
    """
    rows = rng.permutation(rows)
    rank = np.zeros(len(rows), np.intp)  # of each row among those of its source
    for source in np.unique(sources[rows]):
        own = sources[rows] == source
        rank[own] = np.arange(own.sum())
    return rows[np.argsort(rank, kind="stable")][:most]


def out_of_scope_films(dataset: Dataset, roles: pd.Series, exclude_views: tuple[str, ...]) -> Dataset:
    """The films that a recipe leaves out and an input check can learn from, with their `kind`: laterals and non-X-rays.

    `roles` has each film's role in the training, "" where it has none. None is of a validation or test patient.
    """
    table = dataset.table
    kinds = pd.Series("", index=table.index)
    kinds[table["view"].isin(LATERAL_VIEWS) & table["view"].isin(exclude_views)] = InputCheckCode.LATERAL.value
    kinds[(table["label"] == NOT_CHEST_XRAY_LABEL) | (table["view"] == CT)] = InputCheckCode.NOT_CHEST_XRAY.value
    evaluated = roles.isin(("val", "test")) | table["split"].isin(("val", "test"))
    patients = set(dataset.patients[evaluated])
    return dataset.with_column("kind", kinds).where((kinds != "") & (roles == "") & ~dataset.patients.isin(patients))


def _training_images(
    dataset: Dataset, chosen: NDArray[np.intp], size_px: int, seed: int
) -> Iterator[tuple[str, Pixels]]:
    for place, i in enumerate(chosen):
        for film in _read(dataset, int(i)):
            rng = np.random.default_rng([seed, place])
            fitted = film.fitted(size_px)
            yield InputCheckCode.FRONTAL, fitted
            yield InputCheckCode.FRONTAL, augment(fitted, VARIATIONS, rng)
            if place < MAX_CORRUPTED_FILMS:
                for name, corrupt in CORRUPTIONS.items():
                    yield CORRUPTION_CODES[name], Film.from_pixels(corrupt(film.pixels, rng)).fitted(size_px)


def _sample_of_each_kind(out_of_scope: Dataset, rng: np.random.Generator) -> list[int]:
    kinds = out_of_scope.table["kind"].to_numpy()
    rows = (rng.permutation(np.flatnonzero(kinds == kind))[:MAX_OUT_OF_SCOPE] for kind in np.unique(kinds))
    return [int(i) for of_kind in rows for i in of_kind]


def _read(dataset: Dataset, i: int) -> list[Film]:
    try:
        return [dataset.read(i)]
    except FilmError:
        return []


def _extract(
    extract: FeatureExtractor, images: Iterator[tuple[str, Pixels]], total: int, progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """The features and the kind of each image."""
    features: list[NDArray[np.floating]] = []
    kinds: list[str] = []
    progress(0, total)
    while together := list(islice(images, BATCH_SIZE)):
        features.append(np.asarray(extract(np.stack([pixels for _, pixels in together]))))
        kinds += [str(kind) for kind, _ in together]
        progress(len(kinds), total)
    return np.concatenate(features).astype(np.float32), np.array(kinds)
