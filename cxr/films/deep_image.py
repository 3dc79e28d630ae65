"""The full gray depth of an X-ray's file, for a viewer: every sample, and how samples become what the model reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxr.films.acquisition import Acquisition
from cxr.films.gray_pixels import shown_range

MAX_WINDOWS = 8  # of a file's header
MAX_NUMBER = 1e30  # of slope, intercept and windows
_QUANTIZED = (1 << 16) - 1  # steps of a floating-point image


@dataclass(frozen=True, eq=False)
class DeepImage:
    """The samples of a gray image as they are stored, and what a viewer needs to show them."""

    samples: NDArray[Any] = field(repr=False)  # (height, width), uint8 or uint16, read-only
    rendering: NDArray[np.uint8] = field(repr=False)  # the gray level that the model reads, for each sample
    slope: float = 1.0  # a sample in the file's own unit is slope * sample + intercept
    intercept: float = 0.0
    is_inverted: bool = False  # high values are shown dark
    windows: tuple[tuple[float, float], ...] = ()  # center and width, in the file's unit; the first is the default
    padding: tuple[int, int] | None = None  # samples from here to there are not part of the image
    acquisition: Acquisition = field(default_factory=Acquisition)

    def __post_init__(self) -> None:
        for name in ("samples", "rendering"):
            values = np.ascontiguousarray(getattr(self, name)).view()
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        if self.samples.ndim != 2 or self.samples.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"Samples are gray and of 8 or 16 bits, not {self.samples.dtype}.")
        if self.rendering.shape != (1 << 8 * self.samples.itemsize,):
            raise ValueError("A rendering has a gray level for each possible sample.")

    @classmethod
    def of_gray(cls, pixels: NDArray[np.uint8], acquisition: Acquisition | None = None) -> Self:
        """The image of gray pixels of 8 bits, which are shown as they are."""
        return cls(pixels, np.arange(256, dtype=np.uint8), acquisition=acquisition or Acquisition())

    @classmethod
    def of_samples(cls, samples: NDArray[Any], sign: float) -> Self:
        """The image of samples of more than 8 bits that have no window; a negative sign shows high values dark."""
        deep, slope, intercept = _as_uint16(samples)
        shown = shown_range(samples)
        window = ((shown.low + shown.high) / 2, shown.high - shown.low)
        gray = _between(slope * np.arange(1 << 16, dtype=np.float64) + intercept, shown.low, shown.high)
        rendering = np.rint(255 * (gray if sign > 0 else 1 - gray)).astype(np.uint8)
        if shown.low >= shown.high:
            rendering[:], window = 0, (shown.low, 1.0)
        return cls(deep, rendering, slope, intercept, sign < 0, (window,))

    @property
    def height_px(self) -> int:
        """The number of rows."""
        return int(self.samples.shape[0])

    @property
    def width_px(self) -> int:
        """The number of columns."""
        return int(self.samples.shape[1])

    @property
    def rendered(self) -> NDArray[np.uint8]:
        """The gray pixels that the model reads."""
        return self.rendering[self.samples]

    def corrected(self, apply: Callable[[NDArray[Any]], NDArray[Any]]) -> DeepImage:
        """The image after a correction of its 8-bit pixels: rotated, flipped, or with its gray levels inverted.

        What the correction does is read from what it makes of a small image, so that a correction is written once.
        """
        blank = np.zeros((2, 2), np.uint8)
        is_inversion = bool(apply(blank)[0, 0])
        if is_inversion:
            return replace(self, rendering=255 - self.rendering, is_inverted=not self.is_inverted)
        corners = apply(np.array([[0, 1], [2, 3]], np.uint8))
        return replace(self, samples=apply(self.samples), acquisition=self.acquisition.moved(corners))

    def through(self, center: float, width: float) -> DeepImage:
        """The image as it is read through this window, in the file's own unit, instead of its own."""
        codes = np.arange(len(self.rendering), dtype=np.float64)
        gray = _between(self.slope * codes + self.intercept, center - width / 2, center + width / 2)
        rendering = np.rint(255 * (1 - gray if self.is_inverted else gray)).astype(np.uint8)
        return replace(self, rendering=rendering, windows=((center, width), *self.windows[: MAX_WINDOWS - 1]))

    def or_gray(self, pixels: NDArray[np.uint8]) -> DeepImage:
        """This image, or that of its gray pixels where a damaged header has numbers that mean nothing."""
        numbers = [self.slope, self.intercept, *(number for window in self.windows for number in window)]
        is_sound = all(abs(number) <= MAX_NUMBER for number in numbers) and self.slope != 0
        return self if is_sound else DeepImage.of_gray(pixels, self.acquisition)

    def reduced(self, max_px: int) -> tuple[DeepImage, int]:
        """The image with at most so many pixels, each the mean of a square of so many; 1 where it is small enough."""
        factor = int(np.ceil(np.sqrt(self.samples.size / max_px)))
        if factor <= 1:
            return self, 1
        rows, columns = self.height_px // factor, self.width_px // factor
        whole = self.samples[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
        mean = whole.mean(axis=(1, 3), dtype=np.float32)
        return replace(self, samples=np.rint(mean).astype(self.samples.dtype)), factor


def _as_uint16(samples: NDArray[Any]) -> tuple[NDArray[np.uint16], float, float]:
    """The samples as unsigned numbers of 16 bits, with slope and intercept that lead back to their own values.

    Floating-point and 32-bit samples are stored in 65,536 steps of their finite range.
    """
    if samples.dtype.kind == "u" and samples.dtype.itemsize <= 2:
        return samples.astype(np.uint16), 1.0, 0.0
    if samples.dtype.kind == "i" and samples.dtype.itemsize <= 2:
        return (samples.astype(np.int32) + (1 << 15)).astype(np.uint16), 1.0, -float(1 << 15)
    values = samples.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if low >= high:
        return np.zeros(samples.shape, np.uint16), 1.0, low
    slope = (high - low) / _QUANTIZED
    values = np.nan_to_num(values, copy=False, nan=low, posinf=high, neginf=low)
    return np.rint((values - low) / slope).astype(np.uint16), slope, low


def _between(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    if high <= low:
        return np.zeros(values.shape)
    return np.clip((values - low) / (high - low), 0, 1)
