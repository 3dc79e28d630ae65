"""An X-ray with a heatmap over it.

The heatmap covers in proportion to its values: where it is zero, the X-ray is unchanged.
"""

from collections.abc import Iterator
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr.core.number_format import percent

_SHADES = 256
_BAND_PX = 1 << 15
OPACITY = 0.45  # of the peak
PALETTE_NAMES = {"inferno": "Inferno", "viridis": "Viridis", "turbo": "Turbo"}  # as Plotly names them


def upscale(heatmap: NDArray[np.floating], height_px: int, width_px: int) -> NDArray[np.float32]:
    """The heatmap at an X-ray's size, smooth between its cells, within 0..1."""
    cells = _cells(heatmap)
    smooth = np.empty((height_px, width_px), np.float32)
    for rows, values in _enlarged(cells, height_px, width_px):
        # Bicubic's lobes are negative beside a peak, so that clipping leaves untouched cells at exactly 0.
        np.clip(values, 0, 1, out=smooth[rows])
    return smooth


def _cells(heatmap: NDArray[np.floating]) -> NDArray[np.float32]:
    """The heatmap's values within 0..1; ValueError where it is none."""
    if heatmap.ndim != 2 or 0 in heatmap.shape:
        raise ValueError(f"A heatmap has two dimensions; this one has the shape {heatmap.shape}.")
    cells = np.clip(heatmap.astype(np.float32), 0, 1)
    if not np.isfinite(cells).all():
        raise ValueError("A heatmap must be finite; this one has NaN or infinity.")
    return cells


def _enlarged(cells: NDArray[np.float32], height_px: int, width_px: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """The cells enlarged by bicubic interpolation, band by band: its rows, and their values.

    A band is small enough for the processor's cache, and for one thread: others may be at work.
    """
    wide = np.asarray(Image.fromarray(cells).resize((width_px, len(cells)), Image.Resampling.BICUBIC))
    weights = _row_weights(len(cells), height_px)
    for top in range(0, height_px, count := max(1, _BAND_PX // width_px)):
        rows = slice(top, min(top + count, height_px))
        used = np.flatnonzero(weights[rows].any(axis=0))
        taken = slice(used[0], used[-1] + 1)
        yield rows, weights[rows, taken] @ wide[taken]


@lru_cache(maxsize=16)
def _row_weights(rows: int, height_px: int) -> NDArray[np.float32]:
    """The share of each row of cells in each row of pixels: what Pillow makes of a picture with one row set."""
    alone = Image.fromarray(np.eye(rows, dtype=np.float32))
    return np.asarray(alone.resize((rows, height_px), Image.Resampling.BICUBIC))


def apply_colormap(heatmap01: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The heatmap in color, (height, width, 3): from dark violet to pale yellow."""
    return _inferno()[_shades(np.clip(heatmap01, 0, 1))]


def palettes() -> dict[str, NDArray[np.uint8]]:
    """The color scales that a viewer offers, each 256 shades from no evidence to the peak; the first is the usual."""
    return {name: _palette(name) for name in PALETTE_NAMES}


def _shades(heatmap01: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.rint(heatmap01 * (_SHADES - 1)).astype(np.uint8)


def overlay(film_pixels: NDArray[np.uint8], heatmap: NDArray[np.floating], opacity: float = OPACITY) -> Image.Image:
    """The X-ray, pixel for pixel, with the heatmap over it; `opacity` is that of the peak."""
    if film_pixels.dtype != np.uint8 or film_pixels.ndim != 2:
        raise ValueError(
            f"An X-ray is a gray uint8 image; this is {film_pixels.dtype} with {film_pixels.ndim} dimensions."
        )
    if not 0 <= opacity <= 1:
        raise ValueError(f"The opacity must be between 0 and 1, not {opacity}.")
    height_px, width_px = film_pixels.shape
    blended, picture = _blended(opacity), np.empty((height_px, width_px), np.uint32)
    for rows, values in _enlarged(_cells(heatmap) * (_SHADES - 1), height_px, width_px):
        np.clip(values, 0, _SHADES - 1, out=values)
        values += 0.5
        place = values.astype(np.uint16)  # the shade; below, that and the gray level
        place <<= 8
        place |= film_pixels[rows]
        np.take(blended, place, out=picture[rows], mode="clip")
    return Image.frombytes("RGB", (width_px, height_px), picture.data, "raw", "RGBX", 0, 1)


@lru_cache(maxsize=8)
def _blended(opacity: float) -> NDArray[np.uint32]:
    """The color of each shade over each gray level, at 256 times the shade plus the level, as RGBX."""
    covers = np.array([round(opacity * shade) for shade in range(_SHADES)])[:, None, None] / (_SHADES - 1)
    gray = np.arange(_SHADES)[:, None]
    colors = np.zeros((_SHADES, _SHADES, 4), np.uint8)
    colors[..., :3] = np.rint((1 - covers) * gray + covers * _inferno()[:, None])
    return colors.view(np.uint32).ravel()


def describe_peak(heatmap: NDArray[np.floating]) -> str:
    """Where the heatmap has its peak, as seen on the screen: for those who cannot see the image."""
    if not heatmap.max() > 0:
        return "the heatmap is blank; no area of the X-ray raises this score."
    row, column = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
    height = ("upper", "middle", "lower")[int(3 * row / heatmap.shape[0])]
    side = ("left", "middle", "right")[int(3 * column / heatmap.shape[1])]
    place = "center" if (height, side) == ("middle", "middle") else f"{height} {side}"
    above = percent(float((upscale(heatmap, 64, 64) > 0.5).mean()))
    return f"heatmap peak in the {place} of the image; {above} of the image is above half the peak."


def _inferno() -> NDArray[np.uint8]:
    """The shades of Inferno, a row each: perceptually uniform, also with color vision deficiency."""
    return _palette("inferno")


@cache
def _palette(name: str) -> NDArray[np.uint8]:
    """The shades of a color scale of Plotly's, a row each."""
    from plotly.colors import hex_to_rgb, sequential  # slow to import, and needed only for a heatmap

    knots = np.array([hex_to_rgb(knot) for knot in getattr(sequential, PALETTE_NAMES[name])])
    places = np.linspace(0, len(knots) - 1, _SHADES)
    channels = [np.interp(places, np.arange(len(knots)), channel) for channel in knots.T]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)
