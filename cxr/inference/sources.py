"""Where films to be read come from: files on disk, what a person dropped (ZIPs are looked into), and examples."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from cxr.core.errors import DatasetError, FilmTooLarge, UnreadableFilm
from cxr.core.paths import examples_dir
from cxr.datasets.archive import Archive, may_be_film
from cxr.films.film import Film, read_bytes
from cxr.films.isolation.pool import read_isolated

MOST_FILMS = 2000  # of one ZIP
MOST_UNPACKED_BYTES = 4_000_000_000  # of its films together
MOST_EXAMPLES = 24  # of a person's own folder
DRAWN = ("normal", "bacterial", "viral", "covid19")  # every finding that can be drawn
PICTURES = Path(__file__).with_name("pictures")  # of the drawn ones: to draw them all takes a second
_EXAMPLE_SEED, _EXAMPLE_PX = 20, 512


@dataclass(frozen=True)
class FilmSource:
    """A film that is to be read: what tells it from others, its name, and its bytes when they are wanted."""

    key: str
    name: str
    read: Callable[[], bytes]  # raises only FilmError
    decode: Callable[[bytes], Film] = Film.read  # how its bytes become a film; raises only FilmError
    drawn: bool = False  # a phantom
    mark: str = ""  # what is added to the number of its bytes, where it is read otherwise than it came
    picture: Path | None = None  # a small JPEG of it, where to make one would keep the first page waiting


def source_on_disk(path: Path) -> FilmSource:
    return FilmSource(str(path), str(path), partial(read_bytes, path))


def sources_from_upload(key: str, name: str, data: bytes) -> list[FilmSource]:
    """The films in a dropped file: itself, or a ZIP's members, each unpacked in memory when it is read.

    They are anybody's bytes, and are decoded in a process of their own.
    """
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return [FilmSource(key, name, partial(read_bytes, data), read_isolated)]
    try:
        archive = Archive(Path(name), io.BytesIO(data))
    except DatasetError as error:
        return [FilmSource(key, name, partial(_refuse, UnreadableFilm(str(error))))]
    members = [member for member in archive.names() if may_be_film(member)]
    if not members:
        return [FilmSource(key, name, partial(_refuse, UnreadableFilm("There is no film in this ZIP.")))]
    if len(members) > MOST_FILMS:
        many = FilmTooLarge(f"This ZIP holds {len(members)} files. Drop at most {MOST_FILMS} at once.")
        return [FilmSource(key, name, partial(_refuse, many))]
    if archive.unpacked_bytes() > MOST_UNPACKED_BYTES:
        large = FilmTooLarge(
            f"This ZIP unpacks to more than {MOST_UNPACKED_BYTES // 10**9} GB. Drop fewer films at once."
        )
        return [FilmSource(key, name, partial(_refuse, large))]
    return [FilmSource(f"{key}/{member}", member, partial(archive.read, member), read_isolated) for member in members]


def example_sources() -> list[FilmSource]:
    """A drawn film of each finding, then the films in the folder CXR_EXAMPLES."""
    drawn = [
        FilmSource(
            f"drawn/{one}", f"Drawn film, {one}", partial(_phantom, one), drawn=True, picture=PICTURES / f"{one}.jpg"
        )
        for one in DRAWN
    ]
    return [*drawn, *_own()]


def _own() -> list[FilmSource]:
    folder = examples_dir()
    if folder is None or not folder.is_dir():
        return []
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and may_be_film(path.name)]
    return [
        FilmSource(f"own/{path.name}", path.name, partial(read_bytes, path))
        for path in files[:MOST_EXAMPLES]
        if not path.name.startswith(".")
    ]


def _phantom(finding: str) -> bytes:
    from cxr.films.synthetic.phantom import (
        draw_phantom,
    )  # late: it brings SciPy, and the first page should not wait for that

    file = io.BytesIO()
    Image.fromarray(draw_phantom(finding, _EXAMPLE_SEED, _EXAMPLE_PX).pixels).save(file, "PNG")
    return file.getvalue()


def _refuse(reason: Exception) -> bytes:
    raise reason
