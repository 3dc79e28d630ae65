"""Files that are whole or absent, whatever happens while they are written: a kill, a full disk, a reader in between."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SHOWN = 50  # characters of a file name in that of its partial one; file systems end at 255 bytes


@contextmanager
def atomic_path(path: Path, durable: bool = False) -> Iterator[Path]:
    """A path to write to, which becomes `path` at the end; where that fails, nothing is left of it.

    durable: it is on the disk when this ends, as after a loss of power it must be; else that is left to the system.
    """
    partial = path.with_name(f".{path.name[:SHOWN]}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield partial
        if durable:
            sync_to_disk(partial)
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, text: str, durable: bool = False) -> None:
    """Readers see the old text or the new, never half."""
    with atomic_path(path, durable) as partial:
        partial.write_text(text, "utf-8")


def sync_to_disk(path: Path) -> None:
    """Wait until the file's or folder's content is on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
