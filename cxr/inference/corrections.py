"""Corrections of an X-ray that the input check reports: its gray scale inverted, or the image rotated or flipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cxr.films.film import Film
from cxr.films.film_warning import FilmWarning
from cxr.inference.input_check.findings import InputCheckCode, InputCheckResult
from cxr.inference.sources import Decode, FilmSource

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Correction:
    """One way to correct an X-ray."""

    code: InputCheckCode  # the finding that it may correct
    action: str  # what is done to the image, as in "rotated 180°"
    warning: FilmWarning  # of the corrected image
    apply: Callable[[Pixels], Pixels]

    @property
    def id_suffix(self) -> str:
        """What tells the corrected X-ray from the original, in keys and film ids."""
        return f"-{self.action.replace('°', '').replace(' ', '-')}"


CORRECTIONS = (
    Correction(InputCheckCode.INVERTED, "inverted", FilmWarning.INVERTED, lambda pixels: 255 - pixels),
    Correction(InputCheckCode.UPSIDE_DOWN, "rotated 180°", FilmWarning.ROTATED_180, lambda pixels: pixels[::-1, ::-1]),
    Correction(
        InputCheckCode.UPSIDE_DOWN, "flipped vertically", FilmWarning.FLIPPED_VERTICALLY, lambda pixels: pixels[::-1]
    ),
    Correction(
        InputCheckCode.ROTATED_90, "rotated 90° left", FilmWarning.ROTATED_LEFT, lambda pixels: np.rot90(pixels, 1)
    ),
    Correction(
        InputCheckCode.ROTATED_90, "rotated 90° right", FilmWarning.ROTATED_RIGHT, lambda pixels: np.rot90(pixels, 3)
    ),
)


def corrections_for(result: InputCheckResult | None) -> list[Correction]:
    """The corrections that may remove what the input check reports."""
    codes = {reason.code for reason in result.reasons} if result else set()
    return [correction for correction in CORRECTIONS if correction.code in codes]


def corrected(source: FilmSource, correction: Correction) -> FilmSource:
    """The same X-ray, to be read after the correction; it has a key, a name and a film id of its own."""
    return replace(
        source,
        key=source.key + correction.id_suffix,
        name=f"{source.name}, {correction.action}",
        decode=partial(_decode_corrected, source.decode, correction),
        id_suffix=source.id_suffix + correction.id_suffix,
    )


def _decode_corrected(decode: Decode, correction: Correction, data: bytes, deep: bool = False) -> Film:
    film = decode(data, deep)
    pixels = np.ascontiguousarray(correction.apply(film.pixels))
    full_depth = film.deep.corrected(correction.apply) if film.deep else None
    return replace(film, pixels=pixels, warnings=(*film.warnings, correction.warning), deep=full_depth)
