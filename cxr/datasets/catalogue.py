"""The datasets that this installation knows by name: those a person added, and those in the folder CXR_DATA.

The list is one file of names and paths. A path is relative where the dataset was made here, for this
installation: such films go when the dataset is forgotten. All others are never touched.
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
from cxr.core.paths import data_dir, extra_data_dir
from cxr.datasets.archive import MANIFEST, SPLITS, may_be_film
from cxr.datasets.dataset import Dataset

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LIST = "datasets.json"
_TRIED = 8  # films of a new dataset, of which one must be a film
_DEPTH = 3  # folders below which no film is looked for when CXR_DATA is listed


@dataclass(frozen=True)
class DatasetEntry:
    """Where a dataset lies, and under which name it is offered."""

    name: str
    path: str
    created_here: bool = False  # it was made here, and goes when it is forgotten
    added: bool = True  # by a person; False where it was found in CXR_DATA

    @property
    def exists(self) -> bool:
        try:
            return Path(self.path).exists()
        except OSError:  # in a folder that may not be read
            return False


def entries() -> list[DatasetEntry]:
    """Every dataset on offer by name, those that a person added first."""
    added = sorted((_place(name, path) for name, path in _known().items()), key=lambda one: one.name)
    listed, names = {one.path for one in added}, {one.name for one in added}
    found = []
    for path in _found():
        if str(path) not in listed:
            found.append(DatasetEntry(_free(_name_of(path), names), str(path), added=False))
            names.add(found[-1].name)
    return [*added, *found]


def find_entry(name: str) -> DatasetEntry:
    for one in entries():
        if one.name == name:
            return one
    raise DatasetError(f"There is no dataset '{name}' in the list.")


def add(path: str | Path, name: str = "") -> DatasetEntry:
    """The folder, ZIP or manifest at this path, in the list from now on; without a name, under its own.

    It is opened, and a film of it is read, as any folder of folders looks like a dataset from outside.
    """
    authorize(Action.ADD_DATASET)  # before anything is said of what is there
    there = _resolved(path)
    _must_have_films(Dataset.open(there), there.name)
    name = name and _valid(name)
    with audited(Action.ADD_DATASET), _locked():
        known = _known()
        at = str(there)
        for other, its_path in known.items():
            if _place(other, its_path).path == at:
                if name in ("", other):
                    return _place(other, its_path)
                raise DatasetError(f"This dataset is in the list already, as '{other}'.")
        if name in known:
            raise DatasetError(f"There is already a dataset '{name}'. Choose another name.")
        name = name or _free(_name_of(there), known)
        _write(known | {name: at})
    return _place(name, at)


def create(name: str, fill: Callable[[Path], object], suffix: str = "") -> DatasetEntry:
    """A dataset of this installation's own: what `fill` writes at the path that it is given.

    In the list only once it is whole; where that fails or is broken off, nothing is left. A name that is
    taken gets a number.
    """
    with audited(Action.CREATE_DATASET):
        return _made(_valid(name), fill, suffix)


def _made(name: str, fill: Callable[[Path], object], suffix: str) -> DatasetEntry:
    aside = data_dir() / f".{uuid4().hex}"
    partial = aside / f"{name}{suffix}"  # by its own name, which a refusal quotes
    try:
        aside.mkdir(parents=True)
        fill(partial)
        _must_have_films(Dataset.open(partial), name)
        with _locked():
            known = _known()
            name = _free(name, {*known, *(path.name.removesuffix(suffix) for path in data_dir().iterdir())})
            partial.rename(data_dir() / f"{name}{suffix}")
            _write(known | {name: f"{name}{suffix}"})
    except OSError as error:
        raise DatasetError(f"'{name}' could not be written to {data_dir()}: {error.strerror or error}.") from error
    finally:
        _delete(aside)
    return _place(name, f"{name}{suffix}")


def remove(name: str) -> None:
    """Take a dataset off the list. Its films stay where they are, unless they were made here."""
    with audited(Action.REMOVE_DATASET):
        _forgotten(find_entry(name))


def _forgotten(gone: DatasetEntry) -> None:
    name = gone.name
    if not gone.added:
        raise DatasetError(f"'{name}' lies in the folder CXR_DATA; take it out of there.")
    with _locked():
        _write({other: path for other, path in _known().items() if other != name})
    path = Path(gone.path)
    if gone.created_here and path.exists():
        doomed = path.with_name(f".{uuid4().hex}")
        try:
            path.rename(doomed)
            _delete(doomed)
        except OSError as error:
            raise DatasetError(f"'{name}' is off the list, but {path} could not be deleted wholly.") from error


def to_valid_name(text: str) -> str:
    """The nearest to this text that can be a dataset's name."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower())[:60].strip("-._") or "films"


