"""What a file claims of its picture, read from a few bytes of it: sizes, scans, pages, rows that it does not name."""

from __future__ import annotations

import re
import struct

from PIL import Image

MAX_BYTES = 200_000_000
MAX_PIXELS = 60_000_000
MAX_SCANNED_PIXELS = 12 * MAX_PIXELS  # cameras write 10 scans; each is a walk over the whole picture
_JPEG_IN_TIFF = (6, 7)
_BMP_UNPACKED = (0, 3, 6)  # Pillow unpacks the others byte by byte, in Python


def scanned_pixels(jpeg: bytes, pixels: int) -> int:
    """Pixels that are walked over to decode a JPEG of so many; within its scans the mark stands for nothing else."""
    return pixels * jpeg.count(b"\xff\xda")


def image_scanned_pixels(image: Image.Image, data: bytes) -> int:
    """The same of an opened image, which may be no JPEG."""
    is_jpeg = image.format in ("JPEG", "MPO") or (image.format == "TIFF" and _tag(image, 259) in _JPEG_IN_TIFF)
    return scanned_pixels(data, image.width * image.height) if is_jpeg else 0


def is_packed_bmp(image: Image.Image, data: bytes) -> bool:
    """True for a run-length coded BMP."""
    return image.format == "BMP" and len(data) > 34 and data[14] >= 40 and data[30] not in _BMP_UNPACKED


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


def _tag(image: Image.Image, number: int) -> object:
    return image.tag_v2.get(number)  # type: ignore[attr-defined]
