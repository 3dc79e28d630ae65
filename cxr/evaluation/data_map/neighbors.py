"""What lies beside an X-ray in feature space: how often its nearest, of other patients, share its class or source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.metrics import Floats

NEIGHBORS = 10
BLOCK = 512  # X-rays compared with all others at once


@dataclass(frozen=True)
class NeighborShare:
    """The share of the nearest X-rays that have the same value, and what chance would give."""

    column: str
    same: float
    chance: float

    def as_dict(self) -> dict[str, str | float]:
        """Ready for JSON."""
        return {"column": self.column, "same": round(self.same, 4), "chance": round(self.chance, 4)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> NeighborShare:
        """What `as_dict` has made; KeyError, TypeError or ValueError where it is something else."""
        return cls(str(stored["column"]), float(stored["same"]), float(stored["chance"]))


def neighbor_shares(
    axes: Floats, patient: NDArray[np.int64], columns: Mapping[str, NDArray[np.str_]], count: int = NEIGHBORS
) -> list[NeighborShare]:
    """For each column, how many of the nearest X-rays of other patients have the same value; empty values count not."""
    nearest = _nearest(axes, patient, count)
    shares = []
    for name, values in columns.items():
        stated = values != ""
        if len(set(values[stated])) < 2:
            continue
        rows = np.flatnonzero(stated)
        pairs = (values[nearest[rows]] == values[rows][:, None]) & (nearest[rows] >= 0)
        counted = stated[nearest[rows]] & (nearest[rows] >= 0)
        sizes = np.unique(values[stated], return_counts=True)[1] / stated.sum()
        if counted.any():
            shares.append(NeighborShare(name, float(pairs.sum() / counted.sum()), float((sizes**2).sum())))
    return shares


def _nearest(axes: Floats, patient: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The rows of the nearest X-rays of other patients, nearest first; -1 where there are fewer."""
    squares = (axes**2).sum(axis=1)
    count = min(count, len(axes) - 1)
    found = np.full((len(axes), count), -1, np.int64)
    for start in range(0, len(axes), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(axes)))
        distances = squares[rows][:, None] + squares[None] - 2 * axes[rows] @ axes.T
        distances[patient[rows][:, None] == patient[None]] = np.inf
        order = np.argsort(distances, axis=1, kind="stable")[:, :count]
        reached = np.isfinite(np.take_along_axis(distances, order, axis=1))
        found[rows] = np.where(reached, order, -1)
    return found
