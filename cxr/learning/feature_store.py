"""Stores of features on disk, each row known by its content, and the room that they may take."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from cxr.core.errors import RunError
from cxr.core.number_format import gigabytes
from cxr.core.stored_data import by_age, keep_below, stored_bytes

KEY_BYTES = 16
CACHE_BYTES = {"pixels": 10_000_000_000, "features": 30_000_000_000}  # limits; the least recently used go first


@dataclass(frozen=True)
class FeatureStore:
    """An append-only file of rows of one shape, each with a key made of its content.

    Rows are written before their keys; a row without a key, left by a crash, is cut off by the next append.
    """

    folder: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def row_by_key(self) -> dict[bytes, int]:
        """The row number of each key."""
        keys, data = self.folder / "keys.bin", self.folder / "rows.bin"
        raw = keys.read_bytes() if keys.exists() else b""
        rows = data.stat().st_size // self.row_bytes if raw else 0  # read second: rows are written before keys
        count = min(len(raw) // KEY_BYTES, rows)
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
        """All rows, memory-mapped."""
        if not self.row_by_key():
            return np.empty((0, *self.shape), self.dtype)
        flat = np.memmap(self.folder / "rows.bin", np.uint8, mode="r")
        count = len(flat) // self.row_bytes
        return flat[: count * self.row_bytes].view(self.dtype).reshape(count, *self.shape)

    def _open(self, name: str) -> Any:
        path = self.folder / name
        path.touch()
        return path.open("r+b")

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Inside the block, `make_room` of other jobs does not delete the rows of this store."""
        self.folder.mkdir(parents=True, exist_ok=True)
        use = FileLock(self.folder / f"use-{uuid4().hex}.lock")
        with _room_lock(self.folder):
            use.acquire()
        try:
            yield
        finally:
            Path(use.lock_file).unlink(missing_ok=True)
            use.release()

    def users(self) -> int:
        """How many jobs are in the block of `in_use`; what one left that was killed does not count."""
        count = 0
        for path in self.folder.glob("use-*.lock"):
            try:
                with FileLock(path, timeout=0):
                    path.unlink(missing_ok=True)
            except Timeout:
                count += 1
        return count

    def empty(self) -> None:
        """Delete all rows; the keys first, so that none is left without its row."""
        for name in ("keys.bin", "rows.bin"):
            (self.folder / name).unlink(missing_ok=True)


def make_room(store: FeatureStore, rows: int) -> None:
    """Delete other stores of the same kind, least recently used first, until that many new rows fit the limit.

    Where they still do not fit, the store's own rows go, too; a RunError where they alone are more than the limit. What
    another job uses now stays, even if the limit is passed.
    """
    own, limit_bytes = store.folder, CACHE_BYTES[store.folder.parent.name]
    new_bytes = rows * store.row_bytes
    if new_bytes > limit_bytes:
        raise RunError(
            f"The {own.parent.name} of these images would take {gigabytes(new_bytes)} on the disk; the limit is "
            f"{gigabytes(limit_bytes)}. Use fewer images, fewer training.views, or a smaller input.size_px.",
            code="cache-limit",
        )
    own.mkdir(parents=True, exist_ok=True)
    os.utime(own)
    with _room_lock(own):
        stores = by_age(own.parent)
        used = [folder for folder in stores if replace(store, folder=folder).users()]
        keep_below(stores, limit_bytes - new_bytes, kept=[own, *used])
        if stored_bytes(own) + new_bytes > limit_bytes:
            _empty_unless_shared(store)


def begin_anew(store: FeatureStore) -> bool:
    """Delete the store's rows, unless another job uses them; whether they were deleted."""
    with _room_lock(store.folder):
        return _empty_unless_shared(store)


def _empty_unless_shared(store: FeatureStore) -> bool:
    if store.users() > 1:  # more than the caller
        return False
    store.empty()
    return True


def _room_lock(store: Path) -> FileLock:
    """Inside it, no other job deletes stores of this kind, or begins to use one."""
    return FileLock(store.parent.with_name(f".{store.parent.name}.lock"))
