"""Random augmentation: a film as another scanner, exposure or positioning might have produced it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from cxr.registry.recipe_sections import AugmentationSettings

AUGMENTATION = 1  # version of the views that a film becomes: those cached from an older one are computed again
TONE_PIECES = 6
FILTER_REACH_PX = 3  # of a random filter, on each side of its center


def augment(pixels: NDArray[np.uint8], settings: AugmentationSettings, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random view of a film; the same state of the generator gives the same view."""
    pixels = _move(pixels, settings, rng)
    if settings.random_filter and rng.uniform(0, 1) < settings.random_filter:
        pixels = _filtered(pixels, rng)
    if settings.equalise:
        pixels = _equalized(pixels, rng.uniform(0, settings.equalise))
    pixels = _tone(settings, rng)[pixels]
    pixels = _detail(pixels, settings, rng)
    if settings.noise:
        grain = rng.normal(0, rng.uniform(0, settings.noise), pixels.shape)
        pixels = _to_uint8(pixels + grain)
    if settings.border or settings.corners:
        pixels = _frame(pixels, settings, rng)
    if settings.hide:
        pixels = _hide(pixels, settings.hide, rng)
    return pixels


def view_rng(seed: int, film: bytes, view: int) -> np.random.Generator:
    """The random generator of one view of one film; it depends on nothing else, so the order does not matter."""
    return np.random.default_rng([seed, view, int.from_bytes(film[:8], "big")])


def _move(pixels: NDArray[np.uint8], settings: AugmentationSettings, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The film after all geometric changes in one resampling, about its center."""
    size = np.array(pixels.shape, float)
    matrix, offset = _affine(settings, rng, size)
    if np.array_equal(matrix, np.eye(2)) and not offset.any():
        return pixels
    center = (size - 1) / 2
    mode = "nearest" if settings.fill == "nearest" else "constant"
    return ndimage.affine_transform(pixels, matrix, center - matrix @ center + offset, order=1, mode=mode, cval=0)


def _affine(
    settings: AugmentationSettings, rng: np.random.Generator, size: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix and offset (row, column) that map a position in the view to one in the film."""
    turn = np.deg2rad(rng.uniform(-1, 1) * settings.rotation_deg)
    shear = np.deg2rad(rng.uniform(-1, 1) * settings.shear_deg)
    zoom = rng.uniform(1 - settings.zoom, 1 + settings.zoom, 2)
    area = rng.uniform(settings.crop_area, 1)
    stretch = np.exp(rng.uniform(-1, 1) * np.log(settings.crop_aspect))
    crop = np.minimum(np.sqrt(area) * np.array([stretch**-0.5, stretch**0.5]), 1)
    mirror = np.where([settings.flip_vertical, settings.flip_horizontal], rng.choice([-1, 1], 2), 1)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    slant = np.array([[1, 0], [-np.sin(shear), np.cos(shear)]]) if shear else np.eye(2)
    matrix = rotation @ slant @ np.diag(zoom * crop * mirror)
    shift = rng.uniform(-1, 1, 2) * [settings.shift_y, settings.shift_x]
    room = (1 - crop) / 2 * rng.uniform(-1, 1, 2)
    return matrix, (shift + room) * size


def _tone(settings: AugmentationSettings, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The lookup table of the changed gray values."""
    gray = np.arange(256) / 255
    gray = gray ** np.exp(rng.uniform(-1, 1) * settings.gamma)
    gray = (gray - 0.5) * (1 + rng.uniform(-1, 1) * settings.contrast) + 0.5
    gray = gray * (1 + rng.uniform(-1, 1) * settings.brightness)
    gray = gray + rng.uniform(-1, 1) * settings.channel_shift / 255
    if settings.tone:
        slopes = np.exp(rng.normal(0, settings.tone, TONE_PIECES))
        curve = np.append(0, np.cumsum(slopes) / slopes.sum())
        gray = np.interp(gray, np.linspace(0, 1, TONE_PIECES + 1), curve)
    return _to_uint8(gray * 255)


def _equalized(pixels: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """The film blended with its histogram-equalized version in that share."""
    ranks = np.bincount(pixels.ravel(), minlength=256).cumsum() / pixels.size
    return _to_uint8((1 - share) * np.arange(256) + share * 255 * ranks)[pixels]


def _filtered(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The film mixed with its convolution with a random kernel, which keeps shapes and changes texture (Xu 2021)."""
    reach = int(rng.integers(0, FILTER_REACH_PX + 1))
    film = pixels.astype(np.float32)
    mean = film.mean()
    film -= mean
    kernel = rng.normal(0, 1, (2 * reach + 1, 2 * reach + 1)).astype(np.float32)
    filtered = ndimage.convolve(film, kernel, mode="nearest")
    filtered *= film.std() / (filtered.std() + 1e-3)
    share = rng.uniform(0, 1)
    return _to_uint8(mean + (1 - share) * film + share * filtered)


def _detail(pixels: NDArray[np.uint8], settings: AugmentationSettings, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The film with coarser, blurred or sharpened detail, as from another scanner."""
    if settings.coarsen:
        pixels = _coarse(pixels, 1 - rng.uniform(0, settings.coarsen))
    if settings.blur_px:
        pixels = _to_uint8(ndimage.gaussian_filter(pixels.astype(np.float32), rng.uniform(0, settings.blur_px)))
    if settings.sharpen:
        film = pixels.astype(np.float32)
        fine = film - ndimage.gaussian_filter(film, rng.uniform(1, 3))
        pixels = _to_uint8(film + rng.uniform(0, settings.sharpen) * fine)
    return pixels


def _coarse(pixels: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    film = Image.fromarray(pixels)
    small = (max(1, round(film.width * share)), max(1, round(film.height * share)))
    back = film.resize(small, Image.Resampling.BILINEAR).resize(film.size, Image.Resampling.BILINEAR)
    return np.asarray(back)


def _frame(pixels: NDArray[np.uint8], settings: AugmentationSettings, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The film with strips along its edges and boxes over its corners masked: these often reveal the hospital."""
    size, pixels = np.array(pixels.shape), pixels.copy()
    gray = int(rng.integers(0, 256)) if rng.uniform(0, 1) < 0.5 else 0
    if settings.border:
        (top, left), (bottom, right) = (rng.uniform(0, settings.border, (2, 2)) * size).astype(int)
        pixels[:top], pixels[:, :left] = gray, gray
        pixels[size[0] - bottom :], pixels[:, size[1] - right :] = gray, gray
    if settings.corners:
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            height, width = (rng.uniform(0, settings.corners, 2) * size).astype(int)
            if rng.uniform(0, 1) < 0.5:
                top, left = row * (size[0] - height), column * (size[1] - width)
                pixels[top : top + height, left : left + width] = gray
    return pixels


def _to_uint8(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The values rounded to gray levels; truncated, they would be half a level darker."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _hide(pixels: NDArray[np.uint8], largest: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = (rng.uniform(0, largest, 2) * pixels.shape).astype(int)
    top = rng.integers(0, pixels.shape[0] - height + 1)
    left = rng.integers(0, pixels.shape[1] - width + 1)
    pixels = pixels.copy()
    pixels[top : top + height, left : left + width] = 0
    return pixels
