"""The numbers of an int8 engine: the ranges of its convolutions' inputs, measured on X-rays of the model's training.

A range holds all values of nearly all these X-rays. Few X-rays have values several times as large as those of all
others, and a range for them would leave few levels to the others. What else was tried is in docs/speed.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import CxrError
from cxr.inference.engines.int8 import CompiledBackbone
from cxr.inference.engines.openvino_graph import HIGH, LOW, backbone_graph, convolutions, is_known
from cxr.registry.int8_file import RANGE

if TYPE_CHECKING:
    from cxr.learning.network import Network

BATCH = 32
COVERED = 0.9  # of the X-rays lie within the range as a whole
SMALLEST = 1e-6  # of a range, where an input has no value above 0
Arrays = dict[str, NDArray[Any]]
Progress = Callable[[int, int], None]


def unquantized(network: Network) -> tuple[str, ...]:
    """The convolutions that stay as they are: the first, whose input has negative values and which costs little."""
    return tuple(convolutions(network)[:1])


def calibrate(
    network: Network,
    pixels: NDArray[np.uint8],
    precision: str,
    progress: Progress,
    skipped: Collection[str],
    covered: float = COVERED,
) -> Arrays:
    """The numbers of an int8 engine for this network, measured on fitted images (images, side, side, 1)."""
    if not is_known(network):
        raise CxrError("This model's network has layers that int8 is not made for.", code="no-int8-layers")
    graph = backbone_graph(network, observe=True)
    backbone = CompiledBackbone(graph.model, precision)
    parts = []
    for start in range(0, len(pixels), BATCH):
        parts.append(backbone.run(pixels[start : start + BATCH])[2:])
        progress(min(start + BATCH, len(pixels)), len(pixels))
    found = dict(zip(graph.observed, map(np.concatenate, zip(*parts, strict=True)), strict=True))
    return {
        f"{name}/{RANGE}": _range(found[f"{name}/{LOW}"], found[f"{name}/{HIGH}"], covered)
        for name in convolutions(network)
        if name not in skipped
    }


def _range(low: NDArray[np.float32], high: NDArray[np.float32], covered: float) -> NDArray[np.float32]:
    """The range that holds this share of the X-rays, of which the smallest and largest values are given; with 0."""
    ends = min(0.0, np.quantile(low, 1 - covered)), max(SMALLEST, np.quantile(high, covered))
    return np.array(ends, np.float32)
