"""Features of a film outside the lungs, of which shortcuts are usually made: corners, border, brightness, sharpness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cxr.evaluation.shortcuts.lungs import Mask, Pixels, outside_lungs

Floats = NDArray[np.floating]

THUMBNAIL_PX = 8
REGIONS = ("corners", "border", "brightness", "sharpness", "shape")
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_RINGS = 4


@dataclass(frozen=True, eq=False)
class FilmWithLungs:
    """A film as the model gets it, its lungs, the size of its file, and its image properties."""

    pixels: Pixels  # (side, side)
    lungs: Mask
    height_px: int
    width_px: int
    properties: Mapping[str, Floats] = field(default_factory=dict)


def thumbnail_features(pixels: Pixels) -> Floats:
    """The film as 8 by 8 mean gray values."""
    return _blocks(pixels, THUMBNAIL_PX).ravel()


def region_features(film: FilmWithLungs, name: str) -> Floats:
    """The features of the region of this name."""
    return {"corners": _corners, "border": _border, "brightness": _brightness, "sharpness": _sharpness}.get(
        name, _shape
    )(film)


def _corners(film: FilmWithLungs) -> Floats:
    """Each corner, an eighth of the side, as 4 by 4 mean gray values, less the mean outside the lungs."""
    side, pixels = max(4, len(film.pixels) // 8), _leveled(film)
    left, right = pixels[:, :side], pixels[:, -side:]
    return np.concatenate([_blocks(part, 4).ravel() for half in (left, right) for part in (half[:side], half[-side:])])


def _border(film: FilmWithLungs) -> Floats:
    """Mean and spread of each side of four rings around the film, a 64th of the side wide each, less the same mean."""
    pixels = _leveled(film)
    wide, values = max(1, len(pixels) // 64), []
    for ring in range(_RINGS):
        inner = pixels[ring * wide : len(pixels) - ring * wide, ring * wide : len(pixels) - ring * wide]
        for edge in (inner[:wide], inner[-wide:], inner[:, :wide], inner[:, -wide:]):
            values += [edge.mean(), edge.std()]
    return np.array(values, np.float32)


def _brightness(film: FilmWithLungs) -> Floats:
    """Mean, standard deviation and percentiles of the gray values outside the lungs."""
    gray = film.pixels[outside_lungs(film.lungs)].astype(np.float32)
    return np.array([gray.mean(), gray.std(), *np.percentile(gray, _PERCENTILES)], np.float32)


def _sharpness(film: FilmWithLungs) -> Floats:
    """How gray values outside the lungs change over one, two and four pixels, and the residue of a median filter."""
    gray, outside = film.pixels.astype(np.float32), outside_lungs(film.lungs)
    steps = [np.abs(gray - ndimage.uniform_filter(gray, 2 * reach + 1)) for reach in (1, 2, 4)]
    grain = np.abs(gray - ndimage.median_filter(gray, 3))
    return np.log1p(np.array([part[outside].mean() for part in (*steps, grain)], np.float32))


def _shape(film: FilmWithLungs) -> Floats:
    """The file's own height, width, and width by height."""
    return np.log(np.array([film.height_px, film.width_px, film.width_px / film.height_px], np.float32))


def _leveled(film: FilmWithLungs) -> Floats:
    pixels = film.pixels.astype(np.float32)
    return pixels - pixels[outside_lungs(film.lungs)].mean()


def _blocks(pixels: NDArray[Any], side: int) -> Floats:
    """Mean gray values of side by side equal blocks; the last block takes the remainder."""
    rows, columns = ([round(k * length / side) for k in range(side)] for length in pixels.shape)
    sums = np.add.reduceat(np.add.reduceat(pixels.astype(np.float32), rows, axis=0), columns, axis=1)
    heights, widths = (np.diff([*cuts, length]) for cuts, length in zip((rows, columns), pixels.shape, strict=True))
    return sums / np.outer(heights, widths)
