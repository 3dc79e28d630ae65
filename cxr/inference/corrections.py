"""A film that lies wrong is read again as it should lie: a negative inverted, a turned film turned back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cxr.films.film import Film
from cxr.films.film_warning import FilmWarning
from cxr.inference.input_check.input_check import InputCheckResult
from cxr.inference.sources import FilmSource

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Correction:
    """One way to set a film right."""

    code: str  # what the gate calls the fault
    action: str  # "inverted": what is done to the film
    warning: FilmWarning  # of the corrected image
    apply: Callable[[Pixels], Pixels]

    @property
    def id_suffix(self) -> str:
        """Tells the mended film from the one that came, in keys and in its number."""
        return f"-{self.action.replace(' ', '-')}"


CORRECTIONS = (
    Correction("negative", "inverted", FilmWarning.INVERTED, lambda pixels: 255 - pixels),
    Correction("upside down", "turned by half", FilmWarning.ROTATED_180, lambda pixels: pixels[::-1, ::-1]),
    Correction("upside down", "mirrored top to bottom", FilmWarning.FLIPPED_VERTICALLY, lambda pixels: pixels[::-1]),
    Correction("on its side", "turned to the left", FilmWarning.ROTATED_LEFT, lambda pixels: np.rot90(pixels, 1)),
    Correction("on its side", "turned to the right", FilmWarning.ROTATED_RIGHT, lambda pixels: np.rot90(pixels, 3)),
)


def corrections_for(gate: InputCheckResult | None) -> list[Correction]:
    """What may set a film right of which the gate says this."""
    kinds = {reason.code for reason in gate.reasons} if gate else set()
    return [mend for mend in CORRECTIONS if mend.code in kinds]


def corrected(source: FilmSource, mend: Correction) -> FilmSource:
    """The same film, to be read as the mend makes it; it says so wherever it is read, and has a number of its own."""
    return replace(
        source,
        key=source.key + mend.id_suffix,
        name=f"{source.name}, {mend.action}",
        decode=partial(_decoded, source.decode, mend),
        mark=source.id_suffix + mend.id_suffix,
    )


def _decoded(decode: Callable[[bytes], Film], mend: Correction, data: bytes) -> Film:
    film = decode(data)
    pixels = np.ascontiguousarray(mend.apply(film.pixels))
    return replace(film, pixels=pixels, warnings=(*film.warnings, mend.warning))
