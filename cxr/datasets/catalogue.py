"""The datasets that this installation knows by name: those a person added, and those in the folder CXR_DATA."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from filelock import FileLock

from cxr.datasets.dataset import Dataset
from cxr.errors import DatasetError
from cxr.home import data_dir, extra_data_dir

_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")
_LIST = "datasets.json"


@dataclass(frozen=True)
class Place:
    """Where a dataset lies, and under which name it is offered."""

    name: str
    path: str
    own: bool  # it lies in this installation's own folder, and goes when it is forgotten
    added: bool = True  # by a person; False where it was found in CXR_DATA

    @property
    def there(self) -> bool:
        return Path(self.path).exists()


def places() -> list[Place]:
    """Every dataset on offer, by name; those that a person added go before those found in CXR_DATA."""
    found = {place.name: place for place in _found()}
    for name, path in _added().items():
        found[name] = Place(name, path, own=Path(path).is_relative_to(data_dir()))
    return sorted(found.values(), key=lambda place: (not place.added, place.name))


def place(name: str) -> Place:
    for one in places():
        if one.name == name:
            return one
    raise DatasetError(f"There is no dataset '{name}' in the list.")


def add(path: str | Path, name: str | None = None) -> Place:
    """The folder, ZIP or manifest at this path, opened once to see that it is a dataset, in the list from now on."""
    path = Path(path).expanduser().resolve()
    Dataset.open(path)
    wanted = name or _name_of(path)
    if not _NAME.match(wanted):
        raise DatasetError(
            f"'{wanted}' cannot be a dataset's name: use up to 64 lower-case letters, digits, dots, dashes and "
            "underscores, beginning with a letter or digit."
        )
    with _locked():
        known = _added()
        if known.get(wanted, str(path)) != str(path):
            if name:
                raise DatasetError(f"There is already a dataset '{wanted}'. Choose another name.")
            wanted = next(f"{wanted}-{n}" for n in range(2, 1000) if f"{wanted}-{n}" not in known)
        _write(known | {wanted: str(path)})
    return place(wanted)


def new_folder(name: str) -> Path:
    """A path in this installation's own data folder that nothing has yet."""
    data_dir().mkdir(parents=True, exist_ok=True)
    names = (name, *(f"{name}-{n}" for n in range(2, 1000)))
    return next(data_dir() / one for one in names if not (data_dir() / one).exists())


def forget(name: str) -> None:
    """Take a dataset off the list. Its films stay where they are, unless this installation made the copy."""
    gone = place(name)
    if not gone.added:
        raise DatasetError(f"'{name}' lies in the folder CXR_DATA; take it out of there.")
    with _locked():
        _write({other: path for other, path in _added().items() if other != name})
    path = Path(gone.path)
    if gone.own and path != data_dir():
        doomed = path.with_name(f".{path.name}.{uuid4().hex}")
        path.rename(doomed)
        shutil.rmtree(doomed) if doomed.is_dir() else doomed.unlink()


def _found() -> Iterator[Place]:
    folder = extra_data_dir()
    if folder is None or not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith(".") and (path / "manifest.csv").is_file():
            yield Place(_name_of(path), str(path), own=False, added=False)


def _name_of(path: Path) -> str:
    stem = path.parent.name if path.suffix.lower() == ".csv" else path.stem if path.is_file() else path.name
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:60] or "films"


def _added() -> dict[str, str]:
    """Name -> path; a list that cannot be read counts as none."""
    try:
        known = json.loads((data_dir() / _LIST).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(path) for name, path in known.items()} if isinstance(known, dict) else {}


def _write(known: dict[str, str]) -> None:
    path = data_dir() / _LIST
    partial = path.with_name(f".{path.name}.{uuid4().hex}")
    partial.write_text(json.dumps(known, indent=2) + "\n", "utf-8")
    partial.replace(path)


@contextmanager
def _locked() -> Iterator[None]:
    data_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(data_dir() / ".lock"):
        yield
