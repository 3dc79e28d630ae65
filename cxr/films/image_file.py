"""Image files that Pillow reads (PNG, JPEG, TIFF, WebP, BMP), decoded to gray pixels."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from cxr.core.errors import FilmError
from cxr.films.film_warning import FilmWarning, pixel_warnings
from cxr.films.gray_pixels import color_to_gray, scaled_to_8_bits
from cxr.films.header_limits import (
    MAX_PIXELS,
    MAX_SCANNED_PIXELS,
    has_less_than_declared,
    has_more_than_declared,
    image_scanned_pixels,
    is_compressed_bmp,
)
from cxr.films.read_failure import ReadFailure

FORMATS = {"PNG": "PNG", "JPEG": "JPEG", "MPO": "JPEG", "TIFF": "TIFF", "WEBP": "WEBP", "BMP": "BMP"}
_DARKEST_16_BIT_COLOR = 64  # the brightest gray of a 16-bit color image whose samples use only 12 bits or less


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """The gray pixels (height, width) of an image file, and what is known of it."""

    pixels: NDArray[np.uint8]
    format: str
    bits: int
    warnings: tuple[FilmWarning, ...]


def decode_image(data: bytes) -> DecodedImage:
    """The image in these bytes; raises only `FilmError`.

    Causes are not chained (`from None`): Pillow's errors may quote text from the file.
    """
    try:
        with Image.open(BytesIO(data), formats=[name for name in FORMATS if name != "MPO"]) as image:
            _check_header(image, data)
            return _decoded(image, data)
    except (FilmError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ReadFailure.TOO_MANY_PIXELS.error from None
    except UnidentifiedImageError:
        raise ReadFailure.NOT_AN_IMAGE.error from None
    except Exception:
        raise ReadFailure.DAMAGED_IMAGE.error from None


def data_url(image: bytes, kind: str = "jpeg") -> str:
    """The image file as a `data:` URL, for table cells and HTML."""
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def _check_header(image: Image.Image, data: bytes) -> None:
    """Refuse what cannot or must not be decoded, before anything is."""
    if image.width * image.height > MAX_PIXELS:
        raise ReadFailure.TOO_MANY_PIXELS.error
    # The further images of an MPO are a phone's preview and gain map of the first.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise ReadFailure.SEVERAL_FRAMES.error
    if image_scanned_pixels(image, data) > MAX_SCANNED_PIXELS:
        raise ReadFailure.TOO_MANY_SCANS.error
    if is_compressed_bmp(image, data):
        raise ReadFailure.COMPRESSED_BMP.error
    if has_more_than_declared(image, data) or has_less_than_declared(image, data):
        raise ReadFailure.DAMAGED_IMAGE.error


def _decoded(image: Image.Image, data: bytes) -> DecodedImage:
    kind = FORMATS[image.format or ""]
    bits = _bits(image, data)
    white_is_zero = kind == "TIFF" and image.tag_v2.get(262) == 0  # type: ignore[attr-defined]
    image.load()
    pixels, has_color = _gray(_upright(image), bits, white_is_zero)
    return DecodedImage(pixels, kind, bits, pixel_warnings(pixels, has_color))


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits stored per sample; for a palette, those of its entries."""
    if image.mode in ("P", "PA"):
        return 8
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        return int(image.tag_v2.get(258, (1,))[0])  # type: ignore[attr-defined]
    return 1 if image.mode == "1" else 8


def _upright(image: Image.Image) -> Image.Image:
    """The image rotated as its EXIF orientation says; a damaged EXIF is ignored, as the image is still sound."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _gray(image: Image.Image, bits: int, white_is_zero: bool) -> tuple[NDArray[np.uint8], bool]:
    """Gray pixels, and whether the image had color. Transparent pixels become black."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        samples = np.asarray(image)
        # Pillow inverts white-is-zero for up to 8 bits only.
        return scaled_to_8_bits(samples, -1.0 if white_is_zero else 1.0), False
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    if image.mode == "LAB":
        image = image.getchannel(0)
    pixels = np.array(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    # Pillow keeps the upper byte of 16-bit color: almost nothing of an image that uses 12 bits.
    if bits > 8 and pixels.max() < _DARKEST_16_BIT_COLOR:
        raise ReadFailure.DARK_16_BIT_COLOR.error
    return color_to_gray(pixels)
