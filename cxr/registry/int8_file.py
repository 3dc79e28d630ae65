"""The file of a model's int8 engine, `int8.npz`: the numbers that it holds, and checks of their names and ranges.

Each quantized convolution has the range of its input, which is spread over the levels of 8 bits. The weights are the
model's own. `cxr.inference.engines.openvino_graph` makes the engine of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import CxrError, RegistryError
from cxr.registry.card import INT8
from cxr.registry.weights_file import Arrays, check_finite, check_shapes, parse_arrays

RANGE = "range"  # of the names of arrays, as in "block1_conv2/range"
Shapes = Mapping[str, tuple[int, ...]]


def parse_int8(data: bytes, network: Shapes) -> dict[str, NDArray[Any]]:
    """The arrays of an int8 engine for a network with weights of these shapes; RegistryError if they do not fit it."""
    try:
        arrays = parse_arrays(data, INT8)
    except CxrError as error:
        raise _damaged() from error
    check_int8(arrays, network)
    return arrays


def check_int8(arrays: Arrays, network: Shapes) -> None:
    """RegistryError if these are not the arrays of an int8 engine for a network with weights of these shapes."""
    kernels = [network.get(name.removesuffix(RANGE) + "kernel", ()) for name in arrays]
    if not kernels or any(len(shape) != 4 for shape in kernels):  # only those of convolutions have four axes
        raise _damaged()
    try:
        check_shapes(dict.fromkeys(arrays, (2,)), {name: array.shape for name, array in arrays.items()})
        check_finite(arrays)
    except CxrError as error:
        raise _damaged() from error
    ranges = np.stack([*arrays.values()])
    if not ((ranges[:, 0] <= 0) & (ranges[:, 1] > 0)).all():  # zero is a level, as the borders of a map are zeros
        raise _damaged()


def _damaged() -> RegistryError:
    return RegistryError("The int8 engine is damaged. Make it again: cxr models quantize NAME.", code="int8")
