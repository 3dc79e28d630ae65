"""The changes of counter-checks: what each hides or alters, and how the changed image is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from cxr.evaluation.shortcuts.heatmap_checks import mask_hottest, resized
from cxr.evaluation.shortcuts.image_properties import MARKS_PX, stroke_masks, stroke_width
from cxr.evaluation.shortcuts.lungs import Mask, Pixels, lung_box, lungs_masked, lungs_only
from cxr.films.film import Film
from cxr.films.lung_segmentation import lung_mask

HOTTEST_SHARE = 0.10  # of the image's area
CORNER = 8  # a corner is this part of the side: an eighth
CROPPED = 0.08  # of each side
ROTATION_DEG = 5.0
BRIGHTER = 25  # gray levels
WORK_PX = 1024  # of the longest side, where an image is rotated
FEWEST_STROKES, MOST_TEXT = 12, 0.12  # pixels of white strokes; text that would fill more of an image is none
LETTER_GAP = 2  # stroke widths, across which strokes are of one text


class CheckKind(StrEnum):
    """What a model that reads the lungs should do when an image is changed in this way."""

    EVIDENCE = "evidence"  # the evidence is hidden: a finding should become less probable
    OUTSIDE = "outside"  # what is not the lungs is hidden: little should change
    HARMLESS = "harmless"  # the same X-ray in another rendering: little should change
    OTHER = "other"  # for comparison


class Change(StrEnum):
    """The ways in which a counter-check changes an image."""

    HIDE_HOTTEST = "hide-hottest"
    HIDE_ELSEWHERE = "hide-elsewhere"
    HIDE_LUNGS = "hide-lungs"
    LUNGS_ONLY = "lungs-only"
    HIDE_CORNERS = "hide-corners"
    HIDE_TEXT = "hide-text"
    INVERT = "invert"
    CROP = "crop"
    ROTATE = "rotate"
    BRIGHTEN = "brighten"

    @property
    def caption(self) -> str:
        """What was done to the image, as a person reads it."""
        return _CAPTIONS[self]

    @property
    def kind(self) -> CheckKind:
        """What should happen if the model reads the lungs."""
        return _KINDS[self]


_CAPTIONS = {
    Change.HIDE_HOTTEST: "hottest 10% hidden",
    Change.HIDE_ELSEWHERE: "same area elsewhere hidden",
    Change.HIDE_LUNGS: "lungs hidden",
    Change.LUNGS_ONLY: "all but the lungs hidden",
    Change.HIDE_CORNERS: "corners hidden",
    Change.HIDE_TEXT: "text hidden",
    Change.INVERT: "inverted",
    Change.CROP: "cropped by 8%",
    Change.ROTATE: "rotated 5°",
    Change.BRIGHTEN: "brightened",
}
_KINDS = {
    Change.HIDE_HOTTEST: CheckKind.EVIDENCE,
    Change.HIDE_ELSEWHERE: CheckKind.OTHER,
    Change.HIDE_LUNGS: CheckKind.EVIDENCE,
    Change.LUNGS_ONLY: CheckKind.OUTSIDE,
    Change.HIDE_CORNERS: CheckKind.OUTSIDE,
    Change.HIDE_TEXT: CheckKind.OUTSIDE,
    Change.INVERT: CheckKind.OTHER,
    Change.CROP: CheckKind.HARMLESS,
    Change.ROTATE: CheckKind.HARMLESS,
    Change.BRIGHTEN: CheckKind.HARMLESS,
}


@dataclass(frozen=True, eq=False)
class CheckedImage:
    """An X-ray that is to be changed, with the heatmap of the class that is asked about."""

    film: Film
    heatmap: NDArray[np.floating]
    size_px: int  # of the model's input

    @cached_property
    def pixels(self) -> Pixels:
        """The X-ray as the model gets it."""
        return self.film.fitted(self.size_px)

    @cached_property
    def outline(self) -> Mask | None:
        """The outlined lungs at the model's size; None where no two plausible lungs are found."""
        return lung_mask(self.pixels)

    @property
    def lungs(self) -> Mask:
        """The outlined lungs, or the box that holds most people's."""
        return lung_box(self.size_px) if self.outline is None else self.outline

    def changed(self, change: Change) -> Pixels | None:
        """The changed image at the model's size; None where there is nothing to change."""
        return _MAKERS[change](self)


