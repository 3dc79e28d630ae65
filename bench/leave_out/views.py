"""Augmentation and normalization of gray levels in JAX, one image at a time; every strength is a number at run time.

The distributions follow `cxr.learning.augmentation`; a loss of resolution is a blur here, as sizes are fixed on a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

from bench.leave_out.films import SIZE_PX

KNOTS = 33
TONE_PIECES = 6
FILTER_PX = 7
Strengths = Mapping[str, Any]  # geometry, crop, equalize, tone, detail, frame: 1 is the recipe vgg16-broad of 0.1
PLAIN: dict[str, float] = {"geometry": 1.0, "crop": 0.3, "equalize": 0.5, "tone": 1.0, "detail": 1.0, "frame": 1.0}
STRONG: dict[str, float] = {"geometry": 1.5, "crop": 0.45, "equalize": 0.9, "tone": 1.8, "detail": 1.6, "frame": 1.3}


class Draws:
    """Random numbers for one view."""

    def __init__(self, key: Any) -> None:
        self.keys = iter(jax.random.split(key, 48))

    def uniform(self, low: float = -1.0, high: float = 1.0, shape: tuple[int, ...] = ()) -> Any:
        """Uniform numbers from low to high."""
        return jax.random.uniform(next(self.keys), shape, minval=low, maxval=high)

    def normal(self, shape: tuple[int, ...]) -> Any:
        """Standard normal numbers."""
        return jax.random.normal(next(self.keys), shape)


def augment(image: Any, key: Any, strengths: Strengths, random_filter: Any = 0.0) -> Any:
    """A random view of a gray image of 0 to 255; `random_filter` is the probability of a random filter."""
    draws = Draws(key)
    image = _moved(image, draws, strengths)
    image = _randomly_filtered(image, draws, random_filter)
    share = draws.uniform(0.0) * strengths["equalize"]
    image = _toned((1 - share) * image + share * equalized(image), draws, strengths["tone"])
    return _framed(_detailed(image, draws, strengths["detail"]), draws, strengths["frame"])


def equalized(image: Any) -> Any:
    """The image with evenly spaced quantiles, as `cxr.learning.normalization` makes it."""
    ranked = jnp.sort(image[::4, ::4].ravel())
    quantiles = ranked[jnp.linspace(0, ranked.size - 1, KNOTS).astype(int)] + jnp.arange(KNOTS) * 1e-3
    return jnp.interp(image, quantiles, jnp.linspace(0, 255, KNOTS))


def locally_normalized(image: Any) -> Any:
    """The image with equal mean and contrast in every neighborhood of 41 pixels."""
    box = jnp.ones(41) / 41
    mean = _filtered(image, box)
    deviation = jnp.sqrt(_filtered((image - mean) ** 2, box)) + 10
    return jnp.clip((image - mean) / deviation * 45 + 127.5, 0, 255)


def without_margin(image: Any, share: Any) -> Any:
    """The image without this share of each side, enlarged to its size."""
    center = (SIZE_PX - 1) / 2
    line = (jnp.arange(SIZE_PX) - center) * (1 - 2 * share) + center
    return map_coordinates(image, jnp.meshgrid(line, line, indexing="ij"), order=1, mode="nearest")


def blurred(image: Any, sigma: Any, radius: int = 6) -> Any:
    """The image after a Gaussian blur."""
    offsets = jnp.arange(-radius, radius + 1)
    weights = jnp.exp(-0.5 * (offsets / jnp.maximum(sigma, 0.05)) ** 2)
    return _filtered(image, weights / weights.sum())


def _filtered(image: Any, weights: Any) -> Any:
    radius = len(weights) // 2
    for axis in (0, 1):
        padded = jnp.pad(image, radius, mode="edge")
        start = [(k, radius) if axis == 0 else (radius, k) for k in range(len(weights))]
        image = sum(
            weight * jax.lax.dynamic_slice(padded, place, (SIZE_PX, SIZE_PX))
            for weight, place in zip(weights, start, strict=True)
        )
    return image


def _randomly_filtered(image: Any, draws: Draws, probability: Any) -> Any:
    """The image mixed with its convolution with a random kernel, with its own mean and spread (RandConv, Xu 2021)."""
    side = jnp.arange(FILTER_PX) - FILTER_PX // 2
    reach = jnp.floor(draws.uniform(0.0, FILTER_PX // 2 + 1.0))  # kernels of 1 to FILTER_PX pixels
    inside = (jnp.abs(side)[:, None] <= reach) & (jnp.abs(side)[None] <= reach)
    kernel = jnp.where(inside, draws.normal((FILTER_PX, FILTER_PX)), 0.0)
    centered = image - image.mean()
    padded = jnp.pad(centered, FILTER_PX // 2, mode="edge")
    shifts = [(row, column) for row in range(FILTER_PX) for column in range(FILTER_PX)]
    filtered = sum(kernel[shift] * jax.lax.dynamic_slice(padded, shift, (SIZE_PX, SIZE_PX)) for shift in shifts)
    filtered *= centered.std() / (filtered.std() + 1e-3)
    share = draws.uniform(0.0)
    mixed = jnp.clip(image.mean() + (1 - share) * centered + share * filtered, 0, 255)
    return jnp.where(draws.uniform(0.0) < probability, mixed, image)


def _moved(image: Any, draws: Draws, strengths: Strengths) -> Any:
    geometry = strengths["geometry"]
    turn = jnp.deg2rad(draws.uniform() * 10 * geometry)
    zoom = 1 + draws.uniform(shape=(2,)) * 0.1 * geometry
    area = 1 - draws.uniform(0.0) * strengths["crop"]
    stretch = jnp.exp(draws.uniform() * jnp.log(1.2) * geometry)
    crop = jnp.minimum(jnp.sqrt(area) * jnp.stack([stretch**-0.5, stretch**0.5]), 1)
    rotation = jnp.array([[jnp.cos(turn), -jnp.sin(turn)], [jnp.sin(turn), jnp.cos(turn)]])
    matrix = rotation @ jnp.diag(zoom * crop)
    shift = draws.uniform(shape=(2,)) * 0.05 * geometry + (1 - crop) / 2 * draws.uniform(shape=(2,))
    center, line = (SIZE_PX - 1) / 2, jnp.arange(SIZE_PX, dtype=jnp.float32)
    places = jnp.stack(jnp.meshgrid(line, line, indexing="ij")) - center
    places = jnp.einsum("ij,jhw->ihw", matrix, places) + center + (shift * SIZE_PX)[:, None, None]
    return map_coordinates(image, [places[0], places[1]], order=1, mode="constant", cval=0.0)


def _toned(image: Any, draws: Draws, tone: Any) -> Any:
    gray = jnp.maximum(image / 255, 1e-4) ** jnp.exp(draws.uniform() * 0.4 * tone)
    gray = (gray - 0.5) * (1 + draws.uniform() * 0.25 * tone) + 0.5
    gray = gray * (1 + draws.uniform() * 0.15 * tone)
    slopes = jnp.exp(draws.normal((TONE_PIECES,)) * 0.3 * tone)
    curve = jnp.append(0, jnp.cumsum(slopes) / slopes.sum())
    return jnp.clip(jnp.interp(gray, jnp.linspace(0, 1, TONE_PIECES + 1), curve), 0, 1) * 255


def _detailed(image: Any, draws: Draws, detail: Any) -> Any:
    resolution = 1 - draws.uniform(0.0) * 0.3 * detail
    coarse, soft = 0.6 * (1 / resolution - 1), draws.uniform(0.0) * 1.2 * detail
    image = blurred(image, jnp.sqrt(coarse**2 + soft**2), 5)
    image = image + draws.uniform(0.0) * detail * (image - blurred(image, draws.uniform(1.0, 3.0), 7))
    return jnp.clip(image, 0, 255) + draws.normal(image.shape) * draws.uniform(0.0) * 8 * detail


def _framed(image: Any, draws: Draws, frame: Any) -> Any:
    line, gray = jnp.arange(SIZE_PX), jnp.where(draws.uniform(0.0) < 0.5, draws.uniform(0.0, 255.0), 0.0)
    top, bottom, left, right = draws.uniform(0.0, 0.08, (4,)) * SIZE_PX * frame
    hidden = ((line < top) | (line >= SIZE_PX - bottom))[:, None] | ((line < left) | (line >= SIZE_PX - right))[None]
    for low in (True, False):
        for near in (True, False):
            height, width = draws.uniform(0.0, 0.2, (2,)) * SIZE_PX * frame
            rows = line < height if low else line >= SIZE_PX - height
            columns = line < width if near else line >= SIZE_PX - width
            hidden |= rows[:, None] & columns[None] & (draws.uniform(0.0) < 0.5)
    image = jnp.where(hidden, gray, image)
    sides = draws.uniform(0.0, 0.25, (2,)) * SIZE_PX * frame
    start = draws.uniform(0.0, 1.0, (2,)) * (SIZE_PX - sides)
    rows, columns = ((line >= start[k]) & (line < start[k] + sides[k]) for k in (0, 1))
    return jnp.clip(jnp.where(rows[:, None] & columns[None], 0.0, image), 0, 255)
