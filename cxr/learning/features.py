"""Features of the frozen backbone for each film and view, computed once and cached on disk by content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import FilmError
from cxr.core.paths import cache_dir
from cxr.datasets.dataset import Dataset
from cxr.films.film import READER, Film
from cxr.learning.augmentation import AUGMENTATION, augment, view_rng
from cxr.learning.feature_store import CACHE_BYTES, KEY_BYTES, FeatureStore, begin_anew, make_room
from cxr.registry.recipe import Recipe

BATCH = 32
DECODERS = max(2, os.cpu_count() or 1)
PLAIN = -1  # the number of the view without augmentation

Progress = Callable[[int, int], None]
Forward = Callable[[NDArray[np.uint8]], NDArray[Any]]
# Computes the features of batches on other machines as well: (frozen part, recipe, batches, how it is done here) -> the
# number of each batch with its features, in any order.
Elsewhere = Callable[[Any, Recipe, Iterator[NDArray[np.uint8]], Forward], Iterable[tuple[int, NDArray[Any]]]]


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Rows of a store for each film and view of a dataset, in its order."""

    rows: NDArray[Any]
    row_numbers: NDArray[np.int64]  # (films, views)

    def __len__(self) -> int:
        return len(self.row_numbers)

    def take(self, films: NDArray[np.int64], views: NDArray[np.int64] | int = 0) -> NDArray[Any]:
        places = self.row_numbers[films, views]
        if (places < 0).any():
            raise IndexError("the table has no row for one of these films")
        return self.rows[places]


@dataclass(frozen=True, eq=False)
class PixelTable:
    """The films of a dataset as square gray images, and the reason for each that cannot be read."""

    table: FeatureTable
    digests: tuple[bytes, ...]  # SHA-256 of each film's file
    unreadable: dict[int, str]


def pixel_table(dataset: Dataset, size_px: int, progress: Progress) -> PixelTable:
    """Every film at the model's size; a film in the cache is not decoded again."""
    store = FeatureStore(cache_dir() / "pixels" / f"{size_px}-{READER}", (size_px, size_px), np.dtype(np.uint8))
    with store.in_use():
        make_room(store, max(0, len(dataset) - len(store.row_by_key())))  # most are known, or none
        return _pixels_of(store, dataset, size_px, progress)


def _pixels_of(store: FeatureStore, dataset: Dataset, size_px: int, progress: Progress) -> PixelTable:
    known = set(store.row_by_key())

    def decode(i: int) -> tuple[bytes, NDArray[np.uint8] | None, str]:
        try:
            data = dataset.read_bytes(i)
            digest = hashlib.sha256(data).digest()
            is_new = digest[:KEY_BYTES] not in known
            return digest, Film.read(data).fitted(size_px) if is_new else None, ""
        except FilmError as error:
            return b"", None, str(error)

    digests: list[bytes] = []
    unreadable: dict[int, str] = {}
    with ThreadPoolExecutor(DECODERS) as pool:
        for batch in _batches(_ahead(pool, decode, range(len(dataset))), BATCH):
            new = {digest[:KEY_BYTES]: pixels for digest, pixels, _ in batch if pixels is not None}
            new = {
                key: pixels for key, pixels in new.items() if key not in known
            }  # decoded ahead, before an equal film was stored
            is_full = known and (len(known) + len(new)) * store.row_bytes > CACHE_BYTES["pixels"]
            if is_full and begin_anew(store):  # without the pixels of other datasets
                return _pixels_of(store, dataset, size_px, progress)
            if new:
                store.append(list(new), np.stack(list(new.values())))
                known.update(new)
            unreadable.update({len(digests) + i: reason for i, (_, _, reason) in enumerate(batch) if reason})
            digests.extend(digest for digest, _, _ in batch)
            progress(len(digests), len(dataset))
    by_key = store.row_by_key()
    numbers = [[by_key.get(digest[:KEY_BYTES], -1)] for digest in digests]
    return PixelTable(FeatureTable(store.rows(), np.array(numbers, np.int64)), tuple(digests), unreadable)


