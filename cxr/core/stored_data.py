"""What is stored of itself, such as caches, the audit trail and runs: how large it is, and its limit."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

MAX_SMALL_CACHE_BYTES = 200_000_000  # of the audits of datasets; of the times of engines


def stored_bytes(path: Path) -> int:
    """The size of a file, or of all files in a folder; what cannot be read counts nothing."""
    try:
        if path.is_dir() and not path.is_symlink():
            return sum(stored_bytes(inside) for inside in path.iterdir())
        return path.lstat().st_size
    except OSError:
        return 0


def remove(path: Path) -> None:
    """Delete a file, or a folder with all that is in it; one that is gone is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def keep_below(oldest_first: Sequence[Path], limit_bytes: int, kept: Collection[Path] = ()) -> list[Path]:
    """Delete files or folders, in their order, until the rest fits the limit; return those that were deleted.

    Those in `kept` stay.
    """
    sizes = {path: stored_bytes(path) for path in oldest_first}
    total, deleted = sum(sizes.values()), []
    for path, size in sizes.items():
        if total <= limit_bytes:
            break
        if path not in kept:
            remove(path)
            total -= size
            deleted.append(path)
    return deleted


def by_age(folder: Path) -> list[Path]:
    """What is in a folder, the longest unused first; nothing where there is no folder."""
    if not folder.is_dir():
        return []
    ages = []
    for path in folder.iterdir():
        with suppress(OSError):  # deleted meanwhile
            ages.append((path.lstat().st_mtime, path))
    return [path for _, path in sorted(ages)]
