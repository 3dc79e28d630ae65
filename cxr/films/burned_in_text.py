"""Whether text seems burnt into a film's pixels: rows in which many thin strokes stand side by side.

Letters are what a body has not: sharp up and down again, several times within a part of a row, for a few rows. A
single marker of a side has too few strokes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE_PX = 700  # larger films are reduced: letters that can be read on them are still letters
SHARP = 25  # grey levels from one pixel to the next
STROKES = 6  # side by side, within a part of the width
PART = 0.35
TALL = 0.01  # of the height, for so many rows in a run
SMALLEST_PX = 128

Mask = NDArray[np.bool_]


def holds_text(pixels: NDArray[np.uint8]) -> bool:
    """True where the pixels seem to hold a word or more."""
    if min(pixels.shape) < SMALLEST_PX:
        return False
    if max(pixels.shape) > SIDE_PX:
        pixels = np.asarray(Image.fromarray(pixels).reduce(-(-max(pixels.shape) // SIDE_PX)))
    steps = np.diff(pixels.astype(np.int16), axis=1)
    strokes = np.minimum(_most_in_a_part(steps > SHARP), _most_in_a_part(steps < -SHARP))
    return _longest_run(strokes.max(axis=1) >= STROKES) >= TALL * len(pixels)


def _most_in_a_part(edges: Mask) -> NDArray[np.int32]:
    """How many edges, each counted once however wide, lie in each of a row's overlapping parts."""
    first = edges.copy()
    first[:, 1:] &= ~edges[:, :-1]
    before = np.zeros((len(edges), edges.shape[1] + 1), np.int32)
    np.cumsum(first, axis=1, out=before[:, 1:])
    part = int(PART * edges.shape[1])
    return (before[:, part:] - before[:, :-part])[:, :: max(1, part // 8)]


def _longest_run(rows: Mask) -> int:
    ends = np.flatnonzero(np.diff(np.concatenate(([0], rows.view(np.int8), [0]))))
    return int((ends[1::2] - ends[::2]).max(initial=0))
