"""A graph of neighbors among many directions (HNSW, by usearch), for a search that does not compare with each of them.

usearch is optional (requirements-search.txt). Its answer is approximate: docs/trust.md says how many of the nearest it
finds. A graph file is mapped into memory, not read as a whole.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = (
    "The search compares with every X-ray, which takes longer. For a faster one: pip install -r "
    "requirements-search.txt, and build again."
)
CONNECTIVITY = 16  # neighbors of a direction in the graph
EXPANSION_BUILD, EXPANSION_SEARCH = 128, 512  # candidates that are kept while it is built, and searched

Floats = NDArray[np.floating]


def is_installed() -> bool:
    """Whether usearch is installed."""
    return find_spec("usearch") is not None


class NeighborGraph:
    """A graph of directions, which are known by their row."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph

    @classmethod
    def build(cls, directions: Floats) -> NeighborGraph:
        """The graph of these directions, of length 1."""
        graph = _empty(directions.shape[1])
        graph.add(np.arange(len(directions)), np.ascontiguousarray(directions, np.float16))
        return cls(graph)

    @classmethod
    def load(cls, path: Path, films: int, features: int) -> NeighborGraph | None:
        """The graph in a file; None where there is none of so many directions, or usearch is not installed."""
        if not path.is_file() or not is_installed():
            return None
        graph = _empty(features)
        try:
            graph.view(path)
        except (OSError, RuntimeError, ValueError):
            return None
        if (len(graph), graph.ndim) != (films, features):
            return None
        return cls(graph)

    def save(self, path: Path) -> None:
        """Write the graph to a file."""
        self._graph.save(path)

    def nearest(self, direction: Floats, count: int) -> NDArray[np.int64]:
        """The rows of about the nearest directions, the nearest first."""
        found = self._graph.search(np.asarray(direction, np.float16), count)
        return np.asarray(found.keys, np.int64)


def _empty(features: int) -> Any:
    from usearch.index import Index

    return Index(
        ndim=features,
        metric="ip",
        dtype="f16",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_BUILD,
        expansion_search=EXPANSION_SEARCH,
    )