def feature_table(
    frozen: Any,
    recipe: Recipe,
    films: NDArray[np.int64],
    pixels: PixelTable,
    views: int,
    progress: Progress,
    elsewhere: Elsewhere | None = None,
) -> FeatureTable:
    """The output of the frozen part for the given films: without augmentation (no views), or of each film's views.

    The table has an entry for every film of the dataset, so that one index serves everywhere; films that are not
    given have no row.
    """
    view_numbers = list(range(views)) if views else [PLAIN]
    digests = pixels.digests
    settings, seed = recipe.augmentation, recipe.seed_of_views
    shape = tuple(frozen.output.shape[1:])
    dtype = np.dtype(ml_dtypes.bfloat16) if str(frozen.output.dtype) == "bfloat16" else np.dtype(np.float32)
    folder = f"{_network_key(frozen, recipe)}-{_views_key(recipe) if views else 'plain'}"
    store = FeatureStore(cache_dir() / "features" / folder, shape, dtype)
    plan = [(int(film), view) for film in films for view in view_numbers]
    keys = [_row_key(digests[film], view) for film, view in plan]

    def image(k: int) -> NDArray[np.uint8]:
        film, view = plan[k]
        plain = pixels.table.take(np.array(film))
        return plain if view == PLAIN else augment(plain, settings, view_rng(seed, digests[film], view))

    forward = forward_of(frozen)

    def computed(batches: Iterator[NDArray[np.uint8]]) -> Iterable[tuple[int, NDArray[Any]]]:
        return elsewhere(frozen, recipe, batches, forward) if elsewhere else enumerate(map(forward, batches))

    with store.in_use():
        make_room(store, len(set(keys) - set(store.row_by_key())))
        table = _fill(store, keys, image, computed, progress)
    numbers = np.full((len(digests), len(view_numbers)), -1, np.int64)
    numbers[films] = table.row_numbers.reshape(len(films), -1)
    return FeatureTable(table.rows, numbers)


def forward_of(frozen: Any) -> Forward:
    """What computes the output of the frozen part for a batch of images."""

    def forward(batch: NDArray[np.uint8]) -> NDArray[Any]:
        missing = BATCH - len(batch)  # always a full batch: one graph, and the same result for the same film
        padded = np.pad(batch, ((0, missing), (0, 0), (0, 0))) if missing else batch
        return np.asarray(frozen.predict_on_batch(padded[..., None].astype(np.float32)))[: len(batch)]

    return forward


def _network_key(frozen: Any, recipe: Recipe) -> str:
    """A hash of everything in the network that a row depends on."""
    digest = hashlib.sha256()
    for weight in frozen.weights:
        digest.update(np.ascontiguousarray(weight).tobytes())
    precision = [layer.compute_dtype for layer in frozen.layers]
    pool = recipe.head.pool if recipe.trunk.train == "head" else ""  # then the pooling belongs to the frozen part
    shape = list(frozen.output.shape)
    facts = [
        recipe.trunk.backbone,
        recipe.input.size_px,
        recipe.input.scale,
        recipe.input.equalize,
        pool,
        shape,
        precision,
        READER,
    ]
    digest.update(json.dumps(facts).encode())
    return digest.hexdigest()[:24]


def _views_key(recipe: Recipe) -> str:
    """A hash of what an augmented view depends on besides the film and the view's number."""
    facts = [AUGMENTATION, recipe.seed_of_views, recipe.augmentation.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def _row_key(film: bytes, view: int) -> bytes:
    return film[:KEY_BYTES] if view == PLAIN else hashlib.sha256(film + bytes([view])).digest()[:KEY_BYTES]


def _fill(
    store: FeatureStore,
    keys: Sequence[bytes],
    image: Callable[[int], Any],
    forward: Callable[[Iterator[NDArray[np.uint8]]], Iterable[tuple[int, NDArray[Any]]]],
    progress: Progress,
) -> FeatureTable:
    """The table of all keys; missing rows are computed, and their images prepared ahead of the network."""
    known = store.row_by_key()
    first_of = {key: k for k, key in reversed(list(enumerate(keys)))}  # a film that occurs twice is computed once
    missing = sorted(k for key, k in first_of.items() if key not in known)
    done = 0
    with ThreadPoolExecutor(DECODERS) as pool:
        for number, rows in forward(map(np.stack, _batches(_ahead(pool, image, missing), BATCH))):
            store.append([keys[k] for k in missing[number * BATCH : number * BATCH + len(rows)]], rows)
            done += len(rows)
            progress(done, len(missing))
    by_key = store.row_by_key()
    return FeatureTable(store.rows(), np.array([[by_key[key]] for key in keys], np.int64))


def _ahead(pool: ThreadPoolExecutor, work: Callable[[int], Any], items: Iterable[int]) -> Iterator[Any]:
    """The results in order, computed two batches ahead, so that they are never all in memory."""
    remaining = iter(items)
    pending = [pool.submit(work, item) for item in islice(remaining, 2 * BATCH)]
    while pending:
        result = pending.pop(0).result()
        pending.extend(pool.submit(work, item) for item in islice(remaining, 1))
        yield result


def _batches(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := list(islice(items, size)):
        yield batch
