"""What an engine is: another library that runs a model's backbone in place of TensorFlow.

The head above the backbone, and the gradients that make heatmaps, stay with TensorFlow; so does training, and so do
batches unless somebody asks for int8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cxr.learning.network import Network

MAX_PROBABILITY_CHANGE, MIN_HEATMAP_CORRELATION = 0.01, 0.99


@dataclass(frozen=True, eq=False)
class Engine:
    """A backbone compiled by another library: images (1, side, side, 1) -> maps and features, from any thread.

    The int8 engine takes any number of images, all others one.
    """

    name: str
    version: str
    precision: str  # "float32", "bfloat16", "int8"
    run: Callable[[NDArray[np.uint8]], tuple[Any, Any]]  # as `Network.maps_and_features`


class EnginePlugin(Protocol):
    """A library that can be an engine."""

    name: str

    def version(self) -> str:
        """The version that may be used; "" where there is none."""

    def build(self, network: Network, precision: str) -> Engine | None:
        """The engine for this network; None where it has layers that the library does not know."""


def same_answers(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> bool:
    """Whether two forward passes give the same probabilities, and heatmaps of the same shape."""
    if np.abs(np.asarray(ours[0]) - np.asarray(theirs[0])).max() > MAX_PROBABILITY_CHANGE:
        return False
    for first, second in zip(np.asarray(ours[1])[0], np.asarray(theirs[1])[0], strict=True):
        if not (first.std() and second.std()):  # a correlation needs some variation
            alike = np.allclose(first, second, atol=1e-3)
        else:
            alike = np.corrcoef(first.ravel(), second.ravel())[0, 1] >= MIN_HEATMAP_CORRELATION
        if not alike:
            return False
    return True
