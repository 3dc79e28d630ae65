"""The file of a film that was evaluated before, found in the known datasets by its path and checked by its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from cxr.core.errors import CxrError, UnreadableFilm
from cxr.datasets import catalog
from cxr.datasets.archive import open_store
from cxr.datasets.dataset import Dataset
from cxr.films.film import film_id

NO_PATH = "The scores have no file names, as those of an imported model, so this X-ray cannot be found."
NOT_FOUND = "This X-ray is in none of the datasets here. Add its dataset on the page Data."
CHANGED = "The file of this X-ray has changed since the evaluation, so it is not shown."


def find_film(dataset: str, path: str, digest: str) -> bytes:
    """The bytes of the film's file, the same that were evaluated; raises only `FilmError`."""
    if not path or not digest:
        raise UnreadableFilm(NO_PATH, code="no-path")
    changed = False
    for name, root in _roots():
        try:
            data = open_store(root).read(path)
        except CxrError:  # not there, or no longer a dataset
            continue
        if film_id(data) == digest:
            return data
        changed |= name == dataset
    if changed:
        raise UnreadableFilm(CHANGED, code="changed")
    raise UnreadableFilm(NOT_FOUND, code="not-found")


def _roots() -> Iterator[tuple[str, str]]:
    """The name of each known dataset as scores have it, and the folder or ZIP that its paths start from."""
    for entry in catalog.entries():
        with suppress(OSError, CxrError):  # moved away, or no longer a dataset
            yield _root(entry.path, Path(entry.path).stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _root(path: str, changed_ns: int) -> tuple[str, str]:
    """Name and root of the dataset at this path, cached until its place changes."""
    dataset = Dataset.open(path)
    return dataset.name, str(dataset.table["root"].iat[0])
