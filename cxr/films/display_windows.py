"""The windows that a viewer offers for an X-ray: the file's own, and some that its gray levels suggest.

Radiographs have no absolute unit, so the windows for lungs and bones are parts of the image's own range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr.films.deep_image import DeepImage
from cxr.films.gray_range import SHARE, inner

# From dark to bright as shown: the share of the pixels below black, and below white.
SHARES = {"auto": (SHARE, 1 - SHARE), "lung": (0.02, 0.75), "bone": (0.3, 0.999)}
HISTOGRAM_PX = 1 << 21  # of larger images, evenly spaced rows and columns are counted


@dataclass(frozen=True)
class DisplayWindow:
    """A window by its code, in the file's own unit."""

    code: str  # default, auto, lung, bone, full, header-2 ...
    center: float
    width: float


def display_windows(deep: DeepImage) -> list[DisplayWindow]:
    """The windows of an X-ray, the default first: what the file asks for, and how the model reads it."""
    counts = _counts(deep)
    present = np.flatnonzero(counts)
    low, high = (int(present[0]), int(present[-1])) if present.size else (0, 1)
    default = deep.windows[0] if deep.windows else _of_rendering(deep, low, high)
    windows = [DisplayWindow("default", *default)]
    windows += [DisplayWindow(code, *_of_shares(deep, counts, *shares)) for code, shares in SHARES.items()]
    windows.append(DisplayWindow("full", *_window(deep, low, high)))
    others = enumerate(deep.windows[1:], 2)
    return windows + [DisplayWindow(f"header-{number}", *window) for number, window in others]


def _counts(deep: DeepImage) -> NDArray[np.int64]:
    """How often each sample occurs inside the image's margin, without its padding."""
    samples = inner(deep.samples)
    step = int(np.ceil(np.sqrt(samples.size / HISTOGRAM_PX)))
    counts = np.bincount(samples[::step, ::step].ravel(), minlength=len(deep.rendering))
    if deep.padding:
        start, end = (min(max(0, value), len(counts)) for value in deep.padding)
        unpadded = counts.copy()
        unpadded[start : end + 1] = 0
        counts = unpadded if unpadded.any() else counts
    return counts


def _of_rendering(deep: DeepImage, low: int, high: int) -> tuple[float, float]:
    """The linear window closest to the model's rendering: from the last black sample to the first white one."""
    rendering = deep.rendering[low : high + 1].astype(int)
    if rendering.size < 2 or rendering.min() == rendering.max():
        return _window(deep, low, high)
    rises = rendering[-1] >= rendering[0]
    ordered = rendering if rises else rendering[::-1]
    black = int(np.flatnonzero(ordered <= ordered.min())[-1])
    white = int(np.flatnonzero(ordered >= ordered.max())[0])
    if black >= white:
        return _window(deep, low, high)
    # What is shown between black and white is continued to them, where the image does not reach them.
    scale = 255 / max(1, ordered[white] - ordered[black])
    start = black - ordered[black] / 255 * scale * (white - black)
    end = start + scale * (white - black)
    return _window(deep, low + start, low + end) if rises else _window(deep, high - end, high - start)


def _of_shares(deep: DeepImage, counts: NDArray[np.int64], dark: float, bright: float) -> tuple[float, float]:
    """The window from the gray level below which so many pixels are to the one above which the others are."""
    # Samples rise in brightness, unless the image is inverted or a negative slope turns their order.
    if deep.is_inverted != (deep.slope < 0):
        dark, bright = 1 - bright, 1 - dark
    cumulative = np.cumsum(counts)
    ends = (int(np.searchsorted(cumulative, share * cumulative[-1], side="right")) for share in (dark, bright))
    low, high = (min(end, len(counts) - 1) for end in ends)
    return _window(deep, low, high)


def _window(deep: DeepImage, low: float, high: float) -> tuple[float, float]:
    """Center and width of the window between two samples, in the file's unit."""
    center, width = deep.slope * (low + high) / 2 + deep.intercept, abs(deep.slope) * (high - low)
    return float(center), float(width) if width > 0 else abs(deep.slope)
