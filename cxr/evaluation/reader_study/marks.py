"""Places that a reader marked in an X-ray, as text in a response: "0.312 0.540; 0.701 0.489" of width and height."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_MARKS = 20
Point = tuple[float, float]  # the share of the width from the left, and of the height from the top


def marks_text(points: Sequence[tuple[int, int]], width_px: int, height_px: int) -> str:
    """The marks (column, row) of an X-ray of this size as text, which does not depend on its size."""
    shares = ((column / width_px, row / height_px) for column, row in points[:MAX_MARKS])
    return "; ".join(f"{x:.3f} {y:.3f}" for x, y in shares)


def marks_of(text: str) -> list[Point]:
    """The marks in such a text; what is no mark is left out."""
    points = []
    for part in text.split(";")[:MAX_MARKS]:
        try:
            x, y = (float(number) for number in part.split())
        except ValueError:
            continue
        if 0 <= x <= 1 and 0 <= y <= 1:
            points.append((x, y))
    return points


def marked_pixels(text: str, width_px: int, height_px: int) -> tuple[tuple[int, int], ...]:
    """The marks in the pixels (column, row) of an X-ray of this size."""
    return tuple((round(x * width_px), round(y * height_px)) for x, y in marks_of(text))


def heat_at(text: str, heatmap: NDArray[np.floating]) -> list[float]:
    """The heatmap's value at each mark, from 0 to 1, which is its peak."""
    rows, columns = heatmap.shape
    cells = ((min(int(y * rows), rows - 1), min(int(x * columns), columns - 1)) for x, y in marks_of(text))
    return [float(heatmap[cell]) for cell in cells]
