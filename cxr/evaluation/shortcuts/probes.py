"""What a shortcut is usually made of, in numbers: each probe sees a part of a film that is not the lungs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cxr.evaluation.shortcuts.lungs import Mask, Pixels, around

Floats = NDArray[np.floating]

THUMBNAIL_PX = 8
PROBES = ("corners", "border", "brightness", "sharpness", "shape")
DESCRIPTIONS = {  # what a sentence calls them
    "corners": "the corners",
    "border": "the border",
    "brightness": "brightness and contrast outside of the lungs",
    "sharpness": "sharpness and noise outside of the lungs",
    "shape": "the film's shape and size",
}
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_RINGS = 4


@dataclass(frozen=True, eq=False)
class ProbeFilm:
    """A film as the model gets it, where its lungs are, and its own size."""

    pixels: Pixels  # (side, side)
    lungs: Mask
    height_px: int
    width_px: int


def thumbnail(pixels: Pixels) -> Floats:
    """The film as 8 by 8 mean greys."""
    return _blocks(pixels, THUMBNAIL_PX).ravel()


def probe(film: ProbeFilm, name: str) -> Floats:
    """The numbers that the probe of this name sees."""
    return {"corners": _corners, "border": _border, "brightness": _brightness, "sharpness": _sharpness}.get(
        name, _shape
    )(film)


def _corners(film: ProbeFilm) -> Floats:
    """Each corner, an eighth of the side, as 4 by 4 mean greys, less the mean outside of the lungs."""
    side, pixels = max(4, len(film.pixels) // 8), _levelled(film)
    left, right = pixels[:, :side], pixels[:, -side:]
    return np.concatenate([_blocks(part, 4).ravel() for half in (left, right) for part in (half[:side], half[-side:])])


def _border(film: ProbeFilm) -> Floats:
    """Mean and spread of each side of four rings around the film, a 64th of the side wide each, less the same mean."""
    pixels = _levelled(film)
    wide, found = max(1, len(pixels) // 64), []
    for ring in range(_RINGS):
        inner = pixels[ring * wide : len(pixels) - ring * wide, ring * wide : len(pixels) - ring * wide]
        for edge in (inner[:wide], inner[-wide:], inner[:, :wide], inner[:, -wide:]):
            found += [edge.mean(), edge.std()]
    return np.array(found, np.float32)


def _brightness(film: ProbeFilm) -> Floats:
    """Mean, spread and percentiles of the grey outside of the lungs."""
    grey = film.pixels[_outside(film)].astype(np.float32)
    return np.array([grey.mean(), grey.std(), *np.percentile(grey, _PERCENTILES)], np.float32)


def _sharpness(film: ProbeFilm) -> Floats:
    """How much the grey changes over one, two and four pixels outside of the lungs, and what a median leaves of it."""
    grey, outside = film.pixels.astype(np.float32), _outside(film)
    steps = [np.abs(grey - ndimage.uniform_filter(grey, 2 * reach + 1)) for reach in (1, 2, 4)]
    grain = np.abs(grey - ndimage.median_filter(grey, 3))
    return np.log1p(np.array([part[outside].mean() for part in (*steps, grain)], np.float32))


def _shape(film: ProbeFilm) -> Floats:
    """The file's own height, width, and width by height."""
    return np.log(np.array([film.height_px, film.width_px, film.width_px / film.height_px], np.float32))


def _levelled(film: ProbeFilm) -> Floats:
    pixels = film.pixels.astype(np.float32)
    return pixels - pixels[_outside(film)].mean()


def _outside(film: ProbeFilm) -> Mask:
    outside = ~around(film.lungs)
    return outside if outside.any() else ~film.lungs


def _blocks(pixels: NDArray[Any], side: int) -> Floats:
    """Mean greys of side by side equal parts; what is left over at the ends belongs to the last."""
    rows, columns = ([round(k * length / side) for k in range(side)] for length in pixels.shape)
    sums = np.add.reduceat(np.add.reduceat(pixels.astype(np.float32), rows, axis=0), columns, axis=1)
    heights, widths = (np.diff([*cuts, length]) for cuts, length in zip((rows, columns), pixels.shape, strict=True))
    return sums / np.outer(heights, widths)
