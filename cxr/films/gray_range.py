"""The range of values that is shown of an image of more than 8 bits: percentiles, so that a few pixels decide nothing.

Hot pixels, metal, markers and borders would otherwise stretch the range and darken the whole image. A border may have
more pixels than the percentiles cut off, so the outer rows and columns are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHARE = 0.005  # of the pixels at each end that become black or white (docs/images.md has the comparison)
LONG_TAIL = 0.5  # values further beyond the range than this part of its length are worth a warning
MARGIN = 20  # this part of the height and width at each side is not counted: a twentieth
SAMPLED_PX = 1 << 22  # of images whose values are too many to count: every pixel of a smaller image


@dataclass(frozen=True)
class GrayRange:
    """The values shown as black and as white, and whether others lie far beyond them."""

    low: float
    high: float
    has_long_tails: bool = False


def inner(image: NDArray[Any]) -> NDArray[Any]:
    """The image without its margin; a view."""
    rows, columns = (side // MARGIN for side in image.shape)
    return image[rows : image.shape[0] - rows, columns : image.shape[1] - columns]


def counted_range(values: NDArray[np.float64], counts: NDArray[np.integer[Any]]) -> GrayRange:
    """The range of an image in which each value occurs so many times; the whole range where that leaves nothing."""
    present = counts > 0
    order = np.argsort(values[present], kind="stable")
    values, counts = values[present][order], counts[present][order]
    if not len(values):
        return GrayRange(0, 0)
    cumulative = np.cumsum(counts)
    cut = SHARE * cumulative[-1]
    low = float(values[np.searchsorted(cumulative, cut, side="right")])
    high = float(values[np.searchsorted(cumulative, cumulative[-1] - cut, side="left")])
    darkest, brightest = float(values[0]), float(values[-1])
    if low >= high:
        return GrayRange(darkest, brightest)
    return GrayRange(low, high, max(low - darkest, brightest - high) > LONG_TAIL * (high - low))


def sampled_range(samples: NDArray[Any]) -> GrayRange:
    """The range of an image's finite samples; of a very large image, of those in evenly spaced rows and columns."""
    samples = inner(samples)
    step = int(np.ceil(np.sqrt(samples.size / SAMPLED_PX)))
    some = samples[::step, ::step].astype(np.float64)
    values, counts = np.unique(some[np.isfinite(some)], return_counts=True)
    return counted_range(values, counts)


def contrast(pixels: NDArray[np.uint8]) -> float:
    """The gray levels between the 1st and the 99th percentile, as `np.percentile` has them, of 8-bit pixels."""
    cumulative = np.cumsum(Image.fromarray(np.ascontiguousarray(pixels)).histogram())
    places = np.array([0.01, 0.99]) * (pixels.size - 1)
    below, above = (np.searchsorted(cumulative, end, side="right") for end in (np.floor(places), np.ceil(places)))
    dark, bright = below + (places - np.floor(places)) * (above - below)
    return float(bright - dark)
