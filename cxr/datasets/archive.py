"""The files of a dataset in a folder or a ZIP, both read in place."""

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

from cxr.core.bounded_files import open_regular, zip_directory_bytes
from cxr.core.errors import DatasetError, FilmTooLarge, UnreadableFilm
from cxr.films.header_limits import MAX_BYTES

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
NON_FILM_SUFFIXES = (
    *(".csv", ".tsv", ".txt", ".md", ".rst", ".json", ".jsonl", ".xml", ".html", ".htm", ".yml", ".yaml"),
    *(".toml", ".ini", ".log", ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".py", ".ipynb", ".js", ".css"),
    *(".sh", ".bat", ".db", ".zip", ".gz", ".tar", ".7z", ".rar", ".npy", ".npz", ".h5", ".keras"),
)
MASKS = frozenset({"mask", "masks"})  # as the COVID-19 Radiography Database has them beside its images
MISSING = "The file is listed in the dataset but is missing."
OUTSIDE_FOLDER = "The file's path leads out of the dataset's folder."
DAMAGED_ZIP = "This part of the ZIP is damaged. Create or download the ZIP again."
NO_PERMISSION = "The file cannot be opened. Check its permissions."
TOO_LARGE = f"The file is larger than {MAX_BYTES // 1_000_000} MB. Export a single X-ray."

MAX_LIST_BYTES = 100_000_000  # of a ZIP's directory: about a million members

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
    """True for a path that is absolute or goes up a folder."""
    return bool(re.match(r"/|[A-Za-z]:", path)) or ".." in path.split("/") or "\0" in path


def may_be_film(path: str) -> bool:
    """True unless the name says otherwise; the content is checked only when the file is read."""
    *folders, name = path.split("/")
    return not name.lower().endswith(NON_FILM_SUFFIXES) and not MASKS & {part.lower() for part in folders}


def wrapping_folder(names: Iterable[str], eager: bool, keeps_all: bool = False) -> str:
    """The path of the folders that only wrap a dataset, as `chest_xray/`; empty where there are none.

    A single top folder is such a one where it has a manifest or split folders in it; in an eager search also where
    it has no film directly in it, as in a ZIP with one folder per class. What lies beside it is no part of a dataset;
    where all is to be kept, a folder with films beside it wraps nothing.
    """
    inner = [name for name in names if may_be_film(name) or name.endswith(MANIFEST)]
    prefix = ""
    while MANIFEST not in inner:
        splits = {top for top in (name.split("/", 1)[0] for name in inner) if top.lower() in SPLITS}
        tops = {name.split("/", 1)[0] for name in inner if "/" in name}
        if splits or len(tops) != 1 or (keeps_all and any("/" not in name for name in inner)):
            break
        top = tops.pop() + "/"
        inside = [name.removeprefix(top) for name in inner if name.startswith(top)]
        folders = {name.split("/", 1)[0].lower() for name in inside if "/" in name}
        has_films = any("/" not in name and name != MANIFEST for name in inside)
        if not (MANIFEST in inside or folders & set(SPLITS) or (eager and not has_films)):
            break
        prefix, inner = prefix + top, inside
    return prefix


