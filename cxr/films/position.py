"""How a DICOM header says that an X-ray lies: which side of the patient is at its right edge and at its bottom."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import numpy as np

from cxr.films.acquisition import Acquisition

Edges = tuple[str, str]  # the side of the patient at the right edge and at the bottom, in the letters of the standard


class Position(StrEnum):
    """How a chest X-ray lies in its image."""

    UPRIGHT = "upright"  # frontal, the head up, the patient's left at the right edge
    MIRRORED = "mirrored"
    UPSIDE_DOWN = "upside-down"  # rotated 180° or flipped vertically
    ROTATED_90 = "rotated-90"
    LATERAL = "lateral"


_BY_EDGES = {
    "LF": Position.UPRIGHT,
    "RF": Position.MIRRORED,
    "LH": Position.UPSIDE_DOWN,
    "RH": Position.UPSIDE_DOWN,
    **{vertical + side: Position.ROTATED_90 for vertical in "HF" for side in "LR"},
    **{depth + vertical: Position.LATERAL for depth in "AP" for vertical in "HF"},
    **{vertical + depth: Position.LATERAL for depth in "AP" for vertical in "HF"},
}


def position_of(edges: Edges | None) -> Position | None:
    """How the X-ray lies; None where the file does not say, or says what cannot be."""
    return _BY_EDGES.get(edges[0][:1] + edges[1][:1]) if edges else None


def edges_after(edges: Edges | None, apply: Callable[[Any], Any]) -> Edges | None:
    """The edges after a rotation or flip of the pixels; an inversion of the gray levels leaves them as they are."""
    corners = apply(np.array([[0, 1], [2, 3]], np.uint8))
    if edges is None or set(corners.ravel().tolist()) != {0, 1, 2, 3}:
        return edges
    moved = Acquisition(right_edge=edges[0], bottom_edge=edges[1]).moved(corners)
    return (moved.right_edge, moved.bottom_edge) if moved.right_edge and moved.bottom_edge else None
