"""What a frozen trunk makes of each film and view: computed once, kept on disk, found again by content."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from cxr.core.errors import FilmError
from cxr.core.paths import cache_dir
from cxr.datasets.dataset import Dataset
from cxr.films.film import READER, Film
from cxr.learning.augmentation import augment, view_rng
from cxr.registry.recipe import Recipe

KEY_BYTES = 16
BATCH = 32
DECODERS = 2
CACHE_BYTES = {"pixels": 10_000_000_000, "features": 30_000_000_000}  # beyond it, the longest unused go
PLAIN = -1  # the view that is the film itself

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FeatureStore:
    """Rows of one shape on disk, appended only, each under a key of its content.

    Rows are written before their keys; a row without a key, left by a crash, is cut off by the next append.
    """

    folder: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def index(self) -> dict[bytes, int]:
        """The row of each key."""
        keys, data = self.folder / "keys.bin", self.folder / "rows.bin"
        raw = keys.read_bytes() if keys.exists() else b""
        there = data.stat().st_size // self.row_bytes if raw else 0  # read second: rows come before keys
        count = min(len(raw) // KEY_BYTES, there)
        return {raw[i * KEY_BYTES : (i + 1) * KEY_BYTES]: i for i in range(count)}

    def append(self, keys: Sequence[bytes], rows: NDArray[Any]) -> None:
        if rows.shape[1:] != self.shape or len(rows) != len(keys):
            raise ValueError(f"rows of shape {rows.shape} for {len(keys)} keys of {self.shape}")
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "lock"), self._open("keys.bin") as names, self._open("rows.bin") as data:
            count = min(names.seek(0, 2) // KEY_BYTES, data.seek(0, 2) // self.row_bytes)
            names.truncate(count * KEY_BYTES)
            data.truncate(count * self.row_bytes)
            names.seek(0, 2)
            data.seek(0, 2)
            data.write(np.ascontiguousarray(rows, self.dtype).tobytes())
            data.flush()
            names.write(b"".join(keys))

    def rows(self) -> NDArray[Any]:
        """All rows, mapped from disk and not loaded."""
        if not self.index():
            return np.empty((0, *self.shape), self.dtype)
        flat = np.memmap(self.folder / "rows.bin", np.uint8, mode="r")
        count = len(flat) // self.row_bytes
        return flat[: count * self.row_bytes].view(self.dtype).reshape(count, *self.shape)

    def _open(self, name: str) -> Any:
        path = self.folder / name
        path.touch()
        return path.open("r+b")


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Rows of a store for each film (and view) of a dataset, in its order."""

    rows: NDArray[Any]
    places: NDArray[np.int64]  # (films, views)

    def __len__(self) -> int:
        return len(self.places)

    def take(self, films: NDArray[np.int64], views: NDArray[np.int64] | int = 0) -> NDArray[Any]:
        places = self.places[films, views]
        if (places < 0).any():
            raise IndexError("a film that this table does not hold")
        return self.rows[places]


@dataclass(frozen=True, eq=False)
class PixelTable:
    """A dataset's films as squares of grey pixels; those that cannot be read are named with the reason."""

    table: FeatureTable
    digests: tuple[bytes, ...]  # a film's name, made of its bytes alone
    broken: dict[int, str]


def pixel_table(dataset: Dataset, size_px: int, progress: Progress) -> PixelTable:
    """Every film brought to the model's size; a film that was read before is not decoded again."""
    store = FeatureStore(cache_dir() / "pixels" / f"{size_px}-{READER}", (size_px, size_px), np.dtype(np.uint8))
    make_room(store, len(dataset))
    known = set(store.index())

    def look(i: int) -> tuple[bytes, NDArray[np.uint8] | None, str]:
        try:
            data = dataset.read_bytes(i)
            digest = hashlib.sha256(data).digest()
            fresh = digest[:KEY_BYTES] not in known
            return digest, Film.read(data).fitted(size_px) if fresh else None, ""
        except FilmError as error:
            return b"", None, str(error)

    digests: list[bytes] = []
    broken: dict[int, str] = {}
    with ThreadPoolExecutor(DECODERS) as pool:
        for batch in _batches(_ahead(pool, look, range(len(dataset))), BATCH):
            new = {digest[:KEY_BYTES]: pixels for digest, pixels, _ in batch if pixels is not None}
            new = {key: pixels for key, pixels in new.items() if key not in known}  # read ahead, before it was kept
            if new:
                store.append(list(new), np.stack(list(new.values())))
                known.update(new)
            broken.update({len(digests) + i: why for i, (_, _, why) in enumerate(batch) if why})
            digests.extend(digest for digest, _, _ in batch)
            progress(len(digests), len(dataset))
    index = store.index()
    places = [[index.get(digest[:KEY_BYTES], -1)] for digest in digests]
    return PixelTable(FeatureTable(store.rows(), np.array(places, np.int64)), tuple(digests), broken)


