"""Places that a reader marked in an X-ray, as text in a response, in shares of its width and height.

"0.312 0.540; 0.600 0.489 0.701 0.602" is a point, and a box from its upper left to its lower right corner.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_MARKS = 20
POINT, BOX = 2, 4  # numbers of a mark
Mark = tuple[float, ...]  # shares of the width from the left and of the height from the top: of a point, of two corners
MarkPixels = tuple[int, ...]  # columns and rows


def marks_text(marks: Sequence[MarkPixels], width_px: int, height_px: int) -> str:
    """The marks (columns and rows) of an X-ray of this size as text, which does not depend on its size."""
    sizes = (width_px, height_px) * 2
    shares = ((number / size for number, size in zip(upright(mark), sizes, strict=False)) for mark in marks[:MAX_MARKS])
    return "; ".join(" ".join(f"{share:.3f}" for share in mark) for mark in shares)


def marks_of(text: str) -> list[Mark]:
    """The marks in such a text; what is no mark is left out."""
    marks = []
    for part in text.split(";")[:MAX_MARKS]:
        try:
            numbers = tuple(float(number) for number in part.split())
        except ValueError:
            continue
        if len(numbers) in (POINT, BOX) and all(0 <= number <= 1 for number in numbers):
            marks.append(numbers)
    return marks


def marked_pixels(text: str, width_px: int, height_px: int) -> tuple[MarkPixels, ...]:
    """The marks in the pixels (columns and rows) of an X-ray of this size."""
    sizes = (width_px, height_px) * 2
    return tuple(
        tuple(round(share * size) for share, size in zip(mark, sizes, strict=False)) for mark in marks_of(text)
    )


def upright(mark: MarkPixels) -> MarkPixels:
    """The mark with the upper left corner of a box first, whichever was set first."""
    if len(mark) != BOX:
        return mark
    x1, y1, x2, y2 = mark
    return (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


def heat_at(text: str, heatmap: NDArray[np.floating]) -> list[float]:
    """The heatmap's value at each point, and the highest in each box, from 0 to 1, which is its peak."""
    rows, columns = heatmap.shape

    def cells(share: float, count: int, last: float) -> slice:
        return slice(min(int(share * count), count - 1), min(int(last * count), count - 1) + 1)

    return [
        float(heatmap[cells(mark[1], rows, mark[-1]), cells(mark[0], columns, mark[-2])].max())
        for mark in marks_of(text)
    ]
