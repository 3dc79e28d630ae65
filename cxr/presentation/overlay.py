"""A film and a heatmap become one picture.

The heat is laid on in proportion to itself: where the model did not look, the film stays as it was.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SHADES = 256
OPACITY = 0.45  # of the greatest heat


def upscale(heatmap: NDArray[np.floating], height_px: int, width_px: int) -> NDArray[np.float32]:
    """The heatmap at a film's size, smooth between its cells, within 0..1."""
    if heatmap.ndim != 2 or 0 in heatmap.shape:
        raise ValueError(f"A heatmap has rows and columns; this one has the shape {heatmap.shape}.")
    cells = np.clip(heatmap.astype(np.float32), 0, 1)
    if not np.isfinite(cells).all():
        raise ValueError("A heatmap must hold numbers only; this one has NaN.")
    # Bicubic's lobes are negative beside a peak, so that clipping leaves untouched cells at exactly 0.
    smooth = Image.fromarray(cells).resize((width_px, height_px), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(smooth, np.float32), 0, 1)


def colour(heatmap01: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The heatmap in colours, (height, width, 3): dark violet for little, pale yellow for most."""
    return _inferno()[_shades(np.clip(heatmap01, 0, 1))]


def _shades(heatmap01: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.rint(heatmap01 * (_SHADES - 1)).astype(np.uint8)


def overlay(film_pixels: NDArray[np.uint8], heatmap: NDArray[np.floating], opacity: float = OPACITY) -> Image.Image:
    """The film, pixel for pixel, with the heat over it; `opacity` is how much the greatest heat covers."""
    if film_pixels.dtype != np.uint8 or film_pixels.ndim != 2:
        raise ValueError(
            f"A film is a grey uint8 image; this is {film_pixels.dtype} with {film_pixels.ndim} dimensions."
        )
    if not 0 <= opacity <= 1:
        raise ValueError(f"The opacity must lie between 0 and 1, not {opacity}.")
    heat = Image.fromarray(_shades(upscale(heatmap, *film_pixels.shape)))
    cover = heat.point([round(opacity * shade) for shade in range(_SHADES)])
    heat.putpalette(_inferno().tobytes())
    picture = Image.fromarray(film_pixels).convert("RGB")
    picture.paste(heat.convert("RGB"), mask=cover)
    return picture


def place_of_peak(heatmap: NDArray[np.floating]) -> str:
    """Where the heat is greatest, in words, as the film is seen: for those who cannot see the picture."""
    if not heatmap.max() > 0:
        return "the heatmap is empty: nothing in this film speaks for it."
    row, column = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
    height = ("upper", "middle", "lower")[int(3 * row / heatmap.shape[0])]
    side = ("left", "middle", "right")[int(3 * column / heatmap.shape[1])]
    place = "centre" if (height, side) == ("middle", "middle") else f"{height} {side}"
    hot = float((upscale(heatmap, 64, 64) > 0.5).mean())
    return f"the heat is greatest in the {place} of the picture; {hot:.0%} of it is hotter than half the peak."


@cache
def _inferno() -> NDArray[np.uint8]:
    """Inferno's shades, a row each: even steps to the eye, and told apart by the colour-blind too."""
    from plotly.colors import hex_to_rgb, sequential  # slow to import, and needed only once there is heat

    knots = np.array([hex_to_rgb(knot) for knot in sequential.Inferno])
    places = np.linspace(0, len(knots) - 1, _SHADES)
    channels = [np.interp(places, np.arange(len(knots)), channel) for channel in knots.T]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)
