"""Image files that Pillow reads (PNG, JPEG, TIFF, WebP, BMP), decoded to gray pixels."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from cxr.core.errors import FilmError
from cxr.films.deep_image import DeepImage
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
_SCREEN_GAMMA, _GAMMA_TOLERANCE = 1 / 2.2, 0.05
_SIGNED = 2  # the TIFF tag SampleFormat
_DARKEST_16_BIT_COLOR = 64  # the brightest gray of a 16-bit color image whose samples use only 12 bits or less


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """The gray pixels (height, width) of an image file, and what is known of it."""

    pixels: NDArray[np.uint8]
    format: str
    bits: int
    warnings: tuple[FilmWarning, ...]
    deep: DeepImage | None = None


def decode_image(data: bytes, deep: bool = False) -> DecodedImage:
    """The image in these bytes, on request with its full depth; raises only `FilmError`.

    Causes are not chained (`from None`): Pillow's errors may quote text from the file.
    """
    try:
        with Image.open(BytesIO(data), formats=[name for name in FORMATS if name != "MPO"]) as image:
            _check_header(image, data)
            return _decoded(image, data, deep)
    except (FilmError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ReadFailure.TOO_MANY_PIXELS.error from None
    except UnidentifiedImageError:
        is_pdf = data[:1024].lstrip().startswith(b"%PDF-")
        raise (ReadFailure.PDF if is_pdf else ReadFailure.NOT_AN_IMAGE).error from None
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


@dataclass(frozen=True)
class _Samples:
    """How the file stores gray values, where Pillow does not apply it."""

    bits: int
    is_white_zero: bool = False
    is_signed: bool = False

    @property
    def sign(self) -> float:
        """-1 where high values are shown dark; Pillow inverts white-is-zero for up to 8 bits only."""
        return -1.0 if self.is_white_zero else 1.0


def _decoded(image: Image.Image, data: bytes, deep: bool) -> DecodedImage:
    kind = FORMATS[image.format or ""]
    samples = _samples(image, data)
    image.load()
    gamma = (FilmWarning.GAMMA,) if _has_unusual_gamma(image) else ()
    upright = _upright(image)
    pixels, warnings = _gray(upright, samples)
    full_depth = _deep(upright, samples, pixels) if deep else None
    return DecodedImage(pixels, kind, samples.bits, (*gamma, *warnings), full_depth)


def _samples(image: Image.Image, data: bytes) -> _Samples:
    bits = _bits(image, data)
    if image.format != "TIFF":
        return _Samples(bits)
    tags = image.tag_v2  # type: ignore[attr-defined]
    return _Samples(bits, tags.get(262) == 0, int(tags.get(339, (1,))[0]) == _SIGNED)


def _has_unusual_gamma(image: Image.Image) -> bool:
    """True for a PNG whose gray levels are not those of an ordinary screen; a color profile takes precedence.

    The gamma is not applied: programs that write radiographs set it without meaning it, and training images ignore it.
    """
    gamma = image.info.get("gamma")
    if image.format != "PNG" or not gamma or "srgb" in image.info or "icc_profile" in image.info:
        return False
    return abs(gamma / _SCREEN_GAMMA - 1) > _GAMMA_TOLERANCE


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


def _deep(image: Image.Image, samples: _Samples, pixels: NDArray[np.uint8]) -> DeepImage:
    """The full depth: that of the samples where they have more than 8 bits, otherwise that of the gray pixels."""
    if not _has_deep_samples(image):
        return DeepImage.of_gray(pixels)
    return DeepImage.of_samples(_deep_samples(image, samples), samples.sign).or_gray(pixels)


def _has_deep_samples(image: Image.Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;")


def _deep_samples(image: Image.Image, samples: _Samples) -> NDArray[Any]:
    """The samples of an image of more than 8 bits."""
    values = np.asarray(image)
    if image.mode == "I" and samples.bits == 32 and not samples.is_signed:
        return values.view(np.uint32)  # Pillow has signed ones only: from the middle on they would be negative
    return values


def _gray(image: Image.Image, samples: _Samples) -> tuple[NDArray[np.uint8], tuple[FilmWarning, ...]]:
    """Gray pixels, and the warnings that they give reason for. Transparent pixels become black."""
    if _has_deep_samples(image):
        pixels, has_long_tails = scaled_to_8_bits(_deep_samples(image, samples), samples.sign)
        return pixels, (*((FilmWarning.LONG_TAILS,) if has_long_tails else ()), *pixel_warnings(pixels))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    if image.mode == "LAB":
        image = image.getchannel(0)
    levels = np.array(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    # Pillow keeps the upper byte of 16-bit color: almost nothing of an image that uses 12 bits.
    if samples.bits > 8 and levels.max() < _DARKEST_16_BIT_COLOR:
        raise ReadFailure.DARK_16_BIT_COLOR.error
    if samples.is_signed and image.mode == "L":
        levels ^= 0x80  # Pillow takes the bytes as unsigned
    pixels, color = color_to_gray(levels)
    return pixels, pixel_warnings(pixels, color)