def text_mask(pixels: Pixels) -> Mask | None:
    """Where an image of about 512 pixels has burned-in text or markers: white strokes and what is between them.

    None where there are none, or so many that they are no text.
    """
    gray = pixels.astype(np.float32)
    strokes = stroke_masks(gray)[1]
    if strokes.sum() < FEWEST_STROKES:
        return None
    reach = LETTER_GAP * stroke_width(gray)
    text = ndimage.binary_closing(np.pad(strokes, reach), np.ones((3, 3)), iterations=reach // 2)
    text = ndimage.binary_dilation(text, np.ones((3, 3)), iterations=2)[reach:-reach, reach:-reach]
    return text if text.mean() <= MOST_TEXT else None


def _without_text(image: CheckedImage) -> Pixels | None:
    """The image with its text in the gray of its surroundings."""
    reduced = Image.fromarray(image.film.pixels)
    reduced.thumbnail((MARKS_PX, MARKS_PX), Image.Resampling.BOX)
    text = text_mask(np.asarray(reduced))
    if text is None:
        return None
    square = Image.fromarray(text).resize((image.size_px, image.size_px), Image.Resampling.BOX)
    return filled(image.pixels, np.asarray(square))


def filled(pixels: Pixels, hidden: Mask) -> Pixels:
    """The image with what is hidden in the gray of the nearest pixels that are not, smoothed."""
    nearest = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
    flat = ndimage.uniform_filter(pixels[tuple(nearest)].astype(np.float32), 5)
    return np.where(hidden, np.rint(flat), pixels).astype(np.uint8)


def _without_corners(image: CheckedImage) -> Pixels:
    """The image with each corner in its own median gray."""
    pixels, side = image.pixels.copy(), max(1, image.size_px // CORNER)
    for rows in (slice(None, side), slice(-side, None)):
        for columns in (slice(None, side), slice(-side, None)):
            pixels[rows, columns] = round(float(np.median(pixels[rows, columns])))
    return pixels


def _moved(heatmap: NDArray[np.floating]) -> NDArray[np.floating]:
    """The heatmap moved by half of each side, around the edges: a region of the same area in another place."""
    return np.roll(heatmap, (heatmap.shape[0] // 2, heatmap.shape[1] // 2), (0, 1))


def _cropped(image: CheckedImage) -> Pixels:
    pixels = image.film.pixels
    top, left = (round(CROPPED * length) for length in pixels.shape)
    inner = np.ascontiguousarray(pixels[top : len(pixels) - top, left : pixels.shape[1] - left])
    return Film.from_pixels(inner).fitted(image.size_px)


def _rotated(image: CheckedImage) -> Pixels:
    """The X-ray in its own proportions, rotated; what comes in at the edges repeats them."""
    reduced = Image.fromarray(image.film.pixels)
    reduced.thumbnail((WORK_PX, WORK_PX), Image.Resampling.BILINEAR)
    turned = ndimage.rotate(np.asarray(reduced), ROTATION_DEG, reshape=False, order=1, mode="nearest")
    return Film.from_pixels(turned).fitted(image.size_px)


def _brightened(image: CheckedImage) -> Pixels:
    return np.minimum(image.pixels.astype(np.int16) + BRIGHTER, 255).astype(np.uint8)


def _hottest(image: CheckedImage, heatmap: NDArray[np.floating]) -> Pixels | None:
    """The image with the hottest region blurred, at most what has any heat; None where the heatmap is blank."""
    warm = float((heatmap > 0).mean())
    return mask_hottest(image.pixels, heatmap, min(HOTTEST_SHARE, warm)) if warm else None


_MAKERS: dict[Change, Callable[[CheckedImage], Pixels | None]] = {
    Change.HIDE_HOTTEST: lambda image: _hottest(image, resized(image.heatmap, image.size_px)),
    Change.HIDE_ELSEWHERE: lambda image: _hottest(image, _moved(resized(image.heatmap, image.size_px))),
    Change.HIDE_LUNGS: lambda image: lungs_masked(image.pixels, image.lungs),
    Change.LUNGS_ONLY: lambda image: lungs_only(image.pixels, image.lungs),
    Change.HIDE_CORNERS: _without_corners,
    Change.HIDE_TEXT: _without_text,
    Change.INVERT: lambda image: (255 - image.pixels).astype(np.uint8),
    Change.CROP: _cropped,
    Change.ROTATE: _rotated,
    Change.BRIGHTEN: _brightened,
}
