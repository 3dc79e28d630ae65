"""A film, changed as another day, another scanner or another radiographer might have made it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cxr.learning.recipe import Augmentation


def augment(pixels: NDArray[np.uint8], settings: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One random view of a film; the same generator state gives the same view."""
    pixels = _move(pixels, settings, rng)
    pixels = _tone(settings, rng)[pixels]
    if settings.blur_px:
        pixels = _grey(ndimage.gaussian_filter(pixels.astype(np.float32), rng.uniform(0, settings.blur_px)))
    if settings.noise:
        grain = rng.normal(0, rng.uniform(0, settings.noise), pixels.shape)
        pixels = _grey(pixels + grain)
    if settings.hide:
        pixels = _hide(pixels, settings.hide, rng)
    return pixels


def view_rng(seed: int, film: bytes, view: int) -> np.random.Generator:
    """The generator of one view of one film: it depends on nothing else, so views can be made in any order."""
    return np.random.default_rng([seed, view, int.from_bytes(film[:8], "big")])


def _move(pixels: NDArray[np.uint8], settings: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Every geometric change as one resampling, about the film's centre."""
    size = np.array(pixels.shape, float)
    matrix, offset = _affine(settings, rng, size)
    if np.array_equal(matrix, np.eye(2)) and not offset.any():
        return pixels
    centre = (size - 1) / 2
    mode = "nearest" if settings.fill == "nearest" else "constant"
    return ndimage.affine_transform(pixels, matrix, centre - matrix @ centre + offset, order=1, mode=mode, cval=0)


def _affine(
    settings: Augmentation, rng: np.random.Generator, size: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix and offset (row, column) from a place in the view to a place in the film."""
    turn = np.deg2rad(rng.uniform(-1, 1) * settings.rotation_deg)
    shear = np.deg2rad(rng.uniform(-1, 1) * settings.shear_deg)
    zoom = rng.uniform(1 - settings.zoom, 1 + settings.zoom, 2)
    area = rng.uniform(settings.crop_area, 1)
    stretch = np.exp(rng.uniform(-1, 1) * np.log(settings.crop_aspect))
    kept = np.minimum(np.sqrt(area) * np.array([stretch**-0.5, stretch**0.5]), 1)
    mirror = np.where([settings.flip_vertical, settings.flip_horizontal], rng.choice([-1, 1], 2), 1)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    slant = np.array([[1, 0], [-np.sin(shear), np.cos(shear)]]) if shear else np.eye(2)
    matrix = rotation @ slant @ np.diag(zoom * kept * mirror)
    shift = rng.uniform(-1, 1, 2) * [settings.shift_y, settings.shift_x]
    room = (1 - kept) / 2 * rng.uniform(-1, 1, 2)
    return matrix, (shift + room) * size


def _tone(settings: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The table from a grey value to its changed value."""
    grey = np.arange(256) / 255
    grey = grey ** np.exp(rng.uniform(-1, 1) * settings.gamma)
    grey = (grey - 0.5) * (1 + rng.uniform(-1, 1) * settings.contrast) + 0.5
    grey = grey * (1 + rng.uniform(-1, 1) * settings.brightness)
    grey = grey + rng.uniform(-1, 1) * settings.channel_shift / 255
    return _grey(grey * 255)


def _grey(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Rounded: cut off, they would be half a grey level darker."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _hide(pixels: NDArray[np.uint8], largest: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = (rng.uniform(0, largest, 2) * pixels.shape).astype(int)
    top = rng.integers(0, pixels.shape[0] - height + 1)
    left = rng.integers(0, pixels.shape[1] - width + 1)
    pixels = pixels.copy()
    pixels[top : top + height, left : left + width] = 0
    return pixels
