"""An index of training X-rays by backbone features, searched exactly, with distances on a scale that means something.

Features are standardized over the training X-rays and compared by angle. A distance alone says nothing, so it is given
as a rank: the share of training X-rays whose own nearest look-alike, of another patient, is nearer than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.atomic_files import atomic_path
from cxr.core.errors import RegistryError
from cxr.core.paths import cache_dir

FOLDER = "look-alikes"
CHUNK = 512  # images compared with all others at once
TEXTS = ("dataset", "path", "film", "label", "source", "patient")

Floats = NDArray[np.floating]
Strings = NDArray[np.str_]


@dataclass(frozen=True)
class LookAlike:
    """A training X-ray that resembles an image."""

    row: int  # in the index
    dataset: str
    path: str
    film: str
    label: str
    source: str
    distance: float  # 0: the same direction; 1: unrelated
    rank: float  # the share of training X-rays whose nearest look-alike is nearer than this

    def as_dict(self) -> dict[str, str | float]:
        """Ready for JSON."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in vars(self).items()}


@dataclass(frozen=True, eq=False)
class LookAlikeIndex:
    """The training X-rays of one version of a model that lie on this machine."""

    model: str  # name@version
    mean: Floats
    scale: Floats
    directions: NDArray[np.float32]  # (films, features), of length 1
    texts: dict[str, Strings]
    usual: Floats  # (films,), sorted: the distance of each to the nearest of another patient

    @classmethod
    def from_features(cls, model: str, features: Floats, texts: dict[str, Strings]) -> LookAlikeIndex:
        """The index of X-rays with these features and facts."""
        mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
        directions = _directions(features, mean, scale)
        index = cls(model, mean, scale, directions, texts, np.zeros(0))
        return cls(model, mean, scale, directions, texts, np.sort(index.nearest_distances()))

    def __len__(self) -> int:
        return len(self.directions)

    def nearest(
        self, features: Floats, count: int, patient: str = "", film: str = "", label: str | None = None
    ) -> list[LookAlike]:
        """The nearest X-rays to an image with these features: of other patients, and of one label if one is given.

        An image whose patient is not known is itself left out by its id, with all X-rays of the patient it has here.
        """
        distances = 1 - self.directions @ _directions(features[None], self.mean, self.scale)[0]
        own = set(self.texts["patient"][self.texts["film"] == film]) | {patient} if film else {patient}
        allowed = ~np.isin(self.texts["patient"], sorted(own - {""}))
        if label is not None:
            allowed &= self.texts["label"] == label
        rows = np.flatnonzero(allowed)
        best = rows[np.argsort(distances[rows], kind="stable")[:count]]
        return [self._look_alike(int(row), float(distances[row])) for row in best]

    def rank(self, distance: float) -> float:
        """The share of training X-rays whose nearest look-alike is nearer than this distance."""
        return float(np.searchsorted(self.usual, distance) / max(1, len(self.usual)))

    def nearest_distances(self) -> Floats:
        """The distance of each X-ray to the nearest of another patient."""
        nearest = np.empty(len(self))
        for rows, distances in self.distances_to_others():
            nearest[rows] = distances.min(axis=1)
        return nearest

    def distances_to_others(self, other_sources: bool = False) -> Iterator[tuple[NDArray[np.int64], Floats]]:
        """Blocks of row numbers with their distances to all; infinite to the same patient, or to the same source."""
        patient, source = self.texts["patient"], self.texts["source"]
        for start in range(0, len(self), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(self)))
            distances = 1 - self.directions[rows] @ self.directions.T
            distances[patient[rows][:, None] == patient[None]] = np.inf
            if other_sources:
                distances[source[rows][:, None] == source[None]] = np.inf
            yield rows, distances

    def save(self) -> Path:
        """Store the index in this installation's cache, from where no export takes it; the path of its file."""
        path = index_path(self.model)
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {name: getattr(self, name) for name in ("mean", "scale", "usual")}
        arrays |= {"directions": self.directions.astype(np.float16)} | self.texts
        with atomic_path(path) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)
        return path

    def _look_alike(self, row: int, distance: float) -> LookAlike:
        facts = {name: str(self.texts[name][row]) for name in ("dataset", "path", "film", "label", "source")}
        return LookAlike(row, **facts, distance=distance, rank=self.rank(distance))


def index_path(model: str) -> Path:
    """Where the index of this version of a model is stored."""
    return cache_dir() / FOLDER / f"{model}.npz"


def has_index(model: str) -> bool:
    """Whether this version of a model has an index here."""
    return index_path(model).is_file()


def load_index(model: str) -> LookAlikeIndex:
    """The stored index; RegistryError where there is none, or it is damaged."""
    path = index_path(model)
    if not path.is_file():
        raise RegistryError(
            f"There is no index of the training X-rays of '{model}' here. Build it: cxr look-alikes build.",
            code="no-index",
        )
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        texts = {name: arrays[name].astype(str) for name in TEXTS}
        directions = arrays["directions"].astype(np.float32)
        return LookAlikeIndex(model, arrays["mean"], arrays["scale"], directions, texts, arrays["usual"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise RegistryError(
            f"The index of the training X-rays of '{model}' is damaged. Build it again.", code="index-damaged"
        ) from error


def _directions(features: Floats, mean: Floats, scale: Floats) -> NDArray[np.float32]:
    standard = (features - mean) / scale
    length = np.linalg.norm(standard, axis=1, keepdims=True)
    return np.asarray(standard / np.maximum(length, 1e-9), np.float32)
