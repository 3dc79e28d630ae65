"""The datasets that this installation knows by name: those that were added, those in CXR_DATA, and the examples.

The list is a file of names and paths. A path is relative where the dataset was created here: its files are deleted
with it. All other files are never changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock

from cxr.core.access import Action, authorize
from cxr.core.atomic_files import write_atomically
from cxr.core.audit_trail import audited
from cxr.core.errors import DatasetError, FilmError
from cxr.core.paths import data_dir, examples_dir, extra_data_dir
from cxr.datasets.archive import MANIFEST, SPLITS, may_be_film
from cxr.datasets.dataset import Dataset

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LIST = "datasets.json"
_SAMPLE = 8  # files of a new dataset, of which one must be readable
_DEPTH = 3  # levels of folders that are searched in CXR_DATA


@dataclass(frozen=True)
class DatasetEntry:
    """A known dataset: its name and where it is."""

    name: str
    path: str
    created_here: bool = False  # its files are deleted when it is removed
    added: bool = True  # False for a dataset in CXR_DATA, and for the examples

    @property
    def exists(self) -> bool:
        """Whether there is something at its path."""
        try:
            return Path(self.path).exists()
        except OSError:  # in a folder that may not be read
            return False


def entries() -> list[DatasetEntry]:
    """All known datasets: the added ones by name, then those in CXR_DATA, then the examples."""
    added = sorted((_entry(name, path) for name, path in _stored_paths().items()), key=lambda entry: entry.name)
    paths, names = {entry.path for entry in added}, {entry.name for entry in added}
    extra = []
    for path in (*_extra_datasets(), *_examples()):
        if str(path) not in paths:
            extra.append(DatasetEntry(_free_name(_name_of(path), names), str(path), added=False))
            names.add(extra[-1].name)
    return [*added, *extra]


def find_entry(name: str) -> DatasetEntry:
    """The dataset of this name; DatasetError where there is none."""
    for entry in entries():
        if entry.name == name:
            return entry
    raise DatasetError(f"There is no dataset '{name}'.", code="unknown-name")


def add(path: str | Path, name: str = "") -> DatasetEntry:
    """Add the folder, ZIP or manifest at this path to the list, under its own name where none is given.

    It is opened and one of its files is read, as any folder of folders looks like a dataset from outside.
    """
    authorize(Action.ADD_DATASET)  # before anything is said about the path
    place = _resolved(path)
    _check_readable(Dataset.open(place), place.name)
    name = name and _valid(name)
    with audited(Action.ADD_DATASET), _locked():
        stored = _stored_paths()
        for other, other_path in stored.items():
            if _entry(other, other_path).path == str(place):
                if name in ("", other):
                    return _entry(other, other_path)
                raise DatasetError(f"This dataset was already added as '{other}'.", code="already-added")
        if name in stored:
            raise DatasetError(f"There is already a dataset '{name}'. Choose another name.", code="name-taken")
        name = name or _free_name(_name_of(place), stored)
        _write(stored | {name: str(place)})
    return _entry(name, str(place))


def create(name: str, fill: Callable[[Path], object], suffix: str = "") -> DatasetEntry:
    """Create a dataset in this installation: what `fill` writes to the path that it gets.

    It is listed only once it is complete; if that fails or is interrupted, nothing is left. A name that is taken gets a
    number.
    """
    with audited(Action.CREATE_DATASET):
        return _created(_valid(name), fill, suffix)


def _created(name: str, fill: Callable[[Path], object], suffix: str) -> DatasetEntry:
    workspace = data_dir() / f".{uuid4().hex}"
    partial = workspace / f"{name}{suffix}"  # by its own name, which errors quote
    try:
        workspace.mkdir(parents=True)
        fill(partial)
        _check_readable(Dataset.open(partial), name)
        with _locked():
            stored = _stored_paths()
            name = _free_name(name, {*stored, *(path.name.removesuffix(suffix) for path in data_dir().iterdir())})
            partial.rename(data_dir() / f"{name}{suffix}")
            _write(stored | {name: f"{name}{suffix}"})
    except OSError as error:
        raise DatasetError(
            f"'{name}' could not be written to {data_dir()}: {error.strerror or error}.", code="not-written"
        ) from error
    finally:
        _delete(workspace)
    return _entry(name, f"{name}{suffix}")


def remove(name: str) -> None:
    """Remove a dataset from the list. Its files are deleted only if it was created here."""
    with audited(Action.REMOVE_DATASET):
        _remove(find_entry(name))


def _remove(entry: DatasetEntry) -> None:
    name = entry.name
    if not entry.added:
        raise DatasetError(
            f"'{name}' was not added here: it is in the folder CXR_DATA or CXR_EXAMPLES, or came with the program.",
            code="in-extra-folder",
        )
    with _locked():
        _write({other: path for other, path in _stored_paths().items() if other != name})
    path = Path(entry.path)
    if entry.created_here and path.exists():
        discarded = path.with_name(f".{uuid4().hex}")
        try:
            path.rename(discarded)
            _delete(discarded)
        except OSError as error:
            raise DatasetError(
                f"'{name}' was removed, but some files of {path} could not be deleted.", code="not-deleted"
            ) from error


def to_valid_name(text: str) -> str:
    """A valid dataset name made of this text."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower())[:60].strip("-._") or "films"


