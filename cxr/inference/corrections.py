"""Corrections of an X-ray that the input check reports: its gray scale inverted, or the image rotated or flipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cxr.films.film import Film
from cxr.films.film_warning import FilmWarning
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


def corrections_for(result: InputCheckResult | None, film: Film | None = None) -> list[Correction]:
    """The corrections that may remove what the input check reports.

    Where the header of this X-ray knows how the image lies, only the one that leads to an upright image.
    """
    codes = {reason.code for reason in result.reasons} if result else set()
    possible = [correction for correction in CORRECTIONS if correction.code in codes]
    if film is None or position_of(film.edges) in (None, Position.UPRIGHT):
        return possible
    known = [
        correction
        for correction in possible
        if position_of(edges_after(film.edges, correction.apply)) in (Position.UPRIGHT, Position.MIRRORED)
    ]
    return sorted(known, key=lambda c: position_of(edges_after(film.edges, c.apply)) != Position.UPRIGHT) or possible


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
    film = decode(data, deep)
    pixels = np.ascontiguousarray(correction.apply(film.pixels))
    full_depth = film.deep.corrected(correction.apply) if film.deep else None
    return replace(
        film,
        pixels=pixels,
        warnings=(*film.warnings, correction.warning),
        deep=full_depth,
        edges=edges_after(film.edges, correction.apply),
    )
