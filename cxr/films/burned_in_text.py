"""Detection of burned-in text: rows with many thin strokes side by side.

Letters differ from anatomy: gray levels rise and fall sharply, several times within a part of a row, for several
rows. A single side marker has too few strokes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE_PX = 700  # larger images are reduced, on which legible letters stay legible
SHARP = 25  # gray levels from one pixel to the next
STROKES = 6  # side by side, within this part of the width
PART = 0.35
TALL = 0.01  # of the height: the least run of rows with so many strokes
SMALLEST_PX = 128

Mask = NDArray[np.bool_]


def contains_text(pixels: NDArray[np.uint8]) -> bool:
    """True where the pixels seem to contain a word or more."""
    if min(pixels.shape) < SMALLEST_PX:
        return False
    if max(pixels.shape) > SIDE_PX:
        pixels = np.asarray(Image.fromarray(pixels).reduce(-(-max(pixels.shape) // SIDE_PX)))
    steps = np.diff(pixels.astype(np.int16), axis=1)
    rising, falling = steps > SHARP, steps < -SHARP
    enough = np.minimum(np.count_nonzero(rising, axis=1), np.count_nonzero(falling, axis=1)) >= STROKES
    if _longest_run(enough) < TALL * len(pixels):  # of most X-rays: the rest needs no look
        return False
    strokes = np.minimum(_edges_by_part(rising), _edges_by_part(falling))
    return _longest_run(strokes.max(axis=1) >= STROKES) >= TALL * len(pixels)


def _edges_by_part(edges: Mask) -> NDArray[np.int32]:
    """The number of edges in overlapping parts of each row, each edge counted once however wide."""
    first = edges.copy()
    first[:, 1:] &= ~edges[:, :-1]
    before = np.zeros((len(edges), edges.shape[1] + 1), np.int32)
    np.cumsum(first, axis=1, out=before[:, 1:])
    part = int(PART * edges.shape[1])
    return (before[:, part:] - before[:, :-part])[:, :: max(1, part // 8)]


def _longest_run(rows: Mask) -> int:
    """The length of the longest run of rows that are true."""
    ends = np.flatnonzero(np.diff(np.concatenate(([0], rows.view(np.int8), [0]))))
    return int((ends[1::2] - ends[::2]).max(initial=0))
