"""Damaged image files, each made from its number alone: truncated, bits flipped, lengths and tags changed, nested."""

from __future__ import annotations

import re
import struct
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom.data

from cxr.core.errors import FilmError
from cxr.films.film import Film
from cxr.films.read_failure import failure_of
from tests.support.file_seeds import dicom, lossless, lossy

Rng = np.random.Generator
LIMIT_S = 5.0
SIDES_PX = (32, 40)  # JPEG 2000 wants no fewer
SMALL_BYTES = 12_000  # of pydicom's files: larger ones test nothing more, and take long
# Formats without compression: a film with fewer pixels than its seed has lost some.
UNCOMPRESSED = (
    "TIFF",
    "BMP",
    "TIFF CMYK",
    "TIFF F",
    "TIFF I",
    "TIFF 16",
    "DICOM 8",
    "DICOM signed",
    "DICOM RGB",
) + tuple(
    f"DICOM {syntax} VR {order} Endian"
    for syntax, order in (("Explicit", "Little"), ("Implicit", "Little"), ("Explicit", "Big"))
)
EXTREME_NUMBERS = (
    *(0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF),
    *(0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF),
)


@dataclass(frozen=True)
class Seed:
    """A sound file to damage, and the pixels that it becomes."""

    name: str
    data: bytes
    pixels: np.ndarray | None  # None: it is refused as it is


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant, and the CPU time for it; `fault` says what must not have happened."""

    mutant: str
    way: str
    seconds: float
    read: bool
    fault: str = ""


def small_seeds() -> list[Seed]:
    """Drawn films in every file format, and pydicom's own test files."""
    files = lossless(*SIDES_PX) | {f"{name} lossy": data for name, data in lossy(*SIDES_PX).items()} | dicom(*SIDES_PX)
    folder = Path(pydicom.data.__file__).parent / "test_files"
    shipped = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size < SMALL_BYTES)
    return seeds(files | {f"pydicom's {path.name}": path.read_bytes() for path in shipped})


def seeds(files: Mapping[str, bytes]) -> list[Seed]:
    """The seeds of these files."""
    return [Seed(name, data, _pixels(data)) for name, data in files.items()]


def _pixels(data: bytes) -> np.ndarray | None:
    try:
        return Film.read(data).pixels
    except FilmError:
        return None


def read_mutant(number: int, sources: list[Seed]) -> Outcome:
    """What becomes of the mutant of this number."""
    rng = np.random.default_rng([7, number])
    seed, other = sources[number % len(sources)], sources[int(rng.integers(len(sources)))]
    way = list(WAYS)[int(rng.integers(len(WAYS)))]
    data = WAYS[way](seed.data, other.data, rng)
    began, film, fault = time.process_time(), None, ""
    try:
        film = Film.read(data)
    except FilmError as error:
        fault = "" if failure_of(error) else "the error has no code"
    except BaseException as error:  # nothing else may be raised
        fault = f"{type(error).__name__} was raised"
    seconds = time.process_time() - began
    if seconds > LIMIT_S:
        fault = f"it took {seconds:.1f} s"
    elif film is not None and seed.pixels is not None and _is_half(seed, way, film):
        fault = "a part was read as the whole"
    return Outcome(f"{seed.name}, {way}, number {number}", way, seconds, film is not None, fault)


def _is_half(seed: Seed, way: str, film: Film) -> bool:
    """Whether pixels of the seed are missing; compressed formats can be checked only where they were truncated."""
    assert seed.pixels is not None
    if way == "truncated":
        return not np.array_equal(film.pixels, seed.pixels)
    return way in DAMAGED_IN_PLACE and seed.name in UNCOMPRESSED and film.pixels.size < seed.pixels.size


def _truncated(data: bytes, other: bytes, rng: Rng) -> bytes:
    return data[: rng.integers(0, max(1, len(data)))]


def _bits_flipped(data: bytes, other: bytes, rng: Rng) -> bytes:
    return _at_places(data, rng, len(data), lambda old: old ^ 1 << int(rng.integers(8)))


def _bytes_changed(data: bytes, other: bytes, rng: Rng) -> bytes:
    return _at_places(data, rng, len(data), lambda old: int(rng.integers(256)))


def _header_changed(data: bytes, other: bytes, rng: Rng) -> bytes:
    return _at_places(data, rng, 400, lambda old: int(rng.integers(256)))


def _at_places(data: bytes, rng: Rng, reach: int, change: Callable[[int], int]) -> bytes:
    changed = bytearray(data)
    for place in rng.integers(0, max(1, min(reach, len(data))), int(rng.integers(1, 8))) if data else ():
        changed[place] = change(changed[place])
    return bytes(changed)


