"""Where a dataset's files lie: a folder or a ZIP, both read in place."""

from __future__ import annotations

import lzma
import os
import re
import struct
import threading
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import IO

from cxr.core.errors import DatasetError, FilmTooLarge, UnreadableFilm
from cxr.films.film import MAX_BYTES

MANIFEST = "manifest.csv"
SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
}
NO_FILM = (
    *(".csv", ".tsv", ".txt", ".md", ".rst", ".json", ".jsonl", ".xml", ".html", ".htm", ".yml", ".yaml"),
    *(".toml", ".ini", ".log", ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".py", ".ipynb", ".js", ".css"),
    *(".sh", ".bat", ".db", ".zip", ".gz", ".tar", ".7z", ".rar", ".npy", ".npz", ".h5", ".keras"),
)
MASKS = frozenset({"mask", "masks"})  # as the COVID-19 Radiography Database lays them beside its films
MISSING = "This film is listed in its dataset, but its file is missing."
LEAVES = "This film's path leads out of its dataset's folder."
DAMAGED_ZIP = "This film's part of the ZIP is damaged. Pack or download the ZIP again."

MOST_LIST_BYTES = 100_000_000  # of a ZIP's list of its members: a million of them
_END_BYTES = (1 << 16) + 200  # in which a ZIP's end lies, with its comment

_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
)


def leaves_folder(path: str) -> bool:
    """True for a path that is absolute or climbs."""
    return bool(re.match(r"/|[A-Za-z]:", path)) or ".." in path.split("/") or "\0" in path


def may_be_film(path: str) -> bool:
    """True where nothing in the name says otherwise; the content is looked at only when it is read."""
    *folders, name = path.split("/")
    return not name.lower().endswith(NO_FILM) and not MASKS & {part.lower() for part in folders}


def wrapping_folder(names: Iterable[str], eager: bool) -> str:
    """The folders wrapped around a dataset, as `chest_xray/`; empty where there are none.

    A single folder is taken off where a manifest or split folders lie in it; an eager search also
    takes it off where no film lies in it directly, as in a ZIP of one folder a class.
    """
    inner = [name for name in names if may_be_film(name) or name.endswith(MANIFEST)]
    prefix = ""
    while MANIFEST not in inner:
        splits = {top for top in (name.split("/", 1)[0] for name in inner) if top.lower() in SPLITS}
        tops = {name.split("/", 1)[0] for name in inner if "/" in name}
        if splits or len(tops) != 1:
            break
        top = tops.pop() + "/"
        below = [name.removeprefix(top) for name in inner if name.startswith(top)]
        folders = {name.split("/", 1)[0].lower() for name in below if "/" in name}
        flat = any("/" not in name and name != MANIFEST for name in below)
        if not (MANIFEST in below or folders & set(SPLITS) or (eager and not flat)):
            break
        prefix, inner = prefix + top, below
    return prefix


