"""What is stored on disk about a dataset: its place in the cache, and the digest that says whether it still holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from cxr.core.paths import cache_dir
from cxr.datasets.dataset import Dataset
from cxr.films.film import READER


def cache_file(dataset: Dataset, kind: str) -> Path:
    """The file for all films of these folders or ZIPs, however often they change."""
    places = "\n".join(sorted(dataset.table["root"].unique()))
    return cache_dir() / kind / f"{hashlib.sha256(places.encode()).hexdigest()[:24]}.json"


def state_digest(table: pd.DataFrame, version: int) -> str:
    """A digest of these columns of a dataset's table, and of size and time of every film's file.

    Another version of what is computed, or of the decoder, gives another digest.
    """
    digest = hashlib.blake2b(f"{version} {READER} {list(table)}".encode(), digest_size=16)
    digest.update(pd.util.hash_pandas_object(table).to_numpy().tobytes())
    for file in _files(table):
        try:
            state = file.stat()
            digest.update(f"{state.st_size} {state.st_mtime_ns}\n".encode())
        except (OSError, ValueError):
            digest.update(b"missing\n")
    return digest.hexdigest()


def _files(table: pd.DataFrame) -> Iterator[Path]:
    """The films' files, or the one ZIP that has them all."""
    for root, films in table.groupby("root", sort=False)["path"]:
        place = Path(str(root))
        yield from [place] if place.is_file() else [place / film for film in films]
