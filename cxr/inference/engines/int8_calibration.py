"""The numbers of an int8 engine, measured on X-rays that the model was trained on: ranges, and corrections of biases.

Rounding shifts the mean of what a filter computes. Each filter's bias is corrected by the shift that the calibration
X-rays show. Filters above see the shifts of those below, so this is repeated: each round settles at least one
convolution more, and most settle at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import CxrError
from cxr.inference.engines.int8 import CompiledBackbone
from cxr.inference.engines.openvino_graph import HIGH, LOW, MEAN, Int8, backbone_graph, convolutions, is_known
from cxr.registry.int8_file import CORRECTION, RANGE

if TYPE_CHECKING:
    from cxr.learning.network import Network

CORRECTION_ROUNDS = 3
BATCH = 32
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
    rounds: int = CORRECTION_ROUNDS,
) -> Arrays:
    """The numbers of an int8 engine for this network, measured on fitted images (images, side, side, 1)."""
    if not is_known(network):
        raise CxrError("This model's network has layers that int8 is not made for.", code="no-int8-layers")
    names = [name for name in convolutions(network) if name not in skipped]
    steps = (1 + rounds) * len(pixels)
    exact = _observe(network, None, pixels, precision, lambda done: progress(done, steps))
    arrays: Arrays = {}
    for name in names:
        low, high = exact[f"{name}/{LOW}"], exact[f"{name}/{HIGH}"]
        arrays[f"{name}/{RANGE}"] = np.array([min(0.0, low.min()), max(high.max(), 1e-6)], np.float32)
        arrays[f"{name}/{CORRECTION}"] = np.zeros_like(exact[f"{name}/{MEAN}"][0])
    for done_rounds in range(1, 1 + rounds):
        before = done_rounds * len(pixels)
        rounded = _observe(
            network, arrays, pixels, precision, lambda done, before=before: progress(before + done, steps)
        )
        for name in names:
            shift = exact[f"{name}/{MEAN}"].mean(axis=0) - rounded[f"{name}/{MEAN}"].mean(axis=0)
            arrays[f"{name}/{CORRECTION}"] = arrays[f"{name}/{CORRECTION}"] + shift
    return arrays


def _observe(
    network: Network, int8: Int8 | None, pixels: NDArray[np.uint8], precision: str, progress: Callable[[int], None]
) -> Arrays:
    """What a backbone's graph observes of each image."""
    graph = backbone_graph(network, int8, observe=True)
    run = CompiledBackbone(graph.model, precision).run
    parts = []
    for start in range(0, len(pixels), BATCH):
        parts.append(run(pixels[start : start + BATCH])[2:])
        progress(min(start + BATCH, len(pixels)))
    return dict(zip(graph.observed, map(np.concatenate, zip(*parts, strict=True)), strict=True))
