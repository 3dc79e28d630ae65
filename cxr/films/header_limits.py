"""Limits checked on a file's header before it is decoded: declared size, scans, strips and rows."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from PIL import Image

MAX_BYTES = 200_000_000
MAX_PIXELS = 60_000_000
MOST_META_ELEMENTS = 1000  # the standard has 15
MAX_SCANNED_PIXELS = 12 * MAX_PIXELS  # cameras write 10 scans; each is a pass over the whole image
_MOST_PIXELS_A_BYTE = 8 * 64  # of a JPEG: its first scan takes at least a bit for each block
_MOST_INFLATED = 1032  # bytes from one byte of a PNG, the limit of deflate
_PNG_SAMPLES = {2: 3, 4: 2, 6: 4}  # per pixel, by color type
_JPEG_IN_TIFF = (6, 7)
_PADDING_BYTES = 3  # after a strip or a BMP
_BMP_UNPACKED = (0, 3, 6)  # Pillow unpacks the others byte by byte, in Python


_LONG_LENGTHS = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")


class JpegFrameHeader(NamedTuple):
    """What a JPEG stream says of its image: the marker of its process, bits per sample, and size."""

    process: int
    precision: int
    height_px: int
    width_px: int
    samples: int


def dicom_meta(data: bytes) -> bytes:
    """The file meta information of a DICOM file: its elements of group 0002, however many bytes they have."""
    start = position = 132 if data[128:132] == b"DICM" else 0
    for _ in range(MOST_META_ELEMENTS):
        if data[position : position + 2] != b"\x02\x00" or position + 8 > len(data):
            return data[start:position]
        kind = data[position + 4 : position + 6]
        if kind in _LONG_LENGTHS:
            position += 12 + int.from_bytes(data[position + 8 : position + 12], "little")
        elif kind.isalpha() and kind.isupper():
            position += 8 + int.from_bytes(data[position + 6 : position + 8], "little")
        else:  # without types
            position += 8 + int.from_bytes(data[position + 4 : position + 8], "little")
    return data[start:]  # with so many elements, no limit is to be got around


def scanned_pixels(jpeg: bytes, pixels: int) -> int:
    """The pixels that decoding a JPEG of so many passes over; inside its scans the marker means nothing else."""
    return pixels * jpeg.count(b"\xff\xda")


def image_scanned_pixels(image: Image.Image, data: bytes) -> int:
    """The pixels that decoding passes over for an opened image; 0 where it is not a JPEG."""
    is_jpeg = image.format in ("JPEG", "MPO") or (image.format == "TIFF" and _tag_number(image, 259) in _JPEG_IN_TIFF)
    return scanned_pixels(data, image.width * image.height) if is_jpeg else 0


def is_compressed_bmp(image: Image.Image, data: bytes) -> bool:
    """True for a run-length encoded BMP."""
    return image.format == "BMP" and len(data) > 34 and data[14] >= 40 and data[30] not in _BMP_UNPACKED


def has_more_than_declared(image: Image.Image, data: bytes) -> bool:
    """True where the file has more rows or columns than its header declares: it would be read in part, or shifted."""
    if image.format == "BMP":
        return _bmp_holds_more(data)
    if image.format != "TIFF":
        return False
    width, height = _tag_number(image, 256), _tag_number(image, 257)
    samples, bits = _tag_number(image, 277) or 1, _tag_number(image, 258) or 1
    rows, strips = _tag_number(image, 278), _tag_numbers(image, 273)
    planes = samples if _tag_number(image, 284) == 2 else 1
    if rows and len(strips) > -(-height // rows) * planes:
        return True
    expected = -(-width * samples // planes * bits // 8) * height * planes
    return _tag_number(image, 259) == 1 and sum(_tag_numbers(image, 279)) > expected + _PADDING_BYTES * len(strips)


def has_less_than_declared(image: Image.Image, data: bytes) -> bool:
    """True where a JPEG or PNG is too short for the size that it declares: most of it would be filled in."""
    if image.format in ("JPEG", "MPO"):
        return image.width * image.height > _MOST_PIXELS_A_BYTE * len(data)
    if image.format != "PNG":
        return False
    row = -(-image.width * data[24] * _PNG_SAMPLES.get(data[25], 1) // 8) + 1
    return row * image.height > _MOST_INFLATED * len(data)


def _bmp_holds_more(data: bytes) -> bool:
    start, header, width, height = struct.unpack_from("<4xIIii", data, 6)
    if header != 40:  # newer headers may have a color profile behind the image; the oldest has smaller fields
        return False
    (bits,) = struct.unpack_from("<H", data, 28)
    expected = (width * bits + 31) // 32 * 4 * abs(height)
    return len(data) > start + expected + _PADDING_BYTES


def codestream_px(frame: bytes) -> tuple[int, int, int] | None:
    """Height, width and samples that a JPEG, JPEG-LS or JPEG 2000 stream itself declares; None where unclear."""
    if frame.startswith(b"\xff\xd8"):
        return _jpeg_px(frame)
    # JPEG 2000 begins with SOC and SIZ; in a JP2 file anything may come before, even another beginning.
    begins = frame.startswith(b"\xff\x4f")
    starts = [0] if begins else [match.start() for match in re.finditer(rb"\xff\x4f\xff\x51", frame)]
    sizes = {_jpeg_2000_px(frame, start) for start in starts}
    return sizes.pop() if len(sizes) == 1 else None


def _jpeg_2000_px(frame: bytes, start: int) -> tuple[int, int, int]:
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    (samples,) = struct.unpack_from(">H", frame, start + 40)
    return bottom - top, right - left, samples


def _jpeg_px(frame: bytes) -> tuple[int, int, int] | None:
    header = jpeg_frame_header(frame)
    return (header.height_px, header.width_px, header.samples) if header else None


def jpeg_frame_header(frame: bytes) -> JpegFrameHeader | None:
    """The frame header of a JPEG or JPEG-LS stream; None where it has none."""
    position = 2
    while frame[position : position + 1] == b"\xff":
        marker, length = struct.unpack_from(">xBH", frame, position)
        if marker == 0xFF:  # fill
            position += 1
        # SOF0 to SOF15 without DHT, JPG and DAC, and JPEG-LS's SOF55
        elif marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return JpegFrameHeader(marker, *struct.unpack_from(">BHHB", frame, position + 4))
        else:
            position += 2 + length
    return None


def has_whole_segments(jpeg: bytes) -> bool:
    """True where one segment follows the other up to the scan: gdcm aborts its process on what it has to skip."""
    position = 2
    while len(jpeg) >= position + 4 and jpeg[position] == 0xFF:
        marker, length = struct.unpack_from(">xBH", jpeg, position)
        if marker == 0xDA:
            return True
        position += 1 if marker == 0xFF else 2 + length
    return False


def _tag_numbers(image: Image.Image, tag: int) -> tuple[int, ...]:
    """The numbers of a TIFF's tag."""
    value = image.tag_v2.get(tag, ())  # type: ignore[attr-defined]
    return tuple(value) if isinstance(value, tuple) else (int(value),)


def _tag_number(image: Image.Image, tag: int) -> int:
    return int(next(iter(_tag_numbers(image, tag)), 0))
