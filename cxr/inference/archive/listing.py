"""The files of an archive, in a fixed order: a folder, a ZIP, a manifest, or a list of paths, whatever its size.

They are listed once, into a file with one line for each, from which a reading that was interrupted goes on. A line is a
path as JSON has it, since file names may hold any character.
"""

from __future__ import annotations

import codecs
import csv
import json
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from cxr.core.atomic_files import atomic_path
from cxr.core.bounded_files import is_folder, is_regular
from cxr.core.csv_files import original_cell
from cxr.core.errors import DatasetError, FilmError, StorageError, UnreadableFilm
from cxr.core.remote_files import AnyPath, RemotePath, absolute, is_remote
from cxr.datasets.archive import Folder, leaves_folder, may_be_film, open_store
from cxr.films.film import read_bytes
from cxr.films.header_limits import MAX_BYTES
from cxr.films.read_failure import ReadFailure

MOST_SORTED = 100_000  # files of one folder; the names of a larger one would take much memory
MOST_LINE_BYTES = 10_000
ReadFile = Callable[[str], bytes]  # raises only FilmError


def film_paths(source: AnyPath) -> Iterator[str]:
    """The paths of all files that may be X-rays, one after the other; relative to the source where they lie in it."""
    if is_folder(source):
        return _in_folder(absolute(source), "")
    if not is_regular(source):
        raise DatasetError(f"There is no folder, ZIP, manifest or list of files at {source.name}.", code="no-archive")
    if source.suffix.lower() == ".csv":
        return _in_manifest(source)
    if _is_zip(source):
        return (name for name in open_store(_on_this_computer(source), keeps_all=True).names() if may_be_film(name))
    return _in_list(source)


def file_reader(source: AnyPath) -> ReadFile:
    """What reads the bytes of a file of this archive by its path."""
    if is_folder(source):
        return _reader_in(source)
    if source.suffix.lower() == ".csv":
        return _reader_in(source.parent)
    if _is_zip(source):
        return open_store(_on_this_computer(source), keeps_all=True).read
    folder = absolute(source).parent
    return lambda path: _read(_remote(path) if is_remote(path) else folder / path)


def write_listing(source: AnyPath, target: AnyPath, progress: Callable[[int], None]) -> int:
    """How many files were listed into the target, which is complete or absent; `progress` is told the count so far."""
    count = 0
    with atomic_path(target, durable=True) as partial, partial.open("w", encoding="utf-8") as file:
        for path in film_paths(source):
            file.write(json.dumps(path) + "\n")
            count += 1
            if count % 1000 == 0:
                progress(count)
    return count


def listed_from(listing: AnyPath, first: int) -> Iterator[tuple[int, str]]:
    """The number and path of each listed file, from the one with the number `first` on."""
    with listing.open(encoding="utf-8") as file:
        for number, line in enumerate(islice(file, first, None), first):
            yield number, json.loads(line)


def _reader_in(folder: AnyPath) -> ReadFile:
    if not isinstance(folder, Path):
        return lambda path: _read(folder / path)
    read = Folder(folder).read

    def read_while_there(path: str) -> bytes:
        try:
            return read(path)
        except FilmError:
            if not is_folder(folder):  # a drive that is gone makes no file unreadable for good
                sentence = f"The folder {folder.name} is gone. Resume the job when it is there again."
                raise StorageError(sentence, code="folder-gone") from None
            raise

    return read_while_there


def _remote(url: str) -> RemotePath:
    """The file at a URL of a list; FilmError where it cannot be one, as the other lines may be right."""
    try:
        return RemotePath(url)
    except StorageError as error:
        raise UnreadableFilm(str(error), code="url") from None


def _read(path: AnyPath) -> bytes:
    """The bytes of a file; FilmError where it has none, StorageError where the object store cannot be reached."""
    if isinstance(path, Path):
        return read_bytes(path)
    try:
        data = path.read_at_most(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ReadFailure.NO_SUCH_FILE.error from None
    except OSError as error:
        if "ACCESS_DENIED" in str(error):
            raise ReadFailure.NO_PERMISSION.error from None
        raise StorageError("The object store cannot be reached. Resume the job when it can.", code="remote") from error
    return read_bytes(data)


def _is_zip(source: AnyPath) -> bool:
    with source.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _on_this_computer(source: AnyPath) -> Path:
    if isinstance(source, RemotePath):
        raise DatasetError("A ZIP in an object store cannot be read in place. Unpack it there.", code="remote-zip")
    return source.resolve()


def _entries(folder: AnyPath) -> Generator[tuple[str, bool], None, None]:
    """The name of each that lies in the folder and is no link to one, and whether it is a folder."""
    if isinstance(folder, RemotePath):
        yield from folder.entries()
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.is_symlink() and entry.is_dir()):
                yield entry.name, entry.is_dir(follow_symlinks=False)


def _in_folder(root: AnyPath, prefix: str) -> Iterator[str]:
    """The files under a folder, each folder's in order; hidden ones and links to folders are left out."""
    folders, files, unsorted = [], [], False
    with closing(_entries(root / prefix.rstrip("/") if prefix else root)) as entries:
        for name, is_subfolder in entries:
            if name.startswith(".") or name == "__MACOSX":
                continue
            if is_subfolder:
                folders.append(name)
            elif may_be_film(prefix + name):
                files.append(name)
            if len(files) == MOST_SORTED:  # in the order of the file system, so that no more is kept
                unsorted = True
                yield from (prefix + name for name in files)
                files.clear()
    yield from (prefix + name for name in (files if unsorted else sorted(files)))
    for name in sorted(folders):
        yield from _in_folder(root, f"{prefix}{name}/")


def _in_manifest(source: AnyPath) -> Iterator[str]:
    """The column `path` of a manifest, row by row."""
    with source.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        try:
            reader = csv.DictReader(file)
            if "path" not in (reader.fieldnames or ()):
                raise DatasetError(f"{source.name} has no column 'path'.", code="missing-column")
            for row in reader:
                path = original_cell((row["path"] or "").strip()).replace("\\", "/").removeprefix("./")
                if leaves_folder(path):
                    raise DatasetError(f"{source.name} lists files outside its folder.", code="outside-folder")
                if path:
                    yield path
        except csv.Error as error:
            raise DatasetError(f"{source.name} cannot be read as a table: {error}.", code="not-a-table") from error


def _in_list(source: AnyPath) -> Iterator[str]:
    """The lines of a list of paths."""
    with source.open("rb") as file:
        while line := file.readline(MOST_LINE_BYTES):
            if b"\0" in line or len(line) == MOST_LINE_BYTES:
                raise DatasetError(
                    f"{source.name} is not a list of paths, one a line. For single files, use cxr predict.",
                    code="not-a-list",
                )
            if path := os.fsdecode(line.removeprefix(codecs.BOM_UTF8)).strip():
                yield path