def _hidden(path: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


class Folder:
    """The files under a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def names(self) -> list[str]:
        """Paths of all files that are not hidden, sorted, with `/` between the parts."""
        names = []
        for here, folders, files in os.walk(self.root):
            folders[:] = [folder for folder in folders if not _hidden(folder)]
            prefix = Path(here).relative_to(self.root).as_posix()
            prefix = "" if prefix == "." else prefix + "/"
            names += [prefix + name for name in files if not _hidden(name)]
        return sorted(names)

    def paths_outside(self, paths: Iterable[str]) -> list[str]:
        """Those of these paths that a symbolic link leads out of the folder.

        Looks at each folder once, as resolving 50,000 files would take seconds.
        """
        by_folder = defaultdict(list)
        for path in paths:
            by_folder[path.rpartition("/")[0]].append(path)
        strays = []
        for folder, films in by_folder.items():
            here = self.root / folder
            if not self._holds(here):
                strays += films
            elif here.is_dir():
                with os.scandir(here) as entries:
                    links = {entry.name for entry in entries if entry.is_symlink()}
                linked = [film for film in films if film.rpartition("/")[2] in links] if links else []
                strays += [film for film in linked if not self._holds(self.root / film)]
        return strays

    def read(self, path: str) -> bytes:
        """The bytes of one file; raises only `FilmError`."""
        try:
            file = self.root / path
            if leaves_folder(path) or not self._holds(file):
                raise UnreadableFilm(LEAVES)
            if not file.is_file():
                raise UnreadableFilm(MISSING)
            with file.open("rb") as stream:
                return _limited(stream.read(MAX_BYTES + 1))
        except (OSError, ValueError):
            raise UnreadableFilm("This film's file cannot be opened. Check that you may read it.") from None

    def _holds(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.root)


class Archive:
    """The files in a ZIP, which is opened once and read by several threads in turn; on disk, or as a file in memory."""

    def __init__(self, root: Path, file: IO[bytes] | None = None) -> None:
        self.root = root.resolve()
        self._lock = threading.Lock()
        try:
            if _list_bytes(file or self.root) > MOST_LIST_BYTES:
                raise DatasetError(f"{root.name} lists more files than can be read. Pack its films into several ZIPs.")
            self._zip = zipfile.ZipFile(file or self.root)
            members = {info.filename.replace("\\", "/"): info for info in self._zip.infolist()}
        except _ZIP_ERRORS as error:
            raise DatasetError(f"{root.name} is damaged or is no ZIP. Pack or download it again.") from error
        members = {name: info for name, info in members.items() if _wanted(name)}
        if any(info.flag_bits & 1 for info in members.values()):
            raise DatasetError(f"{root.name} is protected by a password. Pack it again without one.")
        prefix = wrapping_folder(members, eager=True)
        self._members = {name.removeprefix(prefix): info for name, info in members.items() if name.startswith(prefix)}

    def names(self) -> list[str]:
        """Paths of all files that are not hidden, sorted, without the folder wrapped around them."""
        return sorted(self._members)

    def unpacked_bytes(self) -> int:
        """What all members take when they are unpacked; no more of each is ever read."""
        return sum(min(info.file_size, MAX_BYTES) for info in self._members.values())

    def paths_outside(self, paths: Iterable[str]) -> list[str]:
        """Nothing: members that would leave the ZIP were never let in."""
        return []

    def read(self, path: str) -> bytes:
        """The bytes of one member; raises only `FilmError`."""
        member = self._members.get(path)
        if member is None:
            raise UnreadableFilm(MISSING)
        if member.file_size > MAX_BYTES:
            raise _too_large()
        try:
            with self._lock, self._zip.open(member) as stream:
                # No more than is announced: a member that says little and unfolds to much would be unfolded first.
                return _limited(stream.read(min(member.file_size, MAX_BYTES) + 1))
        except _ZIP_ERRORS:
            raise UnreadableFilm(DAMAGED_ZIP) from None


def _list_bytes(source: Path | IO[bytes]) -> int:
    """Size of a ZIP's list of members as its end says it: as much would be read of it. 0 where it is no ZIP."""
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
        file.seek(-min(file.seek(0, os.SEEK_END), _END_BYTES), os.SEEK_END)
        tail = file.read()
        file.seek(0)
    end = tail.rfind(b"PK\5\6")
    size = int.from_bytes(tail[end + 12 : end + 16], "little") if end >= 0 else 0
    wide = tail.rfind(b"PK\6\6", 0, end)
    return int.from_bytes(tail[wide + 40 : wide + 48], "little") if size == 0xFFFFFFFF and wide >= 0 else size


def _wanted(name: str) -> bool:
    return bool(name) and not (name.endswith("/") or leaves_folder(name) or _hidden(name))


def _limited(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise _too_large()
    return data


def _too_large() -> FilmTooLarge:
    return FilmTooLarge(f"This film is larger than {MAX_BYTES // 1_000_000} MB. Export it by itself.")


def open_store(root: str | Path) -> Folder | Archive:
    """The folder or ZIP at this place; a ZIP stays open for the next film."""
    root = Path(root)
    if root.is_dir():
        return Folder(root)
    try:
        state = root.stat()
    except OSError:
        raise UnreadableFilm(MISSING) from None
    return _archive(root, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _archive(root: Path, changed_ns: int, size: int) -> Archive:
    return Archive(root)
