"""A film that lies wrong is read again as it should lie: a negative inverted, a turned film turned back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cxr.films.film import Film
from cxr.inference.input_check.input_check import InputCheckResult
from cxr.inference.sources import FilmSource

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Correction:
    """One way to set a film right."""

    kind: str  # what the gate calls the fault
    how: str  # "inverted": what is done to the film
    change: Callable[[Pixels], Pixels]

    @property
    def mark(self) -> str:
        """Tells the mended film from the one that came, in keys and in its number."""
        return f"-{self.how.replace(' ', '-')}"


CORRECTIONS = (
    Correction("negative", "inverted", lambda pixels: 255 - pixels),
    Correction("upside down", "turned by half", lambda pixels: pixels[::-1, ::-1]),
    Correction("upside down", "mirrored top to bottom", lambda pixels: pixels[::-1]),
    Correction("on its side", "turned to the left", lambda pixels: np.rot90(pixels, 1)),
    Correction("on its side", "turned to the right", lambda pixels: np.rot90(pixels, 3)),
)


def corrections_for(gate: InputCheckResult | None) -> list[Correction]:
    """What may set a film right of which the gate says this."""
    kinds = {reason.kind for reason in gate.reasons} if gate else set()
    return [mend for mend in CORRECTIONS if mend.kind in kinds]


def corrected(source: FilmSource, mend: Correction) -> FilmSource:
    """The same film, to be read as the mend makes it; it says so wherever it is read, and has a number of its own."""
    return replace(
        source,
        key=source.key + mend.mark,
        name=f"{source.name}, {mend.how}",
        decode=partial(_decoded, source.decode, mend),
        mark=source.mark + mend.mark,
    )


def _decoded(decode: Callable[[bytes], Film], mend: Correction, data: bytes) -> Film:
    film = decode(data)
    said = f"This film was {mend.how} before it was read, as its reader asked."
    return replace(film, pixels=np.ascontiguousarray(mend.change(film.pixels)), warnings=(*film.warnings, said))