def _hidden(path: str) -> bool:
    """True for hidden files, those in hidden folders, and those that macOS adds to a ZIP."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.split("/"))


class Folder:
    """The files under a folder."""

    def __init__(self, root: Path, max_bytes: int = MAX_BYTES) -> None:
        self.root, self._max_bytes = root.resolve(), max_bytes

    def names(self) -> list[str]:
        """Paths of all files that are not hidden, sorted, with `/` between the parts."""
        names = []
        for path, folders, files in os.walk(self.root):
            folders[:] = [folder for folder in folders if not _hidden(folder)]
            prefix = Path(path).relative_to(self.root).as_posix()
            prefix = "" if prefix == "." else prefix + "/"
            names += [prefix + name for name in files if not _hidden(name)]
        return sorted(names)

    def paths_outside(self, paths: Iterable[str]) -> list[str]:
        """Those of these paths that lead out of the folder by a symbolic link.

        Each folder is scanned once, as resolving 50,000 files would take seconds.
        """
        by_folder = defaultdict(list)
        for path in paths:
            by_folder[path.rpartition("/")[0]].append(path)
        outside = []
        for folder, films in by_folder.items():
            directory = self.root / folder
            if not self._holds(directory):
                outside += films
            elif directory.is_dir():
                with os.scandir(directory) as entries:
                    links = {entry.name for entry in entries if entry.is_symlink()}
                linked = [film for film in films if film.rpartition("/")[2] in links] if links else []
                outside += [film for film in linked if not self._holds(self.root / film)]
        return outside

    def read(self, path: str) -> bytes:
        """The bytes of one file; raises only `FilmError`."""
        try:
            file = self.root / path
            if leaves_folder(path) or not self._holds(file):
                raise UnreadableFilm(OUTSIDE_FOLDER, code="outside-folder")
            if not file.is_file():
                raise UnreadableFilm(MISSING, code="missing")
            with open_regular(file) as stream:
                return _limited(stream.read(self._max_bytes + 1) or b"", self._max_bytes)
        except (OSError, ValueError):
            raise UnreadableFilm(NO_PERMISSION, code="no-permission") from None

    def _holds(self, path: Path) -> bool:
        """Whether the path is inside the folder, symbolic links followed."""
        return path.resolve().is_relative_to(self.root)


class Archive:
    """The files in a ZIP, on disk or in memory, which is opened once and read by several threads in turn.

    They are those of the dataset that it holds, or all of them where `keeps_all` says so.
    """

    def __init__(
        self,
        root: Path,
        file: IO[bytes] | None = None,
        max_bytes: int = MAX_BYTES,
        max_list_bytes: int = MAX_LIST_BYTES,
        keeps_all: bool = False,
    ) -> None:
        self.root, self._max_bytes = root.resolve(), max_bytes
        self._lock = threading.Lock()
        try:
            if _list_bytes(file or self.root) > max_list_bytes:  # so much would be read at once
                raise DatasetError(
                    f"{root.name} has too many files. Split it into several ZIPs.", code="too-many-files"
                )
            self._zip = zipfile.ZipFile(file or self.root)
            members = {info.filename.replace("\\", "/"): info for info in self._zip.infolist()}
        except _ZIP_ERRORS as error:
            raise DatasetError(
                f"{root.name} is damaged or not a ZIP. Create or download it again.", code="damaged-zip"
            ) from error
        members = {name: info for name, info in members.items() if _wanted(name)}
        if any(info.flag_bits & 1 for info in members.values()):
            raise DatasetError(f"{root.name} has a password. Create the ZIP without one.", code="password")
        prefix = wrapping_folder(members, eager=True, keeps_all=keeps_all)
        self._members = {name.removeprefix(prefix): info for name, info in members.items() if name.startswith(prefix)}

    def names(self) -> list[str]:
        """Paths of all files that are not hidden, sorted, without folders that only wrap the dataset."""
        return sorted(self._members)

    def unpacked_bytes(self) -> int:
        """The size of all members unpacked; never more of them is read."""
        return sum(min(info.file_size, self._max_bytes) for info in self._members.values())

    def paths_outside(self, paths: Iterable[str]) -> list[str]:
        """An empty list: members with paths outside the ZIP are never included."""
        return []

    def read(self, path: str) -> bytes:
        """The bytes of one member; raises only `FilmError`."""
        member = self._members.get(path)
        if member is None:
            raise UnreadableFilm(MISSING, code="missing")
        if member.file_size > self._max_bytes:
            raise FilmTooLarge(TOO_LARGE)
        try:
            with self._lock, self._zip.open(member) as stream:
                # No more than declared: a member may declare little and unpack to much.
                return _limited(stream.read(min(member.file_size, self._max_bytes) + 1), self._max_bytes)
        except _ZIP_ERRORS:
            raise UnreadableFilm(DAMAGED_ZIP, code="damaged-zip") from None


def _list_bytes(source: Path | IO[bytes]) -> int:
    with open_regular(source) if isinstance(source, Path) else nullcontext(source) as file:
        return zip_directory_bytes(file)


def _wanted(name: str) -> bool:
    """True for members that are files, not hidden, with paths inside the ZIP."""
    return bool(name) and not (name.endswith("/") or leaves_folder(name) or _hidden(name))


def _limited(data: bytes, max_bytes: int) -> bytes:
    if len(data) > max_bytes:
        raise FilmTooLarge(TOO_LARGE)
    return data


def open_store(root: str | Path, keeps_all: bool = False) -> Folder | Archive:
    """The folder or ZIP at this path; a ZIP stays open for the next film."""
    root = Path(root)
    if root.is_dir():
        return Folder(root)
    try:
        state = root.stat()
    except OSError:
        raise UnreadableFilm(MISSING, code="missing") from None
    return _archive(root, state.st_mtime_ns, state.st_size, keeps_all)


@lru_cache(maxsize=8)
def _archive(root: Path, changed_ns: int, size: int, keeps_all: bool) -> Archive:
    return Archive(root, keeps_all=keeps_all)
