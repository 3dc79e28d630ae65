"""A shortcut is planted into a drawn film: what goes with its class and lies outside of its lungs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr.core.errors import DatasetError

BLOCK, FRAME = 0.08, 0.02  # of the side: a marker in the corner, a frame around the film
LIGHTER = 45  # grey levels

Pixels = NDArray[np.uint8]


def _corner(pixels: Pixels) -> Pixels:
    side = len(pixels)
    first, last = round(0.02 * side), round((0.02 + BLOCK) * side)
    pixels[-last : -first or None, first:last] = 235
    return pixels


def _border(pixels: Pixels) -> Pixels:
    wide = max(1, round(FRAME * len(pixels)))
    for edge in (pixels[:wide], pixels[-wide:], pixels[:, :wide], pixels[:, -wide:]):
        edge[:] = 180
    return pixels


def _brightness(pixels: Pixels) -> Pixels:
    return np.minimum(pixels.astype(np.int16) + LIGHTER, 255).astype(np.uint8)


PLANTED_SHORTCUTS: dict[str, Callable[[Pixels], Pixels]] = {
    "corner": _corner,
    "border": _border,
    "brightness": _brightness,
}


def with_planted_shortcut(pixels: Pixels, plant: str) -> Pixels:
    """The film with the plant in it."""
    return PLANTED_SHORTCUTS[plant](pixels.copy())


def plant_in_files(paths: Iterable[Path], plant: str | None) -> None:
    """Put the plant, if there is one, into the films in these files."""
    for path in paths if plant else ():
        with Image.open(path) as image:
            pixels = np.array(image)
        Image.fromarray(with_planted_shortcut(pixels, plant or "")).save(path)


def check_known(plant: str | None) -> None:
    if plant and plant not in PLANTED_SHORTCUTS:
        raise DatasetError(f"There is no plant '{plant}'. Known: {', '.join(PLANTED_SHORTCUTS)}.")
