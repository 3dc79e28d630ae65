"""The region of a heatmap's peak, as an outline in an image's pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxr.presentation.overlay import upscale

GRID = 64  # cells along each side in which the outline is followed
SHARE_OF_PEAK = 0.5
Outline = NDArray[np.float64]


def peak_outline(heatmap: NDArray[np.floating], height_px: int, width_px: int) -> Outline | None:
    """The closed outline (points, 2), x before y, of what is above half the peak around it; None for a blank map."""
    from scipy import ndimage  # late: slow to import

    smooth = upscale(heatmap, GRID, GRID)
    if not smooth.max() > 0:
        return None
    parts, _ = ndimage.label(smooth >= SHARE_OF_PEAK * smooth.max())
    row, column = np.unravel_index(int(smooth.argmax()), smooth.shape)
    region = ndimage.binary_fill_holes(parts == parts[row, column])
    corners = np.array(_corners(np.pad(region, 1)), float) - 1
    return corners[:, ::-1] * [width_px / GRID, height_px / GRID]


def _corners(region: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The corners (row, column) of a region without holes, in order, with the first one again at the end."""
    first_row = int(np.argmax(region.any(axis=1)))
    start = (first_row, int(np.argmax(region[first_row])))  # the upper left corner of its first cell
    corners, place, step = [start], start, (0, 1)  # along the upper edge, with the region to the right
    while True:
        place = (place[0] + step[0], place[1] + step[1])
        turned = _next_step(region, place, step)
        if turned != step:
            corners.append(place)
        step = turned
        if place == start:
            return corners if corners[-1] == start else [*corners, start]


def _next_step(region: NDArray[np.bool_], place: tuple[int, int], step: tuple[int, int]) -> tuple[int, int]:
    """The next step along the edge: to the right where no cell lies ahead, to the left where both cells do."""
    row, column = place
    down, across = step
    # The cells ahead on the left and on the right, seen along the step, by their upper left corners.
    left = (row + min(down, 0) - (across > 0), column + min(across, 0) - (down < 0))
    right = (row + min(down, 0) - (across < 0), column + min(across, 0) - (down > 0))
    if not region[right]:
        return across, -down
    if region[left]:
        return -across, down
    return step
