"""A film that was judged once is found again: wherever in the catalogue it lies, known by its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from cxr.core.errors import CxrError, UnreadableFilm
from cxr.datasets import catalogue
from cxr.datasets.archive import open_store
from cxr.datasets.dataset import Dataset
from cxr.films.film import film_id

UNNAMED = "The scores came without the films' names, as those of an imported model do, so this film cannot be found."
NOWHERE = "This film is in none of the datasets listed here. Add its dataset on the page Data."
CHANGED = "The file in this film's place has changed since it was judged, so it is not shown."


def find_film(dataset: str, path: str, digest: str) -> bytes:
    """The film's file, with the very bytes that were judged; raises only `FilmError`."""
    if not path or not digest:
        raise UnreadableFilm(UNNAMED)
    changed = False
    for name, root in _roots():
        try:
            data = open_store(root).read(path)
        except CxrError:  # not there, or no longer a dataset
            continue
        if film_id(data) == digest:
            return data
        changed |= name == dataset
    raise UnreadableFilm(CHANGED if changed else NOWHERE)


def _roots() -> Iterator[tuple[str, str]]:
    """The name of each dataset in the catalogue as scores have it, and where its paths begin."""
    for place in catalogue.entries():
        with suppress(OSError, CxrError):  # moved away, or no longer a dataset
            yield _root(place.path, Path(place.path).stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _root(path: str, changed_ns: int) -> tuple[str, str]:
    dataset = Dataset.open(path)
    return dataset.name, str(dataset.table["root"].iat[0])
