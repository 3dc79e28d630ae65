"""Small files that declare, or unpack to, far more than an X-ray: refused before anything of that size is made."""

import io
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from cxr.core.errors import CxrError, FilmError, FilmTooLarge, UnreadableFilm, UnsupportedFilm
from cxr.datasets.dataset import Dataset
from cxr.films.film import Film
from cxr.films.read_failure import failure_of
from cxr.inference.sources import sources_from_upload
from tests.support.file_seeds import dataset_of, encapsulated, frame_of, png_of, ramp, saved, written
from tests.support.memory import peak_bytes, zeros

QUICK_S, SMALL_BYTES = 1.0, 260_000_000
SIDE_PX = 30_000


@contextmanager
def quick_and_small() -> Iterator[None]:
    """Check that the body takes less than a second and little memory, by the process's peak."""
    before, started = peak_bytes(reset=True), time.perf_counter()
    yield
    assert time.perf_counter() - started < QUICK_S
    assert peak_bytes() - before < SMALL_BYTES


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    stream = io.BytesIO()
    PngImagePlugin.putchunk(stream, name, content)
    return stream.getvalue()


def png_with(chunk: bytes) -> bytes:
    """A small sound PNG with another chunk behind its header."""
    plain = saved(ramp(8), "PNG")
    return plain[:33] + chunk + plain[33:]


def tiff_of_pages(count: int, looped: bool = False) -> bytes:
    """A TIFF of so many pages of one pixel; if looped, the last is followed by the first."""
    entries = [(256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)] + [
        (277, 3, 1, 1),
        (278, 4, 1, 1),
        (279, 4, 1, 1),
    ]
    body = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    size, first = len(body) + 4, 10
    pages = [body + struct.pack("<I", first + size * (page + 1)) for page in range(count - 1)]
    return struct.pack("<2sHIH", b"II", 42, first, 0) + b"".join(pages) + body + struct.pack("<I", first * looped)


def tiff_of_strip(strip: bytes, **tags: int) -> bytes:
    """A deflated TIFF of 64 x 64 pixels with this as its only strip, with any other tags."""
    numbers = {"width": 256, "height": 257, "rows": 278, "samples": 277}
    values = {256: 64, 257: 64, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: 64, 279: len(strip)}
    values |= {numbers[name]: value for name, value in tags.items()}
    ifd = struct.pack("<H", len(values)) + b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items()
    )
    return struct.pack("<2sHI", b"II", 42, 8 + len(strip)) + strip + ifd + bytes(4)


def bmp_of(width_px: int, height_px: int, packing: int, body: bytes) -> bytes:
    """A BMP with this header and these bytes as its pixels."""
    palette = b"".join(bytes([gray, gray, gray, 0]) for gray in range(256))
    start = 54 + len(palette)
    header = struct.pack("<2sIII", b"BM", start + len(body), 0, start)
    return (
        header
        + struct.pack("<IiiHHIIiiII", 40, width_px, height_px, 1, 8, packing, len(body), 0, 0, 256, 0)
        + palette
        + body
    )


def jpeg_of_scans(side_px: int, scans: int) -> bytes:
    """A progressive JPEG whose scans are almost empty, each of them a pass over the whole image."""
    small = saved(ramp(8), "JPEG", progressive=True, quality=30)
    frame = small.index(b"\xff\xc2")
    header = small[: frame + 5] + struct.pack(">HH", side_px, side_px) + small[frame + 9 :]
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 63, 0x01) + b"\x00"
    return header[:-2] + scan * scans + b"\xff\xd9"


def codestream_of(kind: str, side_px: int) -> bytes:
    """An image of 140 x 180 pixels whose own header declares sides of this length."""
    syntaxes = {"J2K": JPEG2000Lossless, "JLS": JPEGLSLossless}
    frame = bytearray(frame_of(ramp(8), syntaxes[kind]) if kind in syntaxes else saved(ramp(8), "JPEG"))
    if kind == "J2K":
        struct.pack_into(">2I", frame, frame.index(b"\xff\x51") + 6, side_px, side_px)
    else:
        marker = b"\xff\xf7" if kind == "JLS" else b"\xff\xc0"
        struct.pack_into(">2H", frame, frame.index(marker) + 5, side_px, side_px)
    return bytes(frame)