def _resolved(path: str | Path) -> Path:
    """The path as it is kept: absolute, and a folder's where it is the manifest of one."""
    text = str(path).strip().strip("\"'")
    if not text:
        raise DatasetError(f"Name a folder, a ZIP or a {MANIFEST} on this machine.")
    try:
        there = Path(text).expanduser().resolve()
        if not there.exists():
            raise DatasetError(f"There is nothing at {there}. Check the path.")
        if not os.access(there, os.R_OK):
            raise DatasetError(f"{there} may not be read. Ask its owner, or choose another place.")
    except (OSError, ValueError, RuntimeError) as error:
        raise DatasetError(f"'{text}' is not a path on this machine. Check it.") from error
    return there.parent if there.name == MANIFEST else there


def _must_have_films(dataset: Dataset, shown: str) -> None:
    """Some of the films, evenly spread, one of which must be readable."""
    reason = ""
    for i in range(0, len(dataset), len(dataset) // _TRIED + 1):
        try:
            dataset.read(i)
            return
        except FilmError as error:
            reason = str(error)
    raise DatasetError(f"{shown} has no films that can be read; of the last one tried: {reason}")


def _found() -> Iterator[Path]:
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


def _may_be_dataset(path: Path) -> bool:
    """True for a ZIP, a folder with a manifest, and one with a film in a folder of it; nothing is opened."""
    if path.is_file():
        return path.suffix.lower() == ".zip"
    if (path / MANIFEST).is_file():
        return True
    for here, folders, files in os.walk(path):
        depth = len(Path(here).relative_to(path).parts)
        folders[:] = [name for name in folders if not name.startswith(".")] if depth < _DEPTH else []
        if depth and any(not name.startswith(".") and may_be_film(name) for name in files):
            return True
    return False


def _name_of(path: Path) -> str:
    return to_valid_name(
        path.parent.name if path.suffix.lower() == ".csv" else path.stem if path.is_file() else path.name
    )


def _valid(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise DatasetError(
            f"'{name}' cannot be a dataset's name: use up to 64 lower-case letters, digits, dots, dashes and "
            "underscores, beginning with a letter or digit."
        )
    return name


def _free(name: str, taken: Iterable[str]) -> str:
    """The name, numbered where it is taken."""
    taken, free, number = set(taken), name, 1
    while free in taken:
        number += 1
        free = f"{name[:60]}-{number}"
    return free


def _place(name: str, path: str) -> DatasetEntry:
    own = not Path(path).is_absolute()
    return DatasetEntry(name, str(data_dir() / path), created_here=own)


def _known() -> dict[str, str]:
    """Name -> path, relative for datasets made here; a damaged list is none."""
    return {name: path for name, path in (_listed() or {}).items() if isinstance(path, str) and _stays(path)}


def _stays(path: str) -> bool:
    """True for an absolute path, and for a name in this installation's own data folder."""
    return Path(path).is_absolute() or (bool(path) and Path(path).name == path and not path.startswith("."))


def _listed() -> dict[str, Any] | None:
    """What the list holds; None where it is damaged."""
    try:
        known = json.loads((data_dir() / _LIST).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DatasetError(f"The list of datasets, {data_dir() / _LIST}, cannot be read.") from error
    except ValueError:
        return None
    return known if isinstance(known, dict) else None


def _write(known: dict[str, str]) -> None:
    path = data_dir() / _LIST
    if _listed() is None:
        path.replace(path.with_name(f"{_LIST}.damaged"))
    write_atomically(path, json.dumps(known, indent=2) + "\n")


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _locked() -> Iterator[None]:
    data_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(data_dir() / ".lock"):
        yield
