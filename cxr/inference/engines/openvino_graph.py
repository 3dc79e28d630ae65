"""A backbone as a graph of OpenVINO, built from the numbers of its Keras layers; as it is, or with int8 convolutions.

OpenVINO's own converter takes seconds, reports its use to its makers and knows no mixed precision. The input and the
weights of an int8 convolution are rounded to 256 levels (`fake_quantize`), so that OpenVINO multiplies 8-bit integers.
An input is rounded where it is made, before poolings, which then work on 8 bits as well.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.registry.int8_file import RANGE

if TYPE_CHECKING:
    from cxr.learning.network import Network

LEVELS, WEIGHT_LEVELS = 256, 255  # of an input; of weights, as many on either side of 0
LOW, HIGH = "low", "high"  # of the names of observed outputs
CONVOLUTION = "Conv2D"
_SELECTING = ("MaxPooling2D", "ZeroPadding2D")  # their output has values of their input, or zeros
Int8 = Mapping[str, NDArray[Any]]  # the arrays of a model's int8.npz


@dataclass(frozen=True, eq=False)
class BackboneGraph:
    """A backbone in OpenVINO: gray pixels (1, side, side, 1) -> maps, features, and what is observed beside them."""

    model: Any  # openvino.Model
    observed: tuple[str, ...]  # the names of the outputs behind the first two


def import_openvino() -> Any:
    """The module `openvino`, imported so that it sends no usage statistics.

    It imports its converter too, which reports each import to its makers through a package of its own. A module that is
    None in `sys.modules` cannot be imported, and without that package nothing is reported.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # Python's own way to say so
    return importlib.import_module("openvino")


def is_known(network: Network) -> bool:
    """Whether all layers of the network's backbone can be translated."""
    return all(type(layer).__name__ in (CONVOLUTION, *_LAYERS) for layer in network.maps_and_features.layers)


def convolutions(network: Network) -> list[str]:
    """The names of the backbone's convolutions, from the pixels on."""
    return [layer.name for layer in network.maps_and_features.layers if type(layer).__name__ == CONVOLUTION]


def backbone_graph(network: Network, int8: Int8 | None = None, observe: bool = False) -> BackboneGraph:
    """The network's backbone; its convolutions that have numbers in `int8` are quantized by them.

    With `observe`, more outputs are what a quantization is made of: the smallest and the largest input of each
    convolution ("NAME/low", "NAME/high").
    """
    openvino = import_openvino()
    ops = openvino.opset13
    backbone, int8 = network.maps_and_features, int8 or {}
    makers = _makers_of_inputs(backbone)
    ranges = {maker: int8[f"{name}/{RANGE}"] for name, maker in makers.items() if f"{name}/{RANGE}" in int8}
    observed: dict[str, Any] = {}
    pixels = ops.parameter((1, *network.model.input.shape[1:]), np.uint8)
    built = {id(network.model.input): ops.transpose(ops.convert(pixels, "f32"), np.array([0, 3, 1, 2]))}
    for layer in backbone.layers:
        if id(layer.output) in built:
            continue
        inputs = [built[id(tensor)] for tensor in (layer.input if isinstance(layer.input, list) else [layer.input])]
        if type(layer).__name__ == CONVOLUTION:
            x = _convolution(ops, layer, inputs[0], f"{layer.name}/{RANGE}" in int8)
        else:
            x = _LAYERS[type(layer).__name__](ops, layer, *inputs)
        if observe:
            for name in (name for name, maker in makers.items() if maker == layer.name):
                observed[f"{name}/{LOW}"] = ops.reduce_min(x, np.array([1, 2, 3]))
                observed[f"{name}/{HIGH}"] = ops.reduce_max(x, np.array([1, 2, 3]))
        if layer.name in ranges:
            x = _rounded(ops, x, ranges[layer.name], LEVELS)
        built[id(layer.output)] = x
    maps, features = (built[id(output)] for output in backbone.output)
    outputs = [ops.transpose(maps, np.array([0, 2, 3, 1])), features, *observed.values()]
    return BackboneGraph(openvino.Model(outputs, [pixels], "backbone"), tuple(observed))


def _makers_of_inputs(backbone: Any) -> dict[str, str]:
    """The layer that makes the values of each convolution's input, by the convolution's name."""
    by_output = {id(layer.output): layer for layer in backbone.layers}
    makers = {}
    for layer in backbone.layers:
        if type(layer).__name__ == CONVOLUTION:
            maker = by_output[id(layer.input)]
            while type(maker).__name__ in _SELECTING:
                maker = by_output[id(maker.input)]
            makers[layer.name] = maker.name
    return makers


def _rounded(ops: Any, x: Any, between: Sequence[Any] | NDArray[Any], levels: int) -> Any:
    low, high = (np.asarray(end, np.float32) for end in between)
    return ops.fake_quantize(x, low, high, low, high, levels)


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


def _convolution(ops: Any, layer: Any, x: Any, quantized: bool) -> Any:
    kernel = np.ascontiguousarray(np.asarray(layer.kernel, np.float32).transpose(3, 2, 0, 1))
    weights = ops.constant(kernel)
    if quantized:
        largest = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True)
        largest[largest == 0] = 1  # a filter without weights
        weights = _rounded(ops, weights, (-largest, largest), WEIGHT_LEVELS)
    settings = [*layer.strides], [0, 0], [0, 0], [*layer.dilation_rate]
    x = ops.convolution(x, weights, *settings, auto_pad=_padding(layer))
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
    "Activation": _activation,
    "BatchNormalization": _batch_normalization,
    "Add": lambda ops, layer, first, second: ops.add(first, second),
    "ZeroPadding2D": _zero_padding,
    "MaxPooling2D": _max_pooling,
    "GlobalAveragePooling2D": lambda ops, layer, x: ops.reduce_mean(x, np.array([2, 3])),
}
