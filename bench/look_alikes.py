"""How many of the nearest look-alikes the graph of usearch finds, and what it costs beside exact search.

    python bench/look_alikes.py [--films 200000] [--features 512] [--queries 200] [--sorts like-features random]

Vectors are random: "like-features" vary in 40 directions, in 300 groups, with noise in all others; "random" are the
same in all directions, which is the hardest case and unlike features of X-rays. Recall at 10 has an interval over
queries.
Seconds are of the CPU, all threads together.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from cxr.evaluation.look_alikes.graph import NeighborGraph  # noqa: E402
from cxr.evaluation.look_alikes.index import PART, SPARE  # noqa: E402

NEAREST, DIRECTIONS, GROUPS, NOISE = 10, 40, 300, 0.3
SORTS = ("like-features", "random")

Vectors = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=200_000)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--sorts", nargs="+", choices=SORTS, default=SORTS)
    args = parser.parse_args()
    for sort in args.sorts:
        vectors = drawn(sort, args.films + args.queries, args.features)
        stored, queries = vectors[: args.films].astype(np.float16), vectors[args.films :]
        graph, build_s = cpu(partial(NeighborGraph.build, stored))
        found, graph_s = cpu(partial(of_each, queries, partial(nearest, graph)))
        wanted, exact_s = cpu(partial(of_each, queries, partial(exact, stored)))
        shares = np.array([len(set(a) & set(b)) / NEAREST for a, b in zip(found, wanted, strict=True)])
        draws = np.random.default_rng(0).choice(shares, (2000, len(shares))).mean(axis=1)
        low, high = np.quantile(draws, (0.025, 0.975))
        each = [1000 * seconds / args.queries for seconds in (graph_s, exact_s)]
        print(
            f"{sort}: {args.films:,} x {args.features}, recall at {NEAREST} {shares.mean():.3f} ({low:.3f}-{high:.3f})"
        )
        print(f"  a query {each[0]:.1f} ms, exact {each[1]:.1f} ms; built in {build_s:.0f} s", flush=True)


def drawn(sort: str, count: int, features: int) -> Vectors:
    """Random vectors of length 1."""
    rng = np.random.default_rng(0)
    if sort == "random":
        vectors = rng.standard_normal((count, features), np.float32)
    else:
        centers = 2 * rng.standard_normal((GROUPS, DIRECTIONS), np.float32)
        places = centers[rng.integers(GROUPS, size=count)] + rng.standard_normal((count, DIRECTIONS), np.float32)
        vectors = places @ rng.standard_normal((DIRECTIONS, features), np.float32) / np.sqrt(DIRECTIONS)
        vectors += NOISE * rng.standard_normal((count, features), np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def of_each(queries: Vectors, search: Callable[[Vectors], NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """What is found for each query."""
    return [search(query) for query in queries]


def nearest(graph: NeighborGraph, query: Vectors) -> NDArray[np.int64]:
    """About the nearest by the graph, asked as an index of look-alikes asks it."""
    return graph.nearest(query, SPARE * NEAREST)[:NEAREST]


def exact(stored: NDArray[np.float16], query: Vectors) -> NDArray[np.int64]:
    """The nearest by comparing with each, in parts, as without a graph."""
    parts = [stored[start : start + PART].astype(np.float32) @ query for start in range(0, len(stored), PART)]
    return np.argsort(-np.concatenate(parts), kind="stable")[:NEAREST]


def cpu(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work returns, and the seconds of the CPU that it took."""
    start = time.process_time()
    return work(), time.process_time() - start


if __name__ == "__main__":
    main()
