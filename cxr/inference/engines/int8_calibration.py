"""The numbers of an int8 engine: the ranges of its convolutions' inputs, measured on X-rays of the model's training.

A range reaches to the largest value that any of these X-rays has. The mean of each X-ray's largest value, which cuts
some off, and corrected biases were tried, and moved probabilities further (docs/speed.md).
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
SMALLEST = 1e-6  # of a range, where an input has no value above 0
Arrays = dict[str, NDArray[Any]]
Progress = Callable[[int, int], None]


def unquantized(network: Network) -> tuple[str, ...]:
    """The convolutions that stay as they are: the first, whose input has negative values and which costs little."""
    return tuple(convolutions(network)[:1])


def calibrate(
    network: Network, pixels: NDArray[np.uint8], precision: str, progress: Progress, skipped: Collection[str]
) -> Arrays:
    """The numbers of an int8 engine for this network, measured on fitted images (images, side, side, 1)."""
    if not is_known(network):
        raise CxrError("This model's network has layers that int8 is not made for.", code="no-int8-layers")
    graph = backbone_graph(network, observe=True)
    backbone = CompiledBackbone(graph.model, precision)
    found = dict.fromkeys(graph.observed, 0.0)
    for start in range(0, len(pixels), BATCH):
        outputs = backbone.run(pixels[start : start + BATCH])[2:]
        for name, values in zip(graph.observed, outputs, strict=True):
            extreme = np.min if name.endswith(f"/{LOW}") else np.max
            found[name] = float(extreme([*values, found[name]]))
        progress(min(start + BATCH, len(pixels)), len(pixels))
    return {
        f"{name}/{RANGE}": np.array([found[f"{name}/{LOW}"], max(found[f"{name}/{HIGH}"], SMALLEST)], np.float32)
        for name in convolutions(network)
        if name not in skipped
    }
