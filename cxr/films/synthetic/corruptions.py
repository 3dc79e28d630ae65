"""X-rays corrupted as they should not reach a model: upside down, rotated, inverted, cropped.

The keys are the names of the input check's classes, which are stored in models.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Pixels = NDArray[np.uint8]

CROPPED_AREA = (0.08, 0.3)  # share of the image that is left


def _upside_down(pixels: Pixels, rng: Rng) -> Pixels:
    """The image rotated by 180°; or, as some exports do it, flipped vertically."""
    return pixels[::-1, ::-1] if rng.random() < 0.7 else pixels[::-1]


def _on_its_side(pixels: Pixels, rng: Rng) -> Pixels:
    """The image rotated by 90° to either side."""
    return np.rot90(pixels, 1 if rng.random() < 0.5 else 3)


def _negative(pixels: Pixels, rng: Rng) -> Pixels:
    """The image with its gray levels inverted."""
    return 255 - pixels


def _cropped(pixels: Pixels, rng: Rng) -> Pixels:
    """A part from anywhere in the image."""
    height, width = pixels.shape
    area, stretch = rng.uniform(*CROPPED_AREA), rng.uniform(0.75, 1.33) ** 0.5
    down, across = int(height * min(1, area**0.5 * stretch)), int(width * min(1, area**0.5 / stretch))
    top, left = rng.integers(0, height - down + 1), rng.integers(0, width - across + 1)
    return pixels[top : top + down, left : left + across]


CORRUPTIONS: dict[str, Callable[[Pixels, Rng], Pixels]] = {
    "upside down": _upside_down,
    "on its side": _on_its_side,
    "negative": _negative,
    "cropped": _cropped,
}
