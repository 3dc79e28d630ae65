"""An index of training X-rays by backbone features, with distances on a scale that means something.

Features are standardized over the training X-rays and compared by angle. A distance alone says nothing, so it is given
as a rank: the share of training X-rays whose own nearest look-alike, of another patient, is nearer than that.

Up to 100,000 X-rays the search is exact. Beyond, a graph of neighbors is searched where usearch is installed (`graph`),
and otherwise every X-ray, in parts; the scale then comes from a random sample.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.atomic_files import atomic_path
from cxr.core.errors import RegistryError
from cxr.core.paths import cache_dir
from cxr.core.stored_data import by_age, keep_below
from cxr.evaluation.look_alikes.graph import NeighborGraph, is_installed

FOLDER = "look-alikes"
MAX_BYTES = 5_000_000_000  # of the indexes of all models
EXACT_UP_TO = 100_000  # X-rays
SAMPLE = 10_000  # X-rays whose nearest are looked for, of more than that
CHUNK = 512  # images compared with all others at once
PART = 16_384  # X-rays that are compared with at once, of more than 100,000
MOST_VALUES = 1 << 26  # distances in memory
SPARE, MOST_ASKED = 4, 4096  # times as many as are wanted, and the most, that the graph is asked for
TEXTS = ("dataset", "path", "film", "label", "source", "patient")

Floats = NDArray[np.floating]
Rows = NDArray[np.int64]
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
    directions: NDArray[np.floating]  # (films, features), of length 1; in half precision where they are many
    texts: dict[str, Strings]
    usual: Floats  # sorted: the distance to the nearest of another patient, of each X-ray or of a sample
    graph: NeighborGraph | None = None
    exact_up_to: int = EXACT_UP_TO

    @classmethod
    def from_features(
        cls, model: str, features: Floats, texts: dict[str, Strings], exact_up_to: int = EXACT_UP_TO
    ) -> LookAlikeIndex:
        """The index of X-rays with these features and facts."""
        mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
        directions, many = _directions(features, mean, scale), len(features) > exact_up_to
        graph = NeighborGraph.build(directions) if many and is_installed() else None
        directions = directions.astype(np.float16) if many else directions
        index = cls(model, mean, scale, directions, texts, np.zeros(0), graph, exact_up_to)
        return replace(index, usual=np.sort(index.nearest_distances()))

    @property
    def is_slow(self) -> bool:
        """Whether every one of more than 100,000 X-rays is compared with, as there is no graph."""
        return len(self) > self.exact_up_to and self.graph is None

    def __len__(self) -> int:
        return len(self.directions)

    def nearest(
        self, features: Floats, count: int, patient: str = "", film: str = "", label: str | None = None
    ) -> list[LookAlike]:
        """The nearest X-rays to an image with these features: of other patients, and of one label if one is given.

        An image whose patient is not known is itself left out by its id, with all X-rays of the patient it has here.
        """
        direction = _directions(features[None], self.mean, self.scale)[0]
        own = set(self.texts["patient"][self.texts["film"] == film]) | {patient} if film else {patient}
        allowed = ~np.isin(self.texts["patient"], sorted(own - {""}))
        if label is not None:
            allowed &= self.texts["label"] == label
        rows = self._candidates(direction, allowed, count)
        distances = self._distances(rows, direction)
        best = np.argsort(distances, kind="stable")[:count]
        return [self._look_alike(int(rows[place]), float(distances[place])) for place in best]

    def _candidates(self, direction: Floats, allowed: NDArray[np.bool_], count: int) -> Rows:
        """The allowed rows, or where these are many and there is a graph, enough of the nearest of them."""
        rows = np.flatnonzero(allowed)
        if self.graph is None or len(rows) <= self.exact_up_to:
            return rows
        asked = SPARE * count
        while asked <= MOST_ASKED:
            found = self.graph.nearest(direction, asked)
            found = found[allowed[found]]
            if len(found) >= count:
                return found
            asked *= SPARE
        return rows  # allowed ones are rare where the image is

    def _distances(self, rows: Rows, direction: Floats) -> Floats:
        """The distances of these rows, in parts where the X-rays are many."""
        if len(self) <= self.exact_up_to:
            return np.asarray((1 - self.directions @ direction)[rows])
        parts = [self.directions[rows[start : start + PART]] for start in range(0, len(rows), PART)]
        return np.concatenate([1 - part.astype(np.float32) @ direction for part in parts] or [np.zeros(0)])

    def rank(self, distance: float) -> float:
        """The share of training X-rays whose nearest look-alike is nearer than this distance."""
        return float(np.searchsorted(self.usual, distance) / max(1, len(self.usual)))

    @property
    def asked(self) -> Rows:
        """The rows whose own nearest are looked for: all, or of many X-rays a random sample."""
        if len(self) <= max(self.exact_up_to, SAMPLE):
            return np.arange(len(self))
        return np.sort(np.random.default_rng(0).permutation(len(self))[:SAMPLE])

    def nearest_distances(self) -> Floats:
        """The distance of each X-ray, or of each of a sample, to the nearest of another patient."""
        return np.concatenate([distances.min(axis=1) for _, distances in self.distances_to_others()])

    def distances_to_others(self, other_sources: bool = False) -> Iterator[tuple[Rows, Floats]]:
        """Blocks of the asked rows with their distances to all; infinite to the same patient, or to the same source."""
        patient, source = (np.unique(self.texts[name], return_inverse=True)[1] for name in ("patient", "source"))
        asked, step = self.asked, max(1, min(CHUNK, MOST_VALUES // len(self)))
        for start in range(0, len(asked), step):
            rows = asked[start : start + step]
            distances = self._distances_to_all(rows)
            distances[patient[rows][:, None] == patient[None]] = np.inf
            if other_sources:
                distances[source[rows][:, None] == source[None]] = np.inf
            yield rows, distances

    def _distances_to_all(self, rows: Rows) -> Floats:
        queries = self.directions[rows].astype(np.float32)
        distances = np.empty((len(rows), len(self)), np.float32)
        for start in range(0, len(self), PART):
            part = self.directions[start : start + PART].astype(np.float32, copy=False)
            distances[:, start : start + PART] = 1 - queries @ part.T
        return distances

    def save(self) -> Path:
        """Store the index in this installation's cache, from where no export takes it; the path of its file."""
        path = index_path(self.model)
        path.parent.mkdir(parents=True, exist_ok=True)
        mark = "" if self.graph is None else token_hex(4)  # an index finds its own graph alone
        arrays: dict[str, Any] = {name: getattr(self, name) for name in ("mean", "scale", "usual")}
        arrays |= {"directions": self.directions.astype(np.float16), "graph": np.array(mark)} | self.texts
        if self.graph is not None:
            with atomic_path(graph_path(self.model, mark)) as partial:
                self.graph.save(partial)
        with atomic_path(path) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)
        for other in path.parent.glob(f"{glob.escape(self.model)}.*.graph"):
            if other != graph_path(self.model, mark):
                other.unlink(missing_ok=True)
        keep_below(by_age(path.parent), MAX_BYTES, kept=[path, graph_path(self.model, mark)])
        return path

    def _look_alike(self, row: int, distance: float) -> LookAlike:
        facts = {name: str(self.texts[name][row]) for name in ("dataset", "path", "film", "label", "source")}
        return LookAlike(row, **facts, distance=distance, rank=self.rank(distance))


