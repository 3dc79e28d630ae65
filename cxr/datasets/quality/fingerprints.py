"""The fingerprints and thumbnails of a dataset's films, read from their files by several threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import FilmError
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.duplicates import SIDE_PX, Fingerprint, Thumbnails

THREADS = 4

Progress = Callable[[int, int], None]


def read_fingerprints(
    dataset: Dataset, thumbnails: Thumbnails, progress: Progress | None
) -> tuple[dict[int, Fingerprint], dict[int, str]]:
    """The fingerprint of each readable film, whose thumbnail is added, and the reason for each that is not readable."""

    def read(i: int) -> tuple[Fingerprint, NDArray[np.uint8]] | str:
        try:
            film = dataset.read(i)
            return Fingerprint.from_film(film), film.fitted(SIDE_PX)
        except FilmError as error:
            return str(error)

    fingerprints: dict[int, Fingerprint] = {}
    failures: dict[int, str] = {}
    pool = ThreadPoolExecutor(THREADS)
    try:
        for i, result in enumerate(pool.map(read, range(len(dataset)))):
            if isinstance(result, str):
                failures[i] = result
            else:
                fingerprints[i], thumbnail = result
                thumbnails.append(thumbnail)
            if progress:
                progress(i + 1, len(dataset))
    finally:
        pool.shutdown(cancel_futures=True)  # where progress stops the reading, the other films are not read
    return fingerprints, failures