def _number_changed(data: bytes, other: bytes, rng: Rng) -> bytes:
    """The file with an extreme number of 2 or 4 bytes somewhere in its header: a length, a count, a side."""
    kind = ("<H", ">H", "<I", ">I")[int(rng.integers(4))]
    size = struct.calcsize(kind)
    reach = min(len(data), 1500) - size
    if reach < 1:
        return data
    changed = bytearray(data)
    number = EXTREME_NUMBERS[int(rng.integers(len(EXTREME_NUMBERS)))] & (1 << 8 * size) - 1
    struct.pack_into(kind, changed, int(rng.integers(reach)), number)
    return bytes(changed)


def _field_changed(data: bytes, other: bytes, rng: Rng) -> bytes:
    """The file with one field changed where its format has fields (chunk, entry, tag), and its checksum corrected."""
    if data.startswith(b"\x89PNG"):
        return _png_field(data, rng)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _tiff_field(data, rng)
    if data.startswith(b"\xff\xd8"):
        places = [match.start() + 2 for match in re.finditer(rb"\xff[\xc0-\xcf\xda-\xef]", data)]
        return _near(data, places, 18, rng)
    if b"DICM" in data[:132]:
        elements = re.finditer(rb"[\x28\x08\x02]\x00..|\x00\x28..|\xe0\x7f\x10\x00", data[132:], re.S)
        places = [match.start() for match in elements]
        return _near(data, [132 + place for place in places], 14, rng)
    return _number_changed(data, other, rng)


def _near(data: bytes, places: list[int], reach: int, rng: Rng) -> bytes:
    """The file with a byte or two changed behind one of these places."""
    if not places:
        return data
    changed = bytearray(data)
    for place in places[int(rng.integers(len(places)))] + rng.integers(0, reach, 2):
        if place < len(changed):
            changed[place] = int(rng.integers(256))
    return bytes(changed)


def _png_field(data: bytes, rng: Rng) -> bytes:
    chunks, place = [], 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        chunks.append(place)
        place += 12 + length
    place = chunks[int(rng.integers(len(chunks)))]
    (length,) = struct.unpack_from(">I", data, place)
    chunk = bytearray(data[place + 4 : place + 8 + length])
    if length:
        chunk[4 + int(rng.integers(length))] = int(rng.integers(256))
    return data[: place + 4] + bytes(chunk) + struct.pack(">I", zlib.crc32(chunk)) + data[place + 12 + length :]


def _tiff_field(data: bytes, rng: Rng) -> bytes:
    order = "<" if data.startswith(b"II") else ">"
    (ifd,) = struct.unpack_from(order + "I", data, 4)
    if ifd + 2 > len(data):
        return data
    (count,) = struct.unpack_from(order + "H", data, ifd)
    place = ifd + 2 + 12 * int(rng.integers(max(1, count))) + int(rng.choice([0, 2, 4, 8]))
    changed = bytearray(data)
    if place + 4 <= len(data):
        struct.pack_into(
            order + "I",
            changed,
            place,
            int(rng.choice(EXTREME_NUMBERS)) if rng.random() < 0.5 else int(rng.integers(300)),
        )
    return bytes(changed)


def _part_repeated(data: bytes, other: bytes, rng: Rng) -> bytes:
    first, last = np.sort(rng.integers(0, len(data) + 1, 2))
    return data[:last] + data[first:]


def _part_lost(data: bytes, other: bytes, rng: Rng) -> bytes:
    first, last = np.sort(rng.integers(0, len(data) + 1, 2))
    return data[:first] + data[last:]


def _spliced(data: bytes, other: bytes, rng: Rng) -> bytes:
    return data[: rng.integers(0, len(data) + 1)] + other[rng.integers(0, len(other) + 1) :]


def _nested(data: bytes, other: bytes, rng: Rng) -> bytes:
    """The file with another whole file inside."""
    place = int(rng.integers(0, len(data) + 1))
    return data[:place] + other + data[place:]


WAYS: dict[str, Callable[[bytes, bytes, Rng], bytes]] = {
    "truncated": _truncated,
    "bits flipped": _bits_flipped,
    "bytes changed": _bytes_changed,
    "header changed": _header_changed,
    "number changed": _number_changed,
    "field changed": _field_changed,
    "part repeated": _part_repeated,
    "part lost": _part_lost,
    "spliced": _spliced,
    "nested": _nested,
}
DAMAGED_IN_PLACE = ("bits flipped", "bytes changed", "header changed", "number changed", "field changed")
