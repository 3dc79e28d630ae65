"""Files in an object store by URL, with the part of the interface of `Path` that archives and their readings use.

`s3://` and `gs://` are reached by PyArrow, with the credentials that the environment has for them. A file is complete
or absent: it is sent in one piece and appears when all of it is there. There are no folders, only names that begin
alike.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cxr.core.errors import StorageError

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

SCHEMES = ("s3", "gs")
_URL = re.compile(rf"({'|'.join(SCHEMES)})://([^/?#]+)/*([^?#]*?)/*(\?[^#]*)?")


@dataclass(frozen=True)
class RemotePath:
    """A file, or the beginning of names, in an object store."""

    url: str

    def __post_init__(self) -> None:
        match = _URL.fullmatch(self.url)
        if match is None:
            raise StorageError(f"'{self.url}' is no URL of an object store.", code="remote-url")
        if "@" in match[2]:
            raise StorageError("Keep the keys of the object store out of its URL.", code="remote-keys")

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> RemotePath:
        place, mark, query = self.url.partition("?")
        return RemotePath(f"{place.rstrip('/')}/{name}{mark}{query}")

    @property
    def name(self) -> str:
        """The last part of its name."""
        return self.url.partition("?")[0].rstrip("/").rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The last part of its name without the ending."""
        return Path(self.name).stem

    @property
    def suffix(self) -> str:
        """The ending of its name, with the dot."""
        return Path(self.name).suffix

    @property
    def parent(self) -> RemotePath:
        """Where it lies."""
        place, mark, query = self.url.partition("?")
        return RemotePath(place.rstrip("/").rpartition("/")[0] + mark + query)

    @property
    def system(self) -> FileSystem:
        """The object store, as PyArrow reaches it."""
        return _system(self.url)[0]

    @property
    def key(self) -> str:
        """Its name in the object store, from the bucket on."""
        return _system(self.url)[1]

    def is_file(self) -> bool:
        """Whether there is a file of this name."""
        return bool(self._info().is_file)

    def is_dir(self) -> bool:
        """Whether there are files whose names begin with this one."""
        return int(self._info().type) == 3

    def exists(self) -> bool:
        """Whether there is anything of this name."""
        return self.is_file() or self.is_dir()

    def changed_ns(self) -> int:
        """When the file was written last."""
        return int(self._info().mtime_ns or 0)

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing, as there are no folders."""

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the file."""
        with _as_os_error(), _unless_missing(missing_ok):
            self.system.delete_file(self.key)

    def iterdir(self) -> Iterator[RemotePath]:
        """What lies here, in no order."""
        return (self / name for name, _ in self.entries())

    def entries(self) -> Iterator[tuple[str, bool]]:
        """The name of each that lies here, and whether it is a folder."""
        from pyarrow.fs import FileSelector

        with _as_os_error():
            found = self.system.get_file_info(FileSelector(self.key, allow_not_found=True))
        return ((info.base_name, not info.is_file) for info in found)

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """Those that lie here and whose name matches."""
        return (path for path in self.iterdir() if Path(path.name).match(pattern))

    def read_bytes(self) -> bytes:
        """The content of the file."""
        return self.read_at_most(None)

    def read_at_most(self, limit: int | None) -> bytes:
        """The content of the file, or its first bytes up to the limit."""
        with self.open_for_arrow() as file, _as_os_error():
            data: bytes = file.read(limit)
        return data

    def read_text(self, encoding: str = "utf-8") -> str:
        """The content of the file as text."""
        return self.read_bytes().decode(encoding)

    def open(self, mode: str = "r", **text: Any) -> IO[Any]:
        """The file, to be read."""
        return self.open_binary() if mode == "rb" else io.TextIOWrapper(self.open_binary(), **text)

    def open_binary(self) -> io.BufferedReader:
        """The file, to be read as bytes."""
        return io.BufferedReader(self.open_for_arrow())

    def open_for_arrow(self) -> Any:
        """The file as PyArrow reads it: only those parts that it needs."""
        with _as_os_error():
            return self.system.open_input_file(self.key)

    def write_bytes(self, data: bytes) -> None:
        """Replace the file's content, in one step."""
        with _as_os_error(), self.system.open_output_stream(self.key) as stream:
            stream.write(data)

    def _info(self) -> FileInfo:
        with _as_os_error():
            return self.system.get_file_info(self.key)


AnyPath = Path | RemotePath


def path_of(text: str | AnyPath) -> AnyPath:
    """The file or folder that is meant: in an object store, or on this computer."""
    if isinstance(text, Path | RemotePath):
        return text
    return RemotePath(text) if is_remote(text) else Path(text)


def changed_ns(path: AnyPath) -> int:
    """When the file was written last."""
    return path.changed_ns() if isinstance(path, RemotePath) else path.stat().st_mtime_ns


def absolute(text: str | AnyPath) -> AnyPath:
    """The same, where it is on this computer as an absolute path."""
    path = path_of(text)
    return path.resolve() if isinstance(path, Path) else path


def is_remote(text: str) -> bool:
    """Whether this is a URL."""
    return re.match(r"[a-z0-9+]+://", text) is not None


@contextmanager
def sent_to(path: RemotePath) -> Iterator[Path]:
    """A file on this computer to write to, whose content is sent to the path when the block succeeds."""
    with tempfile.TemporaryDirectory() as folder:
        partial = Path(folder) / "partial"
        yield partial
        path.write_bytes(partial.read_bytes())


@lru_cache(maxsize=64)
def _store(scheme_and_bucket: str, query: str) -> FileSystem:
    from pyarrow.fs import FileSystem

    with _as_os_error():
        return FileSystem.from_uri(scheme_and_bucket + query)[0]


def _system(url: str) -> tuple[FileSystem, str]:
    match = _URL.fullmatch(url)
    assert match
    scheme, bucket, key, query = match.groups()
    return _store(f"{scheme}://{bucket}", query or ""), f"{bucket}/{key}".rstrip("/")


@contextmanager
def _unless_missing(ignored: bool) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        if not ignored:
            raise


@contextmanager
def _as_os_error() -> Iterator[None]:
    """What PyArrow raises of its own becomes an OSError, which those who open files expect."""
    from pyarrow import ArrowException

    try:
        yield
    except ArrowException as error:
        raise OSError(str(error)) from error