def _resolved(path: str | Path) -> Path:
    """The path as it is stored: absolute, and the folder where it is the manifest of one."""
    text = str(path).strip().strip("\"'")
    if not text:
        raise DatasetError(f"Enter the path of a folder, a ZIP or a {MANIFEST} on this computer.", code="no-path")
    try:
        place = Path(text).expanduser().resolve()
        if not place.exists():
            raise DatasetError(f"There is nothing at {place}. Check the path.", code="nothing-there")
        if not os.access(place, os.R_OK):
            raise DatasetError(f"There is no permission to read {place}. Choose another path.", code="no-permission")
    except (OSError, ValueError, RuntimeError) as error:
        raise DatasetError(f"'{text}' is not a path on this computer.", code="not-a-path") from error
    return place.parent if place.name == MANIFEST else place


def _check_readable(dataset: Dataset, name: str) -> None:
    """Raise DatasetError where none of a few files, evenly spread, can be read."""
    reason = ""
    for i in range(0, len(dataset), len(dataset) // _SAMPLE + 1):
        try:
            dataset.read(i)
            return
        except FilmError as error:
            reason = str(error)
    raise DatasetError(f"{name} has no readable X-rays. {reason}", code="no-readable-films")


def _extra_datasets() -> Iterator[Path]:
    """The datasets in CXR_DATA, or that folder itself where it is one."""
    folder = extra_data_dir()
    try:
        inside = sorted(folder.iterdir()) if folder else []
    except OSError:
        return
    if folder and any(path.name == MANIFEST or (path.name.lower() in SPLITS and path.is_dir()) for path in inside):
        yield folder
        return
    for path in inside:
        if not path.name.startswith(".") and _may_be_dataset(path):
            yield path


def _examples() -> Iterator[Path]:
    """The folder of examples, where it has a manifest."""
    folder = examples_dir()
    if folder and (folder / MANIFEST).is_file():
        yield folder


def _may_be_dataset(path: Path) -> bool:
    """True for a ZIP, a folder with a manifest, and one with a subfolder that has an image; no file is opened."""
    if path.is_file():
        return path.suffix.lower() == ".zip"
    if (path / MANIFEST).is_file():
        return True
    for folder, folders, files in os.walk(path):
        depth = len(Path(folder).relative_to(path).parts)
        folders[:] = [name for name in folders if not name.startswith(".")] if depth < _DEPTH else []
        if depth and any(not name.startswith(".") and may_be_film(name) for name in files):
            return True
    return False


def _name_of(path: Path) -> str:
    """The name of the folder or ZIP at this path, or of the manifest's folder."""
    if path.suffix.lower() == ".csv":
        return to_valid_name(path.parent.name)
    return to_valid_name(path.stem if path.is_file() else path.name)


def _valid(name: str) -> str:
    """The name; DatasetError where it is invalid."""
    if not _NAME.fullmatch(name):
        raise DatasetError(
            f"'{name}' is not a valid name: use up to 64 lowercase letters, digits, dots, dashes and underscores, "
            "starting with a letter or digit.",
            code="invalid-name",
        )
    return name


def _free_name(name: str, taken: Iterable[str]) -> str:
    """The name, with a number where it is taken."""
    taken, free, number = set(taken), name, 1
    while free in taken:
        number += 1
        free = f"{name[:60]}-{number}"
    return free


def _entry(name: str, path: str) -> DatasetEntry:
    """The entry of a stored name and path."""
    return DatasetEntry(name, str(data_dir() / path), created_here=not Path(path).is_absolute())


def _stored_paths() -> dict[str, str]:
    """The stored paths by name, relative for datasets created here; empty where the list is damaged."""
    return {name: path for name, path in (_stored_list() or {}).items() if isinstance(path, str) and _is_safe(path)}


def _is_safe(path: str) -> bool:
    """True for an absolute path, and for a name in this installation's data folder."""
    return Path(path).is_absolute() or (bool(path) and Path(path).name == path and not path.startswith("."))


def _stored_list() -> dict[str, Any] | None:
    """The content of the list; None where it is damaged."""
    try:
        stored = json.loads((data_dir() / _LIST).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DatasetError(f"The list of datasets, {data_dir() / _LIST}, cannot be read.", code="list") from error
    except ValueError:
        return None
    return stored if isinstance(stored, dict) else None


def _write(paths: dict[str, str]) -> None:
    """Store the list; a damaged one is renamed, not overwritten."""
    path = data_dir() / _LIST
    if _stored_list() is None:
        path.replace(path.with_name(f"{_LIST}.damaged"))
    write_atomically(path, json.dumps(paths, indent=2) + "\n")


def _delete(path: Path) -> None:
    """Delete a file or a folder with all that is in it."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _locked() -> Iterator[None]:
    """Hold the lock on the list."""
    data_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(data_dir() / ".lock"):
        yield
