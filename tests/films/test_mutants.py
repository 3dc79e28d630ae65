"""Five thousand damaged files: refused or read, never a crash, a hang, or a part taken for the whole."""

import struct
from collections import Counter

import numpy as np
import pytest

from cxr.core.errors import UnreadableFilm
from cxr.films.film import Film
from tests.support.file_seeds import dicom, drawn, lossless, lossy, png_of, saved
from tests.support.memory import peak_bytes
from tests.support.mutants import WAYS, read_mutant, small_seeds

MUTANTS = 5_000
MOST_BYTES = 1_000_000_000


def test_five_thousand_damaged_films_are_refused_or_read() -> None:
    seeds = small_seeds()
    assert sum(seed.pixels is not None for seed in seeds) > 60
    before = peak_bytes(reset=True)
    outcomes = [read_mutant(number, seeds) for number in range(MUTANTS)]
    assert [f"{outcome.mutant}: {outcome.fault}" for outcome in outcomes if outcome.fault] == []
    assert peak_bytes() - before < MOST_BYTES
    ways = Counter((outcome.way, outcome.read) for outcome in outcomes)
    assert all(ways[way, False] for way in WAYS)  # each way damages some files,
    assert all(ways[way, True] for way in WAYS if way != "truncated")  # and not all


def understated(kind: str, side: int) -> bytes:
    """A film whose header declares half of its rows, or a few columns less."""
    strips = saved(drawn(), "TIFF", compression="tiff_lzw", tiffinfo={278: 20})
    data, (height_px, width_px) = (lossless() | dicom() | {"TIFF of strips": strips})[kind], (140, 180)
    old, new = ((height_px, 70), (width_px, 175))[side]
    if kind == "BMP":
        return data[: 22 - 4 * side] + struct.pack("<i", new) + data[26 - 4 * side :]
    if kind.startswith("TIFF"):
        entry, tag = "<HHII", 257 - side
        changed = [data.replace(struct.pack(entry, tag, t, 1, old), struct.pack(entry, tag, t, 1, new)) for t in (3, 4)]
    else:
        element = struct.pack("<HH2sH", 0x28, 0x10 + side, b"US", 2)
        changed = [data.replace(element + struct.pack("<H", old), element + struct.pack("<H", new))]
    return next(file for file in changed if file != data)


ROWS, COLUMNS = 0, 1
CHECKABLE = ("BMP", "TIFF", "TIFF 16", "DICOM 8", "DICOM RGB", "DICOM RLE Lossless", "DICOM JPEG")
UNDERSTATED = [("TIFF of strips", ROWS), *((kind, side) for kind in CHECKABLE for side in (ROWS, COLUMNS))]


@pytest.mark.parametrize(("kind", "side"), UNDERSTATED)
def test_a_film_with_more_than_its_header_declares_is_not_read_in_part(kind: str, side: int) -> None:
    with pytest.raises(UnreadableFilm):
        Film.read(understated(kind, side))


def test_a_jpeg_that_declares_far_more_than_it_holds_is_refused() -> None:
    data = lossy()["JPEG"]
    side = data.index(b"\xff\xc0") + 5
    with pytest.raises(UnreadableFilm):
        Film.read(data[:side] + struct.pack(">H", 60_000) + data[side + 2 :])


def test_a_png_that_declares_far_more_than_it_holds_is_refused() -> None:
    rows = b"".join(b"\0" + row.tobytes() for row in drawn())
    assert np.array_equal(Film.read(png_of(180, 140, 8, 0, rows)).pixels, drawn())
    with pytest.raises(UnreadableFilm):
        Film.read(png_of(180, 300_000, 8, 0, rows))


def test_a_blank_png_of_the_highest_compression_is_read() -> None:
    assert Film.read(saved(np.zeros((4_000, 4_000), np.uint8), "PNG", compress_level=9)).height_px == 4_000


def test_a_blank_jpeg_of_the_highest_compression_is_read() -> None:
    blank = np.full((3_000, 3_000), 128, np.uint8)
    for progressive in (False, True):
        data = saved(blank, "JPEG", optimize=True, quality=10, progressive=progressive)
        assert Film.read(data).pixels.shape == blank.shape
