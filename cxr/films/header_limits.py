"""What a file claims of its picture, read from a few bytes of it: sizes, scans, pages, rows that it does not name."""

from __future__ import annotations

import re
import struct

from PIL import Image

MAX_BYTES = 200_000_000
MAX_PIXELS = 60_000_000
MAX_SCANNED_PIXELS = 12 * MAX_PIXELS  # cameras write 10 scans; each is a walk over the whole picture
_MOST_PIXELS_A_BYTE = 8 * 64  # of a JPEG: its first scan takes a bit or more for each block
_MOST_INFLATED = 1032  # of a byte of a PNG, as deflate has it
_PNG_SAMPLES = {2: 3, 4: 2, 6: 4}  # of a pixel, by the kind of colour
_JPEG_IN_TIFF = (6, 7)
_PADDING_BYTES = 3  # of a strip, or behind a BMP
_BMP_UNPACKED = (0, 3, 6)  # Pillow unpacks the others byte by byte, in Python


def scanned_pixels(jpeg: bytes, pixels: int) -> int:
    """Pixels that are walked over to decode a JPEG of so many; within its scans the mark stands for nothing else."""
    return pixels * jpeg.count(b"\xff\xda")


def image_scanned_pixels(image: Image.Image, data: bytes) -> int:
    """The same of an opened image, which may be no JPEG."""
    is_jpeg = image.format in ("JPEG", "MPO") or (image.format == "TIFF" and _whole(image, 259) in _JPEG_IN_TIFF)
    return scanned_pixels(data, image.width * image.height) if is_jpeg else 0


def is_packed_bmp(image: Image.Image, data: bytes) -> bool:
    """True for a run-length coded BMP."""
    return image.format == "BMP" and len(data) > 34 and data[14] >= 40 and data[30] not in _BMP_UNPACKED


def holds_more_than_declared(image: Image.Image, data: bytes) -> bool:
    """True where the file holds more rows or columns than its header names: it would be read in part, or askew."""
    if image.format == "BMP":
        return _bmp_holds_more(data)
    if image.format != "TIFF":
        return False
    width, height = _whole(image, 256), _whole(image, 257)
    samples, bits = _whole(image, 277) or 1, _whole(image, 258) or 1
    rows, strips = _whole(image, 278), _parts(image, 273)
    planes = samples if _whole(image, 284) == 2 else 1
    if rows and len(strips) > -(-height // rows) * planes:
        return True
    expected = -(-width * samples // planes * bits // 8) * height * planes
    return _whole(image, 259) == 1 and sum(_parts(image, 279)) > expected + _PADDING_BYTES * len(strips)


def holds_less_than_declared(image: Image.Image, data: bytes) -> bool:
    """True where a JPEG or PNG cannot possibly hold all that it declares: most of it would be made up."""
    if image.format in ("JPEG", "MPO"):
        return image.width * image.height > _MOST_PIXELS_A_BYTE * len(data)
    if image.format != "PNG":
        return False
    row = -(-image.width * data[24] * _PNG_SAMPLES.get(data[25], 1) // 8) + 1
    return row * image.height > _MOST_INFLATED * len(data)


def _bmp_holds_more(data: bytes) -> bool:
    start, header, width, height = struct.unpack_from("<4xIIii", data, 6)
    if header != 40:  # newer headers may have a colour profile behind the picture; the oldest has smaller fields
        return False
    (bits,) = struct.unpack_from("<H", data, 28)
    expected = (width * bits + 31) // 32 * 4 * abs(height)
    return len(data) > start + expected + _PADDING_BYTES


def codestream_px(frame: bytes) -> tuple[int, int, int] | None:
    """Height, width and samples that a JPEG, JPEG-LS or JPEG 2000 picture itself declares; None where it is unclear."""
    if frame.startswith(b"\xff\xd8"):
        return _jpeg_px(frame)
    # JPEG 2000 begins with SOC and SIZ; in a JP2 file anything may lie before, even another beginning.
    starts = [0] if frame.startswith(b"\xff\x4f") else [at.start() for at in re.finditer(rb"\xff\x4f\xff\x51", frame)]
    sizes = {_jpeg_2000_px(frame, start) for start in starts}
    return sizes.pop() if len(sizes) == 1 else None


def _jpeg_2000_px(frame: bytes, start: int) -> tuple[int, int, int]:
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    (samples,) = struct.unpack_from(">H", frame, start + 40)
    return bottom - top, right - left, samples


def _jpeg_px(frame: bytes) -> tuple[int, int, int] | None:
    position = 2
    while frame[position : position + 1] == b"\xff":
        marker, length = struct.unpack_from(">xBH", frame, position)
        if marker == 0xFF:  # fill
            position += 1
        # SOF0 to SOF15 without DHT, JPG and DAC, and JPEG-LS's SOF55
        elif marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            height, width, samples = struct.unpack_from(">HHB", frame, position + 5)
            return height, width, samples
        else:
            position += 2 + length
    return None


def _parts(image: Image.Image, tag: int) -> tuple[int, ...]:
    """The numbers under a TIFF's tag."""
    found = image.tag_v2.get(tag, ())  # type: ignore[attr-defined]
    return tuple(found) if isinstance(found, tuple) else (int(found),)


def _whole(image: Image.Image, tag: int) -> int:
    return int(next(iter(_parts(image, tag)), 0))
