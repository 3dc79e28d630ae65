"""Reading files that others name: regular files only, up to a limit, without waiting for anybody.

A path may lead to a device without an end, to a pipe that nobody writes to, or to a socket. Opening these would block
or fill the memory, so they are refused before a byte is read.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO, BinaryIO

from cxr.core.remote_files import AnyPath, RemotePath

NOT_REGULAR = "It is not a regular file"
INVALID_PATH = "It is not a valid path"
TOO_LARGE = "It is too large"

_END_BYTES = (1 << 16) + 200  # the most that a ZIP's end records take, with its comment
_END, _WIDE_END = b"PK\5\6", b"PK\6\6"  # signatures of the end record, and of the one for large files
_IN_WIDE_END = 0xFFFFFFFF  # the size in the end record of a large file


def is_folder(path: AnyPath) -> bool:
    """Whether a folder can be seen at this path; False where the path cannot exist."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_regular(path: AnyPath) -> bool:
    """Whether a regular file can be seen at this path; False where the path cannot exist."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def open_regular(path: AnyPath) -> BinaryIO:
    """The open file; OSError for a directory, a device, a pipe, a socket, or a path that cannot exist."""
    if isinstance(path, RemotePath):
        return path.open_binary()
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags)
    except ValueError as error:  # a NUL character, or one that the file system cannot encode
        raise OSError(errno.EINVAL, INVALID_PATH) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, NOT_REGULAR)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file; OSError where it cannot be read, or has more bytes than the limit.

    The limit applies to the bytes that are read, as some files (those of /proc) declare none.
    """
    with open_regular(path) as file:
        data = file.read(limit + 1) or b""
    if len(data) > limit:
        raise OSError(errno.EFBIG, TOO_LARGE)
    return data


def zip_directory_bytes(file: IO[bytes]) -> int:
    """The size of a ZIP's list of members as any of its end records declares it; 0 where there is none.

    A library reads so much before it looks at any member. The file's position is at its start afterward.
    """
    file.seek(-min(file.seek(0, os.SEEK_END), _END_BYTES), os.SEEK_END)
    tail = file.read() or b""  # None of a device that would have to be waited for
    file.seek(0)
    sizes = [_number(tail, place + 12, 4) for place in _places(tail, _END)]
    wide = [_number(tail, place + 40, 8) for place in _places(tail, _WIDE_END)]
    return max([*(size for size in sizes if size != _IN_WIDE_END), *wide], default=0)


def _places(data: bytes, signature: bytes) -> list[int]:
    places, place = [], data.find(signature)
    while place >= 0:
        places.append(place)
        place = data.find(signature, place + 1)
    return places


def _number(data: bytes, start: int, count: int) -> int:
    return int.from_bytes(data[start : start + count], "little")
