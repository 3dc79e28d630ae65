"""Sources of X-rays to be read: files on disk, uploads (with the members of ZIPs), and examples."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from PIL import Image

from cxr.core.errors import DatasetError, FilmError, FilmTooLarge, UnreadableFilm
from cxr.core.number_format import gigabytes
from cxr.datasets.archive import Archive, may_be_film
from cxr.datasets.labels import display_name
from cxr.films.film import Film, read_bytes
from cxr.films.isolation.pool import decoder_pool

MAX_ZIP_FILMS = 2000  # of one ZIP
MAX_UNPACKED_BYTES = 4_000_000_000  # of its films together
SYNTHETIC_LABELS = ("normal", "bacterial", "viral", "covid19")
THUMBNAILS = Path(__file__).with_name("example_thumbnails")  # of the synthetic ones: to draw them all takes a second
_EXAMPLE_SEED, _EXAMPLE_PX = 20, 512


@dataclass(frozen=True)
class Reference:
    """What is known of an example: its label, whether it is of a child or an adult, and where it comes from."""

    label: str
    age_group: str
    credit: str  # its authors and license, in a sentence


class Decode(Protocol):
    """Makes a film of a file's bytes, on request with its full gray depth."""

    def __call__(self, data: bytes, deep: bool = False, /) -> Film:
        """The film in these bytes; raises only `FilmError`."""
        ...


@dataclass(frozen=True)
class FilmSource:
    """An X-ray that is to be read: its key, its name, and its bytes on demand."""

    key: str
    name: str
    read: Callable[[], bytes]  # raises only FilmError
    decode: Decode = Film.read  # raises only FilmError
    synthetic: bool = False
    id_suffix: str = ""  # added to the digest of its bytes where it is read with a correction
    thumbnail: Path | None = None  # a small JPEG, where drawing one would delay the first page
    reference: Reference | None = None  # of a labeled example
    original: FilmSource | None = None  # of a corrected X-ray
    remote: bool = False  # fetched from another machine: what fails now may succeed later


def source_on_disk(path: Path) -> FilmSource:
    """The source that is this file."""
    return FilmSource(str(path), str(path), partial(read_bytes, path))


def sources_from_upload(key: str, name: str, data: bytes, max_films: int = MAX_ZIP_FILMS) -> list[FilmSource]:
    """The X-rays in an uploaded file: itself, or a ZIP's members, each unpacked in memory when it is read.

    Uploads are never trusted: they are decoded in a process of their own.
    """
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return [FilmSource(key, name, partial(read_bytes, data), decoder_pool().read)]
    try:
        archive = Archive(Path(name), io.BytesIO(data), keeps_all=True)
    except DatasetError as error:
        return [_unreadable(key, name, UnreadableFilm(str(error)))]
    members = [member for member in archive.names() if may_be_film(member)]
    if not members:
        return [_unreadable(key, name, UnreadableFilm("This ZIP contains no X-rays.", code="empty-zip"))]
    if len(members) > max_films:
        sentence = f"This ZIP contains {len(members)} files. Upload at most {max_films} at once."
        return [_unreadable(key, name, FilmTooLarge(sentence, code="zip-files"))]
    if archive.unpacked_bytes() > MAX_UNPACKED_BYTES:
        sentence = f"This ZIP unpacks to more than {gigabytes(MAX_UNPACKED_BYTES)}. Upload fewer X-rays at once."
        return [_unreadable(key, name, FilmTooLarge(sentence, code="zip-bytes"))]
    decode = decoder_pool().read
    return [FilmSource(f"{key}/{member}", member, partial(archive.read, member), decode) for member in members]


def synthetic_sources() -> list[FilmSource]:
    """A synthetic X-ray of each class."""
    return [
        FilmSource(
            f"drawn/{label}",
            f"Synthetic: {display_name(label)}",
            partial(_phantom, label),
            synthetic=True,
            thumbnail=THUMBNAILS / f"{label}.jpg",
        )
        for label in SYNTHETIC_LABELS
    ]


def _phantom(label: str) -> bytes:
    from cxr.films.synthetic.phantom import draw_phantom  # late: it imports SciPy, which the first page does without

    file = io.BytesIO()
    Image.fromarray(draw_phantom(label, _EXAMPLE_SEED, _EXAMPLE_PX).pixels).save(file, "PNG")
    return file.getvalue()


def _unreadable(key: str, name: str, error: FilmError) -> FilmSource:
    """A source that raises the error when it is read."""
    return FilmSource(key, name, partial(_raise, error))


def _raise(error: FilmError) -> bytes:
    raise error
