"""OpenVINO as an engine: faster than TensorFlow on some processors, for a single image.

It is optional (requirements-speed.txt); CXR_OPENVINO=off turns it off. OpenVINO's own converter takes seconds, reports
its use to its makers and knows no mixed precision, so the backbone is built here from its layers' numbers.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.inference.engines.engine import Engine

if TYPE_CHECKING:
    from cxr.learning.network import Network

# One image at a time on all cores, with threads bound to none of them: TensorFlow's run on the same cores.
LATENCY = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVINOPlugin:
    """Builds backbones in OpenVINO."""

    name = "OpenVINO"

    def version(self) -> str:
        """The installed version; "" where there is none, or it is turned off."""
        try:
            return "" if os.environ.get("CXR_OPENVINO") == "off" else metadata.version("openvino")
        except metadata.PackageNotFoundError:
            return ""

    def build(self, network: Network, precision: str) -> Engine | None:
        """The network's backbone in OpenVINO; None where it has layers that are not translated here."""
        import openvino
        from openvino import opset13 as ops

        backbone = network.maps_and_features
        if not all(type(layer).__name__ in _LAYERS for layer in backbone.layers):
            return None
        pixels = ops.parameter((1, *network.model.input.shape[1:]), np.uint8)
        built = {id(network.model.input): ops.transpose(ops.convert(pixels, "f32"), np.array([0, 3, 1, 2]))}
        for layer in backbone.layers:
            if id(layer.output) not in built:
                inputs = layer.input if isinstance(layer.input, list) else [layer.input]
                translate = _LAYERS[type(layer).__name__]
                built[id(layer.output)] = translate(ops, layer, *(built[id(tensor)] for tensor in inputs))
        maps, features = (built[id(output)] for output in backbone.output)
        model = openvino.Model([ops.transpose(maps, np.array([0, 2, 3, 1])), features], [pixels], "backbone")
        settings = LATENCY | {"INFERENCE_PRECISION_HINT": PRECISIONS[precision]}
        request, turn = openvino.Core().compile_model(model, "CPU", settings).create_infer_request(), threading.Lock()

        def run(image: NDArray[np.uint8]) -> tuple[Any, Any]:
            with turn:
                outputs = request.infer({0: image})
            return outputs[0], outputs[1]

        return Engine(self.name, self.version(), precision, run)


def _per_channel(array: Any) -> NDArray[np.float32]:
    return np.asarray(array, np.float32).reshape(1, -1, 1, 1)


def _padding(layer: Any) -> str:
    return {"same": "same_upper", "valid": "valid"}[layer.padding]


def _activation(ops: Any, layer: Any, x: Any) -> Any:
    return {"relu": ops.relu, "linear": lambda same: same}[layer.activation.__name__](x)


def _normalization(ops: Any, layer: Any, x: Any) -> Any:
    return ops.divide(ops.subtract(x, _per_channel(layer.mean)), np.sqrt(_per_channel(layer.variance)))


def _equalization(ops: Any, layer: Any, x: Any) -> Any:
    """The layer as a table of the 256 gray levels, as the pixels that come in are whole numbers."""
    from cxr.learning.normalization import APART, GRAY, KNOTS, STRIDE

    side = [(size - 1) // STRIDE * STRIDE + 1 for size in layer.input.shape[1:3]]
    sample = ops.strided_slice(x, [0, 0, 0, 0], [1, 1, *side], [1, 1, STRIDE, STRIDE], [], [])
    count = np.prod([(size - 1) // STRIDE + 1 for size in side])
    ranked = ops.topk(ops.reshape(sample, [int(count)], False), int(count), 0, "min", "value").output(0)
    places = np.linspace(0, count - 1, KNOTS).astype(int)
    quantiles = ops.add(ops.gather(ranked, places, 0), np.arange(KNOTS, dtype=np.float32) * np.float32(APART))
    low, high = (ops.gather(quantiles, np.arange(KNOTS - 1) + end, 0) for end in (0, 1))
    levels = np.arange(256, dtype=np.float32).reshape(-1, 1)
    share = ops.clamp(ops.divide(ops.subtract(levels, low), ops.subtract(high, low)), 0.0, 1.0)
    equalized = ops.multiply(ops.reduce_sum(share, np.array([1])), np.float32(GRAY / (KNOTS - 1)))
    strength, plain = np.float32(layer.strength), np.float32(1 - layer.strength) * levels[:, 0]
    return ops.gather(ops.add(ops.multiply(equalized, strength), plain), ops.convert(x, "i32"), 0)


def _convolution(ops: Any, layer: Any, x: Any) -> Any:
    kernel = np.ascontiguousarray(np.asarray(layer.kernel, np.float32).transpose(3, 2, 0, 1))
    x = ops.convolution(x, kernel, [*layer.strides], [0, 0], [0, 0], [*layer.dilation_rate], auto_pad=_padding(layer))
    return _activation(ops, layer, ops.add(x, _per_channel(layer.bias)) if layer.use_bias else x)


def _batch_normalization(ops: Any, layer: Any, x: Any) -> Any:
    scale = np.asarray(layer.gamma) / np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon)
    shift = np.asarray(layer.beta) - scale * np.asarray(layer.moving_mean)
    return ops.add(ops.multiply(x, _per_channel(scale)), _per_channel(shift))


def _zero_padding(ops: Any, layer: Any, x: Any) -> Any:
    before, after = ([0, 0, *sides] for sides in zip(*layer.padding, strict=True))
    return ops.pad(x, np.array(before), np.array(after), "constant", np.float32(0))


def _max_pooling(ops: Any, layer: Any, x: Any) -> Any:
    sizes = [*layer.strides], [1, 1], [0, 0], [0, 0], [*layer.pool_size]
    return ops.max_pool(x, *sizes, auto_pad=_padding(layer)).output(0)


_LAYERS: dict[str, Callable[..., Any]] = {
    "InputLayer": lambda ops, layer, x: x,
    "Concatenate": lambda ops, layer, *parts: ops.concat([*parts], 1),
    "Equalization": _equalization,
    "Normalization": _normalization,
    "Conv2D": _convolution,
    "Activation": _activation,
    "BatchNormalization": _batch_normalization,
    "Add": lambda ops, layer, first, second: ops.add(first, second),
    "ZeroPadding2D": _zero_padding,
    "MaxPooling2D": _max_pooling,
    "GlobalAveragePooling2D": lambda ops, layer, x: ops.reduce_mean(x, np.array([2, 3])),
}