def index_path(model: str) -> Path:
    """Where the index of this version of a model is stored."""
    return cache_dir() / FOLDER / f"{model}.npz"


def graph_path(model: str, mark: str) -> Path:
    """Where the graph of the index with this mark is stored."""
    return cache_dir() / FOLDER / f"{model}.{mark}.graph"


def has_index(model: str) -> bool:
    """Whether this version of a model has an index here."""
    return index_path(model).is_file()


def load_index(model: str, exact_up_to: int = EXACT_UP_TO) -> LookAlikeIndex:
    """The stored index; RegistryError where there is none, or it is damaged."""
    path = index_path(model)
    if not path.is_file():
        raise RegistryError(
            f"There is no index of the training X-rays of '{model}' here. Build it on the page Models, or with cxr "
            "look-alikes build.",
            code="no-index",
        )
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        texts = {name: arrays[name].astype(str) for name in TEXTS}
        directions, mark = arrays["directions"], str(arrays.get("graph", ""))
        if len(directions) <= exact_up_to:
            directions = directions.astype(np.float32)
        graph = NeighborGraph.load(graph_path(model, mark), *directions.shape) if mark else None
        known = (arrays["mean"], arrays["scale"], directions, texts, arrays["usual"])
        return LookAlikeIndex(model, *known, graph, exact_up_to)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise RegistryError(
            f"The index of the training X-rays of '{model}' is damaged. Build it again.", code="index-damaged"
        ) from error


def _directions(features: Floats, mean: Floats, scale: Floats) -> NDArray[np.float32]:
    standard = (features - mean) / scale
    length = np.linalg.norm(standard, axis=1, keepdims=True)
    return np.asarray(standard / np.maximum(length, 1e-9), np.float32)
