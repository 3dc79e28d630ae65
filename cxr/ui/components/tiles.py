"""Thumbnails of a dataset's X-rays: read once, by several threads, and cached in memory.

Only X-rays on this machine's disk are cached, a few thousand of them: never an upload.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cxr.core.errors import CxrError
from cxr.datasets.archive import open_store
from cxr.datasets.dataset import Dataset
from cxr.films.isolation.pool import read_isolated

THREADS = 4
CACHED_TILES = 3000  # of about 6 kB each
SIDE_PX = 168


@dataclass(frozen=True)
class Tile:
    """A thumbnail as JPEG on a black square, or the reason why the X-ray cannot be read."""

    jpeg: bytes | None = field(repr=False)
    reason: str = ""


def tiles(dataset: Dataset, rows: Sequence[int]) -> list[Tile]:
    """The tiles of these X-rays of the dataset, in order."""
    table = dataset.table
    films = [(str(table["root"].iat[i]), str(table["path"].iat[i])) for i in rows]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda film: _tile(*film, *_state(*film)), films))


def _state(root: str, path: str) -> tuple[int, int]:
    """The time and size of the X-ray's file or ZIP, which differ once it has changed."""
    try:
        state = (Path(root) if Path(root).is_file() else Path(root) / path).stat()
    except (OSError, ValueError):
        return 0, 0
    return state.st_mtime_ns, state.st_size


@lru_cache(maxsize=CACHED_TILES)
def _tile(root: str, path: str, changed_ns: int, size: int) -> Tile:
    try:
        film = read_isolated(open_store(root).read(path))
    except CxrError as error:
        return Tile(None, str(error))
    return Tile(film.jpeg_thumbnail(SIDE_PX, square=True))
