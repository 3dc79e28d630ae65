"""A network's trunk in OpenVINO: the maps and features of one film, sooner than TensorFlow on some processors.

OpenVINO is optional (requirements-speed.txt). Its own converter takes seconds, sends home that it was used and knows no
network in mixed precision, so the trunk is built here from its layers' numbers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cxr.learning.network import Network

Trunk = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]

HINTS = {"float32": "f32", "bfloat16": "bf16"}
# One film at a time on all cores, none of them bound to one: TensorFlow's threads run on the same.
ALONE = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}


def openvino_trunk(network: Network, precision: str) -> Trunk | None:
    """One film's pixels (1, side, side, 1) -> maps and features as `Network.maps_and_features` has them; None for unknown layers."""
    import openvino
    from openvino import opset13 as ops

    look = network.maps_and_features
    if not all(type(layer).__name__ in _LAYERS for layer in look.layers):
        return None
    pixels = ops.parameter((1, *network.model.input.shape[1:]), np.uint8)
    made = {id(network.model.input): _channels_first(ops, ops.convert(pixels, "f32"))}
    for layer in look.layers:
        if id(layer.output) not in made:
            inputs = layer.input if isinstance(layer.input, list) else [layer.input]
            made[id(layer.output)] = _LAYERS[type(layer).__name__](ops, layer, *(made[id(one)] for one in inputs))
    maps, features = (made[id(output)] for output in look.output)
    model = openvino.Model([ops.transpose(maps, np.array([0, 2, 3, 1])), features], [pixels], "trunk")
    compiled = openvino.Core().compile_model(model, "CPU", ALONE | {"INFERENCE_PRECISION_HINT": HINTS[precision]})
    request, turn = compiled.create_infer_request(), threading.Lock()

    def trunk(film: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        with turn:
            found = request.infer({0: film})
        return found[0], found[1]

    return trunk


def _channels_first(ops: Any, x: Any) -> Any:
    return ops.transpose(x, np.array([0, 3, 1, 2]))


def _along_channels(array: Any) -> NDArray[np.float32]:
    return np.asarray(array, np.float32).reshape(1, -1, 1, 1)


def _normalised(ops: Any, layer: Any, x: Any) -> Any:
    return ops.divide(ops.subtract(x, _along_channels(layer.mean)), np.sqrt(_along_channels(layer.variance)))


def _convolved(ops: Any, layer: Any, x: Any) -> Any:
    kernel = np.ascontiguousarray(np.asarray(layer.kernel, np.float32).transpose(3, 2, 0, 1))
    nothing = [0, 0]  # where `auto_pad` says how much
    pad = {"same": "same_upper", "valid": "valid"}[layer.padding]
    x = ops.convolution(x, kernel, [*layer.strides], nothing, nothing, [*layer.dilation_rate], auto_pad=pad)
    if layer.use_bias:
        x = ops.add(x, _along_channels(layer.bias))
    return _activated(ops, layer, x)


def _activated(ops: Any, layer: Any, x: Any) -> Any:
    return {"relu": ops.relu, "linear": lambda same: same}[layer.activation.__name__](x)


def _batch_normalised(ops: Any, layer: Any, x: Any) -> Any:
    scale = np.asarray(layer.gamma) / np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon)
    shift = np.asarray(layer.beta) - scale * np.asarray(layer.moving_mean)
    return ops.add(ops.multiply(x, _along_channels(scale)), _along_channels(shift))


def _padded(ops: Any, layer: Any, x: Any) -> Any:
    (top, bottom), (left, right) = layer.padding
    return ops.pad(x, np.array([0, 0, top, left]), np.array([0, 0, bottom, right]), "constant", np.float32(0))


def _pooled(ops: Any, layer: Any, x: Any) -> Any:
    nothing, pad = [0, 0], {"same": "same_upper", "valid": "valid"}[layer.padding]
    pooled = ops.max_pool(x, [*layer.strides], [1, 1], nothing, nothing, [*layer.pool_size], auto_pad=pad)
    return pooled.output(0)


_LAYERS: dict[str, Callable[..., Any]] = {
    "InputLayer": lambda ops, layer, x: x,
    "Concatenate": lambda ops, layer, *parts: ops.concat([*parts], 1),
    "Normalization": _normalised,
    "Conv2D": _convolved,
    "Activation": _activated,
    "BatchNormalization": _batch_normalised,
    "Add": lambda ops, layer, one, other: ops.add(one, other),
    "ZeroPadding2D": _padded,
    "MaxPooling2D": _pooled,
    "GlobalAveragePooling2D": lambda ops, layer, x: ops.reduce_mean(x, np.array([2, 3])),
}
