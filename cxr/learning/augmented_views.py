"""New augmented views of training films, made in this process or, on machines with many cores, in several.

A GPU trains faster than one process can augment. A view depends on the seed, the film and its number alone, so
the number of processes changes nothing but the time.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxr.learning.augmentation import augment, view_rng
from cxr.registry.recipe_sections import AugmentationSettings

MANY_CORES = 8  # with fewer, the training itself needs them
MAX_PROCESSES = 32


@dataclass(frozen=True, eq=False)
class AugmentedViews:
    """Makes one new view of each film of a batch; use it in a `with` block, which ends its processes."""

    rows: NDArray[Any]  # the images that the cache holds
    row_numbers: NDArray[np.int64]  # of each film
    digests: Sequence[bytes]  # of each film
    settings: AugmentationSettings
    seed: int
    processes: int = 0  # 0: this one
    _pool: list[ProcessPoolExecutor] = field(default_factory=list)

    def __enter__(self) -> Self:
        if self.processes:
            context = multiprocessing.get_context("spawn")  # a fork would copy the threads of the GPU's libraries
            self._pool.append(ProcessPoolExecutor(self.processes, context))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._pool:
            self._pool.pop().shutdown(cancel_futures=True)

    def batch(self, films: Sequence[int], views: Sequence[int]) -> NDArray[np.uint8]:
        """The views with these numbers of these films, in their order."""
        images = self.rows[self.row_numbers[list(films)]]
        digests = [self.digests[film] for film in films]
        if self._pool:
            return self._pool[0].submit(_views, images, digests, self.settings, self.seed, views).result()
        return _views(images, digests, self.settings, self.seed, views)


def processes_for(cores: int | None = None) -> int:
    """The number of processes that augment on a machine with that many cores; by default this one."""
    cores = cores or os.cpu_count() or 1
    return min(cores - 2, MAX_PROCESSES) if cores >= MANY_CORES else 0


def _views(
    images: NDArray[np.uint8], digests: Sequence[bytes], settings: AugmentationSettings, seed: int, views: Sequence[int]
) -> NDArray[np.uint8]:
    return np.stack(
        [
            augment(image, settings, view_rng(seed, digest, view))
            for image, digest, view in zip(images, digests, views, strict=True)
        ]
    )
