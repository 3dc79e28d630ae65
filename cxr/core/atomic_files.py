"""Writing files so that they are complete or absent, whatever interrupts the writing: a kill, a full disk, a reader."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cxr.core.bounded_files import NOT_REGULAR
from cxr.core.remote_files import AnyPath, RemotePath, sent_to

PREFIX_LENGTH = 50  # characters of a file's name in the name of its partial file; file systems allow 255 bytes


@contextmanager
def atomic_path(path: AnyPath, durable: bool = False) -> Iterator[Path]:
    """A path to write to, which replaces `path` when the block succeeds and is deleted when it fails.

    durable: the file is flushed to the disk before it replaces `path`, so that it survives a loss of power. A device, a
    pipe or a socket is never replaced: OSError. What goes to an object store is sent there when the block succeeds.
    """
    if isinstance(path, RemotePath):
        with sent_to(path) as local:
            yield local
        return
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, NOT_REGULAR)
    partial = path.with_name(f".{path.name[:PREFIX_LENGTH]}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield partial
        if durable:
            sync_to_disk(partial)
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_atomically(path: AnyPath, text: str, durable: bool = False) -> None:
    """Replace the file's text; readers see the old or the new text, never a part."""
    with atomic_path(path, durable) as partial:
        partial.write_text(text, "utf-8")


def sync_to_disk(path: Path) -> None:
    """Flush a file's or folder's content to the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
