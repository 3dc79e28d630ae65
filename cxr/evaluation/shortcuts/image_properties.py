"""Properties of an image that are not anatomy: burned-in marks, compression, noise, resolution, gray levels, file.

Each is measured on the pixels as they are in the file, before they are resized for a model. Disease changes contrast
and structure, so compression, noise and resolution are measured outside the lungs, by ratios that depend little on how
much there is to see.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, ndimage

from cxr.evaluation.shortcuts.lungs import Mask, Pixels, outside_lungs
from cxr.evaluation.shortcuts.report import COMPRESSION, FILE, GRAY_LEVELS, MARKS, NOISE, RESOLUTION
from cxr.films.film import Film

FORMATS = ("PNG", "JPEG", "DICOM", "TIFF")
MARKS_PX = 512  # of the longest side: larger images are reduced, on which legible letters stay legible
CELLS = 8  # by 8, in which marks are counted
STROKE, OUTLYING = 30, 12  # a thin stroke: gray levels, and times the image's median, above or below its surroundings
WHITE, NEAR_WHITE = 245, 8  # burned-in letters are white, or nearly as white as anything in the image
WHITE_STROKE, WHITE_OUTLYING = 10, 4  # and stand out less where anatomy is bright
BLOCK = 8  # of JPEG
WINDOW = 16  # pixels in which structure is measured
CROP_PX = 1024  # the middle of larger images
BANDS = (1 / 16, 1 / 8, 0.2, 0.3, 0.4, 0.5)  # limits in cycles per pixel
FEWEST = 8  # places outside the lungs, for noise

Floats = NDArray[np.floating]


def image_properties(film: Film, data: bytes, lungs: Mask) -> Mapping[str, Floats]:
    """The features of each property of a film, by the property's name; `lungs` is a square of any size."""
    square = Image.fromarray(outside_lungs(lungs))
    outside = np.asarray(square.resize((film.width_px, film.height_px), Image.Resampling.NEAREST))
    gray, outside = _middle(film.pixels).astype(np.float32), _middle(outside)
    tables, color = _header(data)
    return {
        MARKS: _marks(film.pixels),
        COMPRESSION: np.append(_compression(gray, outside), tables),
        NOISE: _noise(gray, outside),
        RESOLUTION: _resolution(gray, outside),
        GRAY_LEVELS: _gray_levels(film.pixels),
        FILE: _file(film, color),
    }


def _marks(pixels: Pixels) -> Floats:
    """Thin strokes, such as letters, markers and wires have, and white ones, counted in 8 by 8 cells and together."""
    image = Image.fromarray(pixels)
    image.thumbnail((MARKS_PX, MARKS_PX), Image.Resampling.BOX)
    gray = np.asarray(image, np.float32)
    gray = np.pad(gray, [(0, max(0, CELLS - length)) for length in gray.shape], mode="edge")
    counts = [_counts(part).ravel() for part in stroke_masks(gray)]
    return np.log1p(np.concatenate([np.append(part, part.sum()) for part in counts]))


def stroke_masks(gray: Floats) -> tuple[Mask, Mask]:
    """Where a gray image of about 512 pixels has thin strokes of any kind, and where it has white ones."""
    width = stroke_width(gray)
    bright, dark = gray - ndimage.grey_opening(gray, width), ndimage.grey_closing(gray, width) - gray
    either = np.maximum(bright, dark)
    typical = np.median(either) + 0.5
    white = gray >= max(WHITE, gray.max() - NEAR_WHITE)
    return (
        either > max(STROKE, OUTLYING * typical),
        white & (bright > max(WHITE_STROKE, WHITE_OUTLYING * typical)),
    )


def stroke_width(gray: Floats) -> int:
    """The width in pixels below which a bright line in such an image counts as a thin stroke."""
    return 2 * max(2, round(0.01 * max(gray.shape))) + 1


def _counts(marked: Mask) -> Floats:
    """The number of marked pixels in each cell, in ten-thousandths of the image's."""
    rows, columns = ([round(k * length / CELLS) for k in range(CELLS)] for length in marked.shape)
    sums = np.add.reduceat(np.add.reduceat(marked.astype(np.float32), rows, axis=0), columns, axis=1)
    return 1e4 * sums / marked.size


