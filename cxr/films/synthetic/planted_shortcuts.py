"""Shortcuts planted into drawn films: features outside the lungs that are associated with the class."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr.core.errors import DatasetError

CORNER, BORDER = 0.08, 0.02  # of the side: a square in the corner, a frame around the image
BRIGHTER = 45  # gray levels

Pixels = NDArray[np.uint8]


def _corner(pixels: Pixels) -> Pixels:
    """The image with a bright square in its lower left corner."""
    side = len(pixels)
    first, last = round(0.02 * side), round((0.02 + CORNER) * side)
    pixels[-last : -first or None, first:last] = 235
    return pixels


def _border(pixels: Pixels) -> Pixels:
    """The image with a gray frame."""
    width = max(1, round(BORDER * len(pixels)))
    for edge in (pixels[:width], pixels[-width:], pixels[:, :width], pixels[:, -width:]):
        edge[:] = 180
    return pixels


def _brightness(pixels: Pixels) -> Pixels:
    """The image, brighter everywhere."""
    return np.minimum(pixels.astype(np.int16) + BRIGHTER, 255).astype(np.uint8)


PLANTED_SHORTCUTS: dict[str, Callable[[Pixels], Pixels]] = {
    "corner": _corner,
    "border": _border,
    "brightness": _brightness,
}


def with_planted_shortcut(pixels: Pixels, shortcut: str) -> Pixels:
    """A copy of the image with the shortcut."""
    return PLANTED_SHORTCUTS[shortcut](pixels.copy())


def plant_in_files(paths: Iterable[Path], shortcut: str | None) -> None:
    """Add the shortcut, if there is one, to the images in these files."""
    for path in paths if shortcut else ():
        with Image.open(path) as image:
            pixels = np.array(image)
        Image.fromarray(with_planted_shortcut(pixels, shortcut or "")).save(path)


def check_shortcut_name(shortcut: str | None) -> None:
    """Raise DatasetError where there is no shortcut of this name."""
    if shortcut and shortcut not in PLANTED_SHORTCUTS:
        known = ", ".join(PLANTED_SHORTCUTS)
        raise DatasetError(f"Unknown shortcut '{shortcut}'. Choose one of: {known}.", code="unknown-shortcut")