def wrapped(codestream: bytes) -> bytes:
    """The codestream in a JP2 file, behind a box with the header of another, harmless one."""
    decoy = frame_of(ramp(8), JPEG2000Lossless)[:60]
    box = struct.pack(">I4s", 8 + 16 + len(decoy), b"uuid") + bytes(16) + decoy
    signature = struct.pack(">I4s", 12, b"jP  ") + b"\x0d\x0a\x87\x0a"
    kind = struct.pack(">I4s4sI4s", 20, b"ftyp", b"jp2 ", 0, b"jp2 ")
    width_px, height_px = struct.unpack_from(">2I", codestream, 8)
    image = struct.pack(">I4sIIHBBBB", 22, b"ihdr", height_px, width_px, 1, 7, 7, 0, 0)
    color = struct.pack(">I4sBBBI", 15, b"colr", 1, 0, 0, 17)
    header = struct.pack(">I4s", 8 + len(image + color), b"jp2h") + image + color
    return signature + kind + header + box + struct.pack(">I4s", 8 + len(codestream), b"jp2c") + codestream


def deflated(tail: bytes, **elements: Any) -> bytes:
    """A deflated film with its pixels replaced by another stream."""
    data = written(dataset_of(ramp(), **elements), DeflatedExplicitVRLittleEndian)
    meta = 132 + 12 + int.from_bytes(data[140:144], "little")
    head = zlib.decompress(data[meta:], -zlib.MAX_WBITS)[: -ramp().nbytes - 12]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    announced = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, 3 << 30)
    return data[:meta] + packer.compress(head + announced) + packer.flush(zlib.Z_FULL_FLUSH) + tail


def behind_long_meta(data: bytes, length: int) -> bytes:
    """The file with so many bytes of private information before its transfer syntax."""
    size = int.from_bytes(data[140:144], "little") + 12 + length
    padding = struct.pack("<HH2sHI", 2, 1, b"OB", 0, length) + bytes(length)
    return data[:140] + size.to_bytes(4, "little") + padding + data[144:]


def nested(depth: int) -> bytes:
    """A film behind sequences within sequences."""
    data = written(dataset_of(ramp()))
    meta = 132 + 12 + int.from_bytes(data[140:144], "little")
    opened = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    closed = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return data[:meta] + opened * depth + closed * depth + data[meta:]


