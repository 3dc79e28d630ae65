"""The files of an archive, in a fixed order: a folder, a ZIP, a manifest, or a list of paths, whatever its size.

They are listed once, into a file with one line for each, from which a reading that was interrupted goes on. A line is a
path as JSON has it, since file names may hold any character.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from cxr.core.atomic_files import atomic_path
from cxr.core.bounded_files import is_folder, is_regular
from cxr.core.csv_files import original_cell
from cxr.core.errors import DatasetError
from cxr.datasets.archive import Folder, leaves_folder, may_be_film, open_store
from cxr.films.film import read_bytes

MOST_SORTED = 100_000  # files of one folder; the names of a larger one would take much memory
MOST_LINE_BYTES = 10_000
ReadFile = Callable[[str], bytes]  # raises only FilmError


def film_paths(source: Path) -> Iterator[str]:
    """The paths of all files that may be X-rays, one after the other; relative to the source where they lie in it."""
    if is_folder(source):
        return _in_folder(source.resolve(), "")
    if not is_regular(source):
        raise DatasetError(f"There is no folder, ZIP, manifest or list of files at {source.name}.", code="no-archive")
    if source.suffix.lower() == ".csv":
        return _in_manifest(source)
    if _is_zip(source):
        return (name for name in open_store(source.resolve()).names() if may_be_film(name))
    return _in_list(source)


def file_reader(source: Path) -> ReadFile:
    """What reads the bytes of a file of this archive by its path."""
    if is_folder(source):
        return Folder(source).read
    if source.suffix.lower() == ".csv":
        return Folder(source.parent).read
    if _is_zip(source):
        return open_store(source.resolve()).read
    folder = source.resolve().parent
    return lambda path: read_bytes(folder / path)


def write_listing(source: Path, target: Path, progress: Callable[[int], None]) -> int:
    """How many files were listed into the target, which is complete or absent; `progress` is told the count so far."""
    count = 0
    with atomic_path(target, durable=True) as partial, partial.open("w", encoding="utf-8") as file:
        for path in film_paths(source):
            file.write(json.dumps(path) + "\n")
            count += 1
            if count % 1000 == 0:
                progress(count)
    return count


def listed_from(listing: Path, first: int) -> Iterator[tuple[int, str]]:
    """The number and path of each listed file, from the one with the number `first` on."""
    with listing.open(encoding="utf-8") as file:
        for number, line in enumerate(islice(file, first, None), first):
            yield number, json.loads(line)


def _is_zip(source: Path) -> bool:
    with source.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _in_folder(root: Path, prefix: str) -> Iterator[str]:
    """The files under a folder, each folder's in order; hidden ones and links to folders are left out."""
    folders, files, unsorted = [], [], False
    with os.scandir(root / prefix) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif may_be_film(prefix + entry.name):
                files.append(entry.name)
            if len(files) == MOST_SORTED:  # in the order of the file system, so that no more is kept
                unsorted = True
                yield from (prefix + name for name in files)
                files.clear()
    yield from (prefix + name for name in (files if unsorted else sorted(files)))
    for name in sorted(folders):
        yield from _in_folder(root, f"{prefix}{name}/")


def _in_manifest(source: Path) -> Iterator[str]:
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


def _in_list(source: Path) -> Iterator[str]:
    """The lines of a list of paths."""
    with source.open("rb") as file:
        while line := file.readline(MOST_LINE_BYTES):
            if b"\0" in line or len(line) == MOST_LINE_BYTES:
                raise DatasetError(
                    f"{source.name} is not a list of paths, one a line. For single files, use cxr predict.",
                    code="not-a-list",
                )
            if path := os.fsdecode(line).strip():
                yield path
