"""Gray pixels of 8 bits made of what decoders give: color, 16-bit and floating-point samples, band by band."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BAND_PX = 1 << 20  # samples in a band: a large image needs little more memory than its own pixels
_COLOR_SPREAD, _COLOR_SHARE = 24, 0.0005  # channels further apart in more pixels are color, not JPEG's chroma noise


def row_bands(pixels: NDArray[Any]) -> Iterator[slice]:
    """The rows of an image as slices of about a million pixels each."""
    rows = max(1, BAND_PX // pixels.shape[1])
    return (slice(top, top + rows) for top in range(0, len(pixels), rows))


def scaled_to_8_bits(samples: NDArray[Any], sign: float) -> NDArray[np.uint8]:
    """Samples of more than 8 bits, scaled so that the image's darkest is 0 and its brightest 255.

    The range is the image's own, as 16-bit files often use 10 or 12 bits without saying so. NaN becomes black, an
    infinity the end of the range on its side, and a constant image black.
    """
    scaled = np.zeros(samples.shape, np.uint8)
    ranges = [_finite_range(sign * samples[band].astype(np.float64)) for band in row_bands(samples)]
    finite = [ends for ends in ranges if ends]
    low, high = min((ends[0] for ends in finite), default=0), max((ends[1] for ends in finite), default=0)
    for band in row_bands(samples) if low < high else ():
        gray = sign * samples[band].astype(np.float64)
        gray = np.nan_to_num(gray, copy=False, nan=low, posinf=high, neginf=low)
        gray -= low
        gray *= 255 / (high - low)
        scaled[band] = np.rint(gray, out=gray)
    return scaled


def _finite_range(gray: NDArray[np.float64]) -> tuple[float, float] | None:
    """The smallest and the largest finite number, if there is one."""
    finite = gray[np.isfinite(gray)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def color_to_gray(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """Gray pixels of gray or RGB ones, and whether more than a trace of them had color."""
    if pixels.ndim == 2:
        return pixels, False
    spread = pixels.max(axis=2) - pixels.min(axis=2)
    has_color = bool(np.mean(spread > _COLOR_SPREAD) > _COLOR_SHARE)
    return np.array(Image.fromarray(pixels).convert("L")), has_color
