"""A lesson for a gate: what the trunk makes of training films, of the same films spoiled, and of what is no film.

Training films teach, validation films set the limits; test films are neither. Few hundred films are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError, FilmError
from cxr.datasets.dataset import Dataset
from cxr.films.film import Film
from cxr.films.synthetic.corruptions import CORRUPTIONS
from cxr.films.synthetic.non_xrays import draw_non_xray
from cxr.inference.input_check.input_check import FRONTAL, LATERAL, NO_FILM
from cxr.learning.augmentation import augment
from cxr.registry.recipe import AugmentationSettings

FILMS = 240  # of training, as they are and once more varied
SPOILED_FILMS = 120  # of those, spoiled in each way
HELD_OUT = 160  # validation films
DRAWN = 288
DRAWN_PX = 96  # at least: smaller ones would have no detail to be recognised by
STRANGERS = 100  # films left out of the classes, of each kind
BATCH = 16
# What other days and devices make of a film: no fault, so a gate must not mind.
VARIED = AugmentationSettings(
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
CT, LATERAL_VIEWS, NOT_A_FILM = "CT", ("L", "LL", "LATERAL"), "not-a-chest-xray"  # as manifests have them

Pixels = NDArray[np.uint8]
Look = Callable[[Pixels], NDArray[np.floating]]  # fitted films (films, side, side) -> (films, features)
Told = Callable[[int, int], None]  # how far it is; it may raise, to stop


@dataclass(frozen=True, eq=False)
class InputCheckExamples:
    """Pictures as the trunk sees them, and what each is."""

    features: NDArray[np.float32]  # (pictures, features)
    kinds: NDArray[np.str_]  # (pictures,)
    held_out: NDArray[np.float32]  # (films, features): frontal films that teach nothing
    films: int  # training films among them


def collect_examples(
    look: Look, size_px: int, dataset: Dataset, strangers: Dataset, seed: int, progress: Told
) -> InputCheckExamples:
    """The lesson that films of these roles, and those left out of the classes, are for a gate.

    `dataset` has a column `role`, `strangers` one named `kind`. A film that cannot be read is passed over.
    """
    role = dataset.table["role"].to_numpy()
    rng = np.random.default_rng(seed)
    taught = rng.permutation(np.flatnonzero(role == "train"))[:FILMS]
    held_out = rng.permutation(np.flatnonzero(role == "val"))[:HELD_OUT]
    other = _some_of_each(strangers, rng)
    total = 2 * len(taught) + len(CORRUPTIONS) * min(len(taught), SPOILED_FILMS) + len(held_out) + DRAWN + len(other)

    def pictures() -> Iterator[tuple[str, Pixels]]:
        yield from _taught(dataset, taught, size_px, seed)
        for number in range(DRAWN):
            yield (
                NO_FILM,
                Film.from_pixels(draw_non_xray(seed * DRAWN + number, max(size_px, DRAWN_PX))).fitted(size_px),
            )
        for i in other:
            yield from ((str(strangers.table["kind"].iat[i]), one.fitted(size_px)) for one in _read(strangers, i))
        for i in held_out:
            yield from (("", one.fitted(size_px)) for one in _read(dataset, int(i)))

    features, kinds = _looked_at(look, pictures(), total, progress)
    shown = kinds != ""
    if not (kinds == FRONTAL).any() or shown.all():
        raise DatasetError("There are no training and validation films here to teach the gate with.")
    return InputCheckExamples(features[shown], kinds[shown], features[~shown], len(taught))


def out_of_scope_films(dataset: Dataset, roles: pd.Series, exclude_views: tuple[str, ...]) -> Dataset:
    """Films that a recipe leaves out and that a gate can learn from, with their `kind`: laterals, and what is no film.

    `roles` has each film's role in the training, "" where it has none. None of a patient by whom the model is judged.
    """
    table = dataset.table
    kinds = pd.Series("", index=table.index)
    kinds[table["view"].isin(LATERAL_VIEWS) & table["view"].isin(exclude_views)] = LATERAL
    kinds[(table["label"] == NOT_A_FILM) | (table["view"] == CT)] = NO_FILM
    judged = roles.isin(("val", "test")) | table["split"].isin(("val", "test"))
    known = set(dataset.patients[judged])
    return dataset.with_column("kind", kinds).where((kinds != "") & (roles == "") & ~dataset.patients.isin(known))


def _taught(dataset: Dataset, chosen: NDArray[np.intp], size_px: int, seed: int) -> Iterator[tuple[str, Pixels]]:
    for place, i in enumerate(chosen):
        for film in _read(dataset, int(i)):
            rng = np.random.default_rng([seed, place])
            fitted = film.fitted(size_px)
            yield FRONTAL, fitted
            yield FRONTAL, augment(fitted, VARIED, rng)
            if place < SPOILED_FILMS:
                for kind, spoil in CORRUPTIONS.items():
                    yield kind, Film.from_pixels(spoil(film.pixels, rng)).fitted(size_px)


def _some_of_each(strangers: Dataset, rng: np.random.Generator) -> list[int]:
    kinds = strangers.table["kind"].to_numpy()
    return [int(i) for kind in np.unique(kinds) for i in rng.permutation(np.flatnonzero(kinds == kind))[:STRANGERS]]


def _read(dataset: Dataset, i: int) -> list[Film]:
    try:
        return [dataset.read(i)]
    except FilmError:
        return []


def _looked_at(
    look: Look, pictures: Iterator[tuple[str, Pixels]], total: int, progress: Told
) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    features, kinds = [], []
    progress(0, total)
    while together := list(islice(pictures, BATCH)):
        features.append(np.asarray(look(np.stack([pixels for _, pixels in together]))))
        kinds += [kind for kind, _ in together]
        progress(len(kinds), total)
    return np.concatenate(features).astype(np.float32), np.array(kinds)