def _compression(gray: Floats, outside: Mask) -> Floats:
    """How much grays step at every 8th row and column, and how coefficients of 8 by 8 blocks gather at zero."""
    values = []
    for axis in (0, 1):
        counted = np.logical_and(*(np.delete(outside, end, axis=axis) for end in (0, -1)))
        steps = (np.abs(np.diff(gray, axis=axis)) * counted).sum(axis=1 - axis)
        pixels = counted.sum(axis=1 - axis)
        phases = [steps[k::BLOCK].sum() / max(1, pixels[k::BLOCK].sum()) + 0.05 for k in range(BLOCK)]
        values += [np.log(phases[-1] / np.median(phases)), np.log(max(phases) / np.median(phases))]
    blocks = _windows(gray, outside, BLOCK, BLOCK)
    coefficients = np.abs(fft.dctn(blocks, axes=(1, 2), norm="ortho"))
    frequency = np.add.outer(np.arange(BLOCK), np.arange(BLOCK))
    for low, high in ((0, 3), (3, 6), (6, 14)):
        band = coefficients[:, (frequency > low) & (frequency <= high)]
        values += [((band < near).sum() / ((band < far).sum() + 1)) for near, far in ((0.75, 3), (2, 8))]
    return np.array(values, np.float32)


def _noise(gray: Floats, outside: Mask) -> Floats:
    """The standard deviation of noise (Immerkaer 1996) in the evenest parts, which are neither black nor white."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    parts = (slice(3, -3, 4),) * 2
    residue = ndimage.uniform_filter(np.abs(ndimage.convolve(gray, kernel)), 7)[parts]
    mean = ndimage.uniform_filter(gray, 7)[parts]
    chosen = outside[parts] & (mean > 8) & (mean < 247) & (residue > 0)
    values = residue[chosen]
    if len(values) < FEWEST:
        return np.zeros(3, np.float32)
    return np.log(np.quantile(values, (0.05, 0.15, 0.3)) + 0.05).astype(np.float32)


def _resolution(gray: Floats, outside: Mask) -> Floats:
    """How the power of structure falls from one band of spatial frequency to the next finer one."""
    windows = _windows(gray, outside, WINDOW, WINDOW // 2)
    if not len(windows):
        return np.zeros(len(BANDS) - 3, np.float32)
    taper = np.outer(*(np.hanning(WINDOW + 2)[1:-1],) * 2)
    power = np.abs(fft.rfft2((windows - windows.mean(axis=(1, 2), keepdims=True)) * taper)) ** 2
    frequency = np.hypot(fft.fftfreq(WINDOW)[:, None], fft.rfftfreq(WINDOW)[None])
    bands = [(frequency > low) & (frequency <= high) for low, high in itertools.pairwise(BANDS)]
    typical = np.log([np.median(power[:, band].mean(axis=1)) + 1 for band in bands])
    return np.diff(typical)[1:].astype(np.float32)


def _windows(gray: Floats, outside: Mask, side: int, step: int) -> Floats:
    """The squares of this side that lie outside the lungs and are not empty."""
    if min(gray.shape) < side:
        return np.zeros((0, side, side), np.float32)
    squares, free = (
        np.lib.stride_tricks.sliding_window_view(part, (side, side))[::step, ::step].reshape(-1, side, side)
        for part in (gray, outside)
    )
    return squares[(squares.std(axis=(1, 2)) > 1) & free.all(axis=(1, 2))]


def _gray_levels(pixels: Pixels) -> Floats:
    """How evenly neighboring gray levels are used: a changed gray curve leaves gaps and peaks."""
    counts = np.bincount(pixels.ravel(), minlength=256).astype(float)
    first, last = np.percentile(pixels, (1, 99)).astype(int)
    within = counts[first : last + 1]
    usual = ndimage.uniform_filter1d(within, 7) + 1
    values = [within == 0, np.abs(within - usual) / usual, within < 0.2 * usual, within > 2 * usual]
    return np.array([value.mean() for value in values], np.float32)


def _file(film: Film, color: bool) -> Floats:
    """Format, bits, whether there is color, and size of the file's image."""
    size = np.log([film.height_px, film.width_px, film.width_px / film.height_px])
    return np.array([*(film.format == name for name in FORMATS), film.bits, color, *size], np.float32)


def _header(data: bytes) -> tuple[float, bool]:
    """The mean of a JPEG's first quantization table, as a logarithm (0 for other files), and whether it has color."""
    try:
        with Image.open(BytesIO(data)) as image:
            tables = getattr(image, "quantization", None)
            mean = float(np.mean(list(tables[min(tables)]))) if tables else 0.0
            return float(np.log1p(mean)), image.mode not in ("1", "L", "F") and not image.mode.startswith("I")
    except Exception:  # a DICOM, or a header that Pillow does not understand
        return 0.0, False


def _middle(pixels: NDArray[Any]) -> NDArray[Any]:
    """The middle of the image, with the grid of its 8 by 8 blocks."""
    top, left = (max(0, (length - CROP_PX) // 2 // BLOCK * BLOCK) for length in pixels.shape)
    return pixels[top : top + CROP_PX, left : left + CROP_PX]