def feature_table(
    front: Any, recipe: Recipe, films: NDArray[np.int64], pixels: PixelTable, views: int, progress: Progress
) -> FeatureTable:
    """What `front` makes of the chosen films as they are (no views) or of so many augmented views of each.

    The table has a row for every film of the dataset, so that one index serves everywhere; those that were
    not chosen have no place.
    """
    views_of_film = list(range(views)) if views else [PLAIN]
    digests = pixels.digests
    settings, seed = recipe.augmentation, recipe.training.seed
    shape = tuple(front.output.shape[1:])
    name = np.dtype(ml_dtypes.bfloat16) if str(front.output.dtype) == "bfloat16" else np.dtype(np.float32)
    folder = f"{_front_key(front, recipe)}-{_views_key(recipe) if views else 'plain'}"
    store = FeatureStore(cache_dir() / "features" / folder, shape, name)
    make_room(store, len(films) * len(views_of_film))
    plan = [(int(film), view) for film in films for view in views_of_film]
    keys = [_row_key(digests[film], view) for film, view in plan]

    def look(k: int) -> NDArray[np.uint8]:
        film, view = plan[k]
        plain = pixels.table.take(np.array(film))
        return plain if view == PLAIN else augment(plain, settings, view_rng(seed, digests[film], view))

    def forward(batch: NDArray[np.uint8]) -> NDArray[Any]:
        short = BATCH - len(batch)  # a full batch always: one graph, and the same sums for the same film
        padded = np.pad(batch, ((0, short), (0, 0), (0, 0))) if short else batch
        return np.asarray(front.predict_on_batch(padded[..., None].astype(np.float32)))[: len(batch)]

    table = _fill(store, keys, look, forward, progress)
    places = np.full((len(digests), len(views_of_film)), -1, np.int64)
    places[films] = table.places.reshape(len(films), -1)
    return FeatureTable(table.rows, places)


def make_room(store: FeatureStore, rows: int) -> None:
    """Delete other stores of the kind, the longest unused first, until so many rows more stay below the limit."""
    keep = store.folder
    limit_bytes = CACHE_BYTES[keep.parent.name] - rows * store.row_bytes
    keep.mkdir(parents=True, exist_ok=True)
    os.utime(keep)
    stores = [folder for folder in keep.parent.iterdir() if folder.is_dir()]
    oldest_first = sorted(stores, key=lambda folder: folder.stat().st_mtime)
    bytes_of = {folder: sum(file.stat().st_size for file in folder.iterdir()) for folder in oldest_first}
    total = sum(bytes_of.values())
    for folder in oldest_first:
        if total > limit_bytes and folder != keep:
            shutil.rmtree(folder)
            total -= bytes_of[folder]


def _front_key(front: Any, recipe: Recipe) -> str:
    """Names everything about the network that determines a row."""
    digest = hashlib.sha256()
    for weight in front.weights:
        digest.update(np.ascontiguousarray(weight).tobytes())
    precision = [layer.compute_dtype for layer in front.layers]
    pool = recipe.head.pool if recipe.trunk.train == "head" else ""  # then the cut lies behind it
    shape = list(front.output.shape)
    about = [recipe.trunk.backbone, recipe.input.size_px, recipe.input.scale, pool, shape, precision, READER]
    digest.update(json.dumps(about).encode())
    return digest.hexdigest()[:24]


def _views_key(recipe: Recipe) -> str:
    """Names what determines an augmented view beside the film and the view's number."""
    change = [recipe.training.seed, recipe.augmentation.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(change).encode()).hexdigest()[:12]


def _row_key(film: bytes, view: int) -> bytes:
    return film[:KEY_BYTES] if view == PLAIN else hashlib.sha256(film + bytes([view])).digest()[:KEY_BYTES]


def _fill(
    store: FeatureStore,
    keys: Sequence[bytes],
    look: Callable[[int], Any],
    forward: Callable[[NDArray[np.uint8]], NDArray[Any]],
    progress: Progress,
) -> FeatureTable:
    """Compute the rows that are not there yet, decoding ahead of the network; the table of all of them."""
    known = store.index()
    first_of = {key: k for k, key in reversed(list(enumerate(keys)))}  # a film that comes twice is read once
    missing = sorted(k for key, k in first_of.items() if key not in known)
    done = 0
    with ThreadPoolExecutor(DECODERS) as pool:
        for batch in _batches(_ahead(pool, look, missing), BATCH):
            store.append([keys[k] for k in missing[done : done + len(batch)]], forward(np.stack(batch)))
            done += len(batch)
            progress(done, len(missing))
    places = store.index()
    return FeatureTable(store.rows(), np.array([[places[key]] for key in keys], np.int64))


def _ahead(pool: ThreadPoolExecutor, look: Callable[[int], Any], items: Iterable[int]) -> Iterator[Any]:
    """Results in order, with two batches in the making: the whole set is never in memory."""
    todo = iter(items)
    pending = [pool.submit(look, item) for item in islice(todo, 2 * BATCH)]
    while pending:
        result = pending.pop(0).result()
        pending.extend(pool.submit(look, item) for item in islice(todo, 1))
        yield result


def _batches(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := list(islice(items, size)):
        yield batch
