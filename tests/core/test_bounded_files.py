"""Files are read only if they are regular, up to a limit; nothing else is waited for."""

from __future__ import annotations

import errno
import io
import os
import socket
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cxr.core.bounded_files import open_regular, read_regular, zip_directory_bytes

QUICK_S = 1.0


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def bound_socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
    return folder / "socket"


def linked(folder: Path) -> Path:
    (folder / "link").symlink_to(fifo(folder))
    return folder / "link"


IRREGULAR: dict[str, Callable[[Path], Path]] = {
    "a folder": lambda folder: folder,
    "a pipe": fifo,
    "a link to a pipe": linked,
    "a socket": bound_socket,
    "zeros without end": lambda folder: Path("/dev/zero"),
    "random bytes without end": lambda folder: Path("/dev/urandom"),
    "a full device": lambda folder: Path("/dev/full"),
    "a missing file": lambda folder: folder / "missing",
    "a folder that is a file": lambda folder: Path(__file__) / "inside",
    "a name that is too long": lambda folder: folder / ("x" * 5000),
    "a path that is too long": lambda folder: folder / "/".join(["x" * 200] * 50),
    "a NUL character": lambda folder: folder / "a\0b",
    "a lone surrogate": lambda folder: folder / "\ud800",
}


@pytest.mark.parametrize("kind", IRREGULAR)
def test_what_is_not_a_regular_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = IRREGULAR[kind](tmp_path)
    started = time.monotonic()
    with pytest.raises(OSError, match=".") as raised:
        read_regular(path, 1000)
    assert raised.value.strerror
    assert time.monotonic() - started < QUICK_S


def test_a_refused_file_is_closed_again(tmp_path: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_files()
    for _ in range(20):
        with pytest.raises(OSError, match="regular"):
            open_regular(tmp_path)
    assert open_files() == before


def test_a_file_is_read_up_to_the_limit_and_refused_beyond(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    assert read_regular(tmp_path / "a", 10) == b"0123456789"
    with pytest.raises(OSError, match="large") as raised:
        read_regular(tmp_path / "a", 9)
    assert raised.value.errno == errno.EFBIG


def test_a_file_that_declares_no_size_is_read_up_to_the_limit() -> None:
    assert Path("/proc/self/maps").stat().st_size == 0
    with pytest.raises(OSError, match="large"):
        read_regular(Path("/proc/self/maps"), 100)


# The list of members of a ZIP


def zip_of(count: int, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number:04d}", b"")
        archive.comment = comment
    return file.getvalue()


@pytest.mark.parametrize("comment", [b"", b"a comment", b"x" * 65_535])
def test_the_directory_of_a_zip_has_the_size_that_its_end_declares(comment: bytes) -> None:
    file = io.BytesIO(zip_of(10, comment))
    assert zip_directory_bytes(file) == 10 * (46 + 4)
    assert file.tell() == 0


def test_a_file_that_is_no_zip_has_no_directory() -> None:
    assert zip_directory_bytes(io.BytesIO(b"")) == 0
    assert zip_directory_bytes(io.BytesIO(b"PK" * 1000)) == 0


def wide_end(size: int) -> bytes:
    """The end records of a large file, whose directory has this size."""
    return (
        struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, 0)
        + struct.pack("<4sIQI", b"PK\6\7", 0, 0, 1)
        + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, 46, 0, 0)
    )


def test_a_record_that_is_hidden_behind_a_smaller_one_counts() -> None:
    assert zip_directory_bytes(io.BytesIO(wide_end(10**12))) == 10**12
    inner = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, 3 << 30, int.from_bytes(b"PK\5\6", "little"), 0)
    assert zip_directory_bytes(io.BytesIO(inner)) == 3 << 30