HUGE: dict[str, Any] = {"Rows": 65_535, "Columns": 65_535}
BOMBS: dict[str, tuple[Callable[[], bytes], type[FilmError]]] = {
    "a PNG of 30,000 x 30,000": (
        lambda: png_of(SIDE_PX, SIDE_PX, 8, 0, zeros(SIDE_PX * (SIDE_PX + 1), zlib.MAX_WBITS), packed=True),
        FilmTooLarge,
    ),
    "a PNG with a gigabyte of text": (
        lambda: png_with(png_chunk(b"zTXt", b"Comment\0\0" + zeros(1 << 30, zlib.MAX_WBITS))),
        UnreadableFilm,
    ),
    "a PNG of 10,000 frames": (
        lambda: png_with(png_chunk(b"acTL", struct.pack(">II", 10_000, 0))),
        UnsupportedFilm,
    ),
    "a TIFF of 10,000 pages": (lambda: tiff_of_pages(10_000), UnsupportedFilm),
    "a TIFF whose pages are a ring": (lambda: tiff_of_pages(3, looped=True), UnsupportedFilm),
    "a TIFF of 65,535 x 65,535": (lambda: tiff_of_strip(zeros(1 << 20), width=65_535, height=65_535), FilmTooLarge),
    "a TIFF of a million samples": (lambda: tiff_of_strip(zeros(1 << 20), samples=1_000_000), UnreadableFilm),
    "a TIFF whose strip has a billion rows": (lambda: tiff_of_strip(b"", rows=1 << 30), UnreadableFilm),
    "a packed BMP that is slow to unpack": (
        lambda: bmp_of(7_700, 7_700, 1, b"\x01\x00" * 30_000_000),
        UnsupportedFilm,
    ),
    "a JPEG of 10,000 scans": (lambda: jpeg_of_scans(7_700, 10_000), FilmTooLarge),
    "a WebP of 100 frames": (
        lambda: saved(
            ramp(8), "WEBP", save_all=True, append_images=[Image.fromarray(ramp(8) // n) for n in range(2, 100)]
        ),
        UnsupportedFilm,
    ),
    "a DICOM of 65,535 x 65,535 x 1,000": (
        lambda: written(dataset_of(ramp(), **HUGE, NumberOfFrames=1000)),
        UnsupportedFilm,
    ),
    "a DICOM of 65,535 x 65,535": (lambda: written(dataset_of(ramp(), **HUGE)), FilmTooLarge),
    "a DICOM of 65,535 samples": (lambda: written(dataset_of(ramp(), SamplesPerPixel=65_535)), UnsupportedFilm),
    "a DICOM of 65,535 bits": (lambda: written(dataset_of(ramp(), BitsAllocated=65_528)), UnsupportedFilm),
    "a deflated DICOM of 65,535 x 65,535 x 1,000": (
        lambda: deflated(zeros(3 << 30), **HUGE, NumberOfFrames=1000),
        UnsupportedFilm,
    ),
    "a deflated DICOM of 65,535 x 65,535": (lambda: deflated(zeros(3 << 30), **HUGE), FilmTooLarge),
    "a deflated DICOM with 3 GB for a small film": (lambda: deflated(zeros(3 << 30)), FilmTooLarge),
    "the same behind much meta information": (
        lambda: behind_long_meta(deflated(zeros(3 << 30)), 10_000),
        FilmTooLarge,
    ),
    "a JPEG 2000 larger than its tags": (
        lambda: encapsulated(codestream_of("J2K", 60_000), JPEG2000Lossless, ramp(8)),
        UnreadableFilm,
    ),
    "a JPEG 2000 behind a harmless header": (
        lambda: encapsulated(wrapped(codestream_of("J2K", 60_000)), JPEG2000Lossless, ramp(8)),
        UnreadableFilm,
    ),
    "a JPEG-LS larger than its tags": (
        lambda: encapsulated(codestream_of("JLS", 60_000), JPEGLSLossless, ramp(8)),
        UnreadableFilm,
    ),
    "a JPEG larger than its tags": (
        lambda: encapsulated(codestream_of("JPEG", 60_000), JPEGBaseline8Bit, ramp(8)),
        UnreadableFilm,
    ),
    "a JPEG of 10,000 scans in a DICOM": (
        lambda: encapsulated(jpeg_of_scans(7_700, 10_000), JPEGBaseline8Bit, ramp(8), Rows=7_700, Columns=7_700),
        FilmTooLarge,
    ),
    "a run-length coded gigabyte": (
        lambda: encapsulated(struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\x00" * (1 << 23), RLELossless, ramp(8)),
        UnreadableFilm,
    ),
    "10,000 sequences within each other": (lambda: nested(10_000), UnreadableFilm),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_at_once_without_taking_memory(bomb: str) -> None:
    make, kind = BOMBS[bomb]
    data = make()
    assert len(data) < 65_000_000
    Film.read(written(dataset_of(ramp())))  # what is imported late is not the bomb's cost
    with quick_and_small(), pytest.raises(kind) as refused:
        Film.read(data)
    assert failure_of(refused.value)


def test_the_same_files_are_read_where_they_are_small() -> None:
    sound = {
        "PNG": png_of(128, 128, 8, 0, zeros(1 << 20, zlib.MAX_WBITS), packed=True),
        "TIFF": tiff_of_strip(zlib.compress(bytes(64 * 64))),
        "JPEG": jpeg_of_scans(140, 3),
        "nested": nested(5),
        "JP2": encapsulated(wrapped(frame_of(ramp(8), JPEG2000Lossless)), JPEG2000Lossless, ramp(8)),
    }
    for data in sound.values():
        assert Film.read(data).pixels.size


def zip_of_zeros(count: int, announced: int, name: str = "film.png") -> bytes:
    """A ZIP of one member that unfolds to so many zeros, and declares any number of them."""
    body, packed = zeros(count), name.encode()
    wide = struct.pack("<HHQQ", 1, 16, announced, len(body))
    fields = (20, 0, 8, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, len(packed), len(wide))
    local = b"PK\3\4" + struct.pack("<HHHHHIIIHH", *fields) + packed + wide
    entry = b"PK\1\2" + struct.pack("<H", 20) + struct.pack("<HHHHHIIIHH", *fields) + bytes(14) + packed + wide
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local) + len(body), 0)
    return local + body + entry + end


@pytest.mark.parametrize("announced", [10 << 30, 1000], ids=["honest", "lying"])
def test_ten_gigabytes_of_zeros_in_a_zip_are_refused_at_once(announced: int, tmp_path: Path) -> None:
    data = zip_of_zeros(10 << 30, announced)
    assert len(data) < 20_000_000
    (tmp_path / "films.zip").write_bytes(data)
    with quick_and_small():
        (source,) = sources_from_upload("7", "films.zip", data)
        with pytest.raises(FilmError):
            Film.read(source.read())
        with pytest.raises(CxrError):
            Dataset.open(tmp_path / "films.zip").read(0)


def test_ten_gigabytes_of_zeros_as_a_manifest_are_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "films.zip").write_bytes(zip_of_zeros(10 << 30, 10 << 30, "manifest.csv"))
    with quick_and_small(), pytest.raises(CxrError):
        Dataset.open(tmp_path / "films.zip")


def test_a_sound_film_of_the_largest_size_is_read() -> None:
    stored = np.tile(np.arange(6_000, dtype=np.uint16), (10_000, 1))
    film = Film.read(saved(stored, "PNG", compress_level=1))
    assert film.pixels.shape == stored.shape
