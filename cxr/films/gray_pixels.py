"""Gray pixels of 8 bits made of what decoders give: color, 16-bit and floating-point samples, band by band."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr.films.gray_range import GrayRange, counted_range, inner, sampled_range

BAND_PX = 1 << 20  # samples in a band: a large image needs little more memory than its own pixels
_COLOR_SPREAD, _COLOR_SHARE = 24, 0.0005  # channels further apart in more pixels are color, not JPEG's chroma noise
_TINT_SPREAD, _TINT_SHARE = 8, 0.15  # further apart in this share of the pixels: the image has color all over


class ColorExtent(StrEnum):
    """How much of an image has color."""

    NONE = "none"
    SOME = "some"
    THROUGHOUT = "throughout"


def row_bands(pixels: NDArray[Any]) -> Iterator[slice]:
    """The rows of an image as slices of about a million pixels each."""
    rows = max(1, BAND_PX // pixels.shape[1])
    return (slice(top, top + rows) for top in range(0, len(pixels), rows))


def scaled_to_8_bits(samples: NDArray[Any], sign: float) -> tuple[NDArray[np.uint8], bool]:
    """Samples of more than 8 bits as gray levels of the range to show, and whether others lie far beyond it.

    The range is the image's own, as 16-bit files often use 10 or 12 bits without saying so. NaN becomes black, an
    infinity the end of the range on its side, and a constant image black.
    """
    scaled = np.zeros(samples.shape, np.uint8)
    shown = _signed(shown_range(samples), sign)
    for band in row_bands(samples) if shown.low < shown.high else ():
        gray = sign * samples[band].astype(np.float64)
        gray = np.nan_to_num(gray, copy=False, nan=shown.low, posinf=shown.high, neginf=shown.low)
        gray -= shown.low
        gray *= 255 / (shown.high - shown.low)
        np.clip(gray, 0, 255, out=gray)
        scaled[band] = np.rint(gray, out=gray)
    return scaled, shown.has_long_tails


def shown_range(samples: NDArray[Any]) -> GrayRange:
    """The range of samples to show: integers of up to 16 bits are counted, others sampled."""
    if samples.dtype.kind not in "iu" or samples.dtype.itemsize > 2:
        return sampled_range(samples)
    lowest = np.iinfo(samples.dtype).min
    counts = np.zeros(1 << 8 * samples.dtype.itemsize, np.int64)
    samples = inner(samples)
    for band in row_bands(samples):
        counts += np.bincount(samples[band].ravel().astype(np.int64) - lowest, minlength=len(counts))
    return counted_range(np.arange(len(counts), dtype=np.float64) + lowest, counts)


def _signed(shown: GrayRange, sign: float) -> GrayRange:
    """The range of the samples times this sign."""
    return shown if sign > 0 else GrayRange(-shown.high, -shown.low, shown.has_long_tails)


def color_to_gray(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ColorExtent]:
    """Gray pixels of gray or RGB ones, and how many of them had color."""
    if pixels.ndim == 2:
        return pixels, ColorExtent.NONE
    spread = pixels.max(axis=2) - pixels.min(axis=2)
    extent = ColorExtent.NONE
    if np.mean(spread > _COLOR_SPREAD) > _COLOR_SHARE:
        throughout = np.mean(spread > _TINT_SPREAD) > _TINT_SHARE
        extent = ColorExtent.THROUGHOUT if throughout else ColorExtent.SOME
    return np.array(Image.fromarray(pixels).convert("L")), extent
