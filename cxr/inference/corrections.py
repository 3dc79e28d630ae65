"""Corrections of an X-ray: its gray scale inverted or windowed anew, the image rotated or flipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cxr.films.display_windows import display_windows
from cxr.films.film import Film
from cxr.films.film_warning import FilmWarning, pixel_warnings
from cxr.films.position import Position, edges_after, position_of
from cxr.inference.input_check.findings import InputCheckCode, InputCheckResult
from cxr.inference.sources import Decode, FilmSource

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Correction:
    """One way to correct an X-ray."""

    code: InputCheckCode  # the finding that it may correct
    request: str  # what a button says, as in "Rotate 180°"
    action: str  # what is done to the image, as in "rotated 180°"
    warning: FilmWarning  # of the corrected image
    apply: Callable[[Pixels], Pixels]

    @property
    def id_suffix(self) -> str:
        """What tells the corrected X-ray from the original, in keys and film ids."""
        return f"-{self.action.replace('°', '').replace(' ', '-')}"


def _invert(pixels: Pixels) -> Pixels:
    return 255 - pixels


def _rotate_180(pixels: Pixels) -> Pixels:
    return pixels[::-1, ::-1]


CORRECTIONS = (
    Correction(InputCheckCode.INVERTED, "Invert grayscale", "inverted", FilmWarning.INVERTED, _invert),
    Correction(InputCheckCode.UPSIDE_DOWN, "Rotate 180°", "rotated 180°", FilmWarning.ROTATED_180, _rotate_180),
    Correction(
        InputCheckCode.UPSIDE_DOWN, "Flip vertically", "flipped vertically", FilmWarning.FLIPPED_VERTICALLY, np.flipud
    ),
    Correction(InputCheckCode.ROTATED_90, "Rotate 90° left", "rotated 90° left", FilmWarning.ROTATED_LEFT, np.rot90),
    Correction(
        InputCheckCode.ROTATED_90,
        "Rotate 90° right",
        "rotated 90° right",
        FilmWarning.ROTATED_RIGHT,
        lambda pixels: np.rot90(pixels, 3),
    ),
    Correction(InputCheckCode.MIRRORED, "Flip horizontally", "flipped horizontally", FilmWarning.MIRRORED, np.fliplr),
)


# For a DICOM file whose window is too narrow: what the header asks for is not kept.
WIDEN = Correction(
    InputCheckCode.BLANK, "Use all gray levels", "all gray levels", FilmWarning.WIDENED, lambda pixels: pixels
)


def corrections_for(result: InputCheckResult | None, film: Film | None = None) -> list[Correction]:
    """The corrections that may remove what the input check reports.

    Where the header of this X-ray knows how the image lies, only the one that leads to an upright image.
    """
    codes = {reason.code for reason in result.reasons} if result else set()
    possible = [correction for correction in CORRECTIONS if correction.code in codes]
    if film is not None and FilmWarning.NARROW_WINDOW in film.warnings:
        return [WIDEN]  # what such an image looks like says nothing of how it lies
    if film is None or position_of(film.edges) in (None, Position.UPRIGHT):
        return possible
    known = [
        correction
        for correction in possible
        if position_of(edges_after(film.edges, correction.apply)) in (Position.UPRIGHT, Position.MIRRORED)
    ]
    return sorted(known, key=lambda c: position_of(edges_after(film.edges, c.apply)) != Position.UPRIGHT) or possible


def widened(film: Film) -> Film:
    """The X-ray, read with its full depth, with the gray levels of 99% of its pixels instead of its window."""
    if film.deep is None:
        return film
    auto = next(window for window in display_windows(film.deep) if window.code == "auto")
    deep = film.deep.through(auto.center, auto.width)
    outdated = (FilmWarning.NARROW_WINDOW, *pixel_warnings(film.pixels))
    warnings = [warning for warning in film.warnings if warning not in outdated]
    pixels = np.ascontiguousarray(deep.rendered)
    return replace(film, pixels=pixels, warnings=(*warnings, *pixel_warnings(pixels)), deep=deep)


def corrected(source: FilmSource, correction: Correction) -> FilmSource:
    """The same X-ray, to be read after the correction; it has a key, a name and a film id of its own."""
    return replace(
        source,
        key=source.key + correction.id_suffix,
        name=f"{source.name}, {correction.action}",
        decode=partial(_decode_corrected, source.decode, correction),
        id_suffix=source.id_suffix + correction.id_suffix,
        original=source.original or source,
    )


def _decode_corrected(decode: Decode, correction: Correction, data: bytes, deep: bool = False) -> Film:
    film = decode(data, deep or correction is WIDEN)
    if correction is WIDEN:
        film = widened(film)
        return replace(film, warnings=(*film.warnings, correction.warning), deep=film.deep if deep else None)
    pixels = np.ascontiguousarray(correction.apply(film.pixels))
    full_depth = film.deep.corrected(correction.apply) if film.deep else None
    return replace(
        film,
        pixels=pixels,
        warnings=(*film.warnings, correction.warning),
        deep=full_depth,
        edges=edges_after(film.edges, correction.apply),
    )
