"""The fastest that this machine multiplies bfloat16 in any engine: what a network's rate can be a share of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.speed.turns import in_turns
from cxr.inference.engines.openvino_graph import import_openvino

TRUNK_FLOP = 30.69e9  # of VGG16's convolutions for one film of 224 px: two for each multiplication and addition
SIDE = 4096
CONV = (32, 512, 512, 28)  # films, channels in and out, side


def rates(rounds: int) -> dict[str, float]:
    """TFLOP/s at best, by engine and task."""
    films, channels, kernels, side = CONV
    product, conv = 2 * SIDE**3, 2 * films * side**2 * 9 * channels * kernels
    calls: dict[str, tuple[Callable[[], Any], float]] = {
        "TensorFlow, product": (_tensorflow_product(), product),
        "TensorFlow, convolution": (_tensorflow_conv(), conv),
        "torch, product": (_torch_product(), product),
        "torch, convolution": (_torch_conv(), conv),
        "OpenVINO, convolution": (_openvino_conv(), conv),
    }
    taken = in_turns({name: call for name, (call, _) in calls.items()}, rounds)
    return {name: flop / taken[name].best / 1e12 for name, (_, flop) in calls.items()}


def _tensorflow_product() -> Callable[[], Any]:
    import tensorflow as tf

    a = tf.cast(tf.random.normal((SIDE, SIDE)), tf.bfloat16)
    call = tf.function(lambda x: tf.matmul(x, x))
    return lambda: call(a).numpy()


def _tensorflow_conv() -> Callable[[], Any]:
    import tensorflow as tf

    films, channels, kernels, side = CONV
    x = tf.cast(tf.random.normal((films, side, side, channels)), tf.bfloat16)
    kernel = tf.cast(tf.random.normal((3, 3, channels, kernels)), tf.bfloat16)
    call = tf.function(lambda x: tf.reduce_max(tf.nn.conv2d(x, kernel, 1, "SAME")))
    return lambda: call(x).numpy()


def _torch_product() -> Callable[[], Any]:
    import torch

    a = torch.randn(SIDE, SIDE).to(torch.bfloat16)
    return lambda: a @ a


def _torch_conv() -> Callable[[], Any]:
    import torch

    films, channels, kernels, side = CONV
    layer = torch.nn.Conv2d(channels, kernels, 3, padding=1, bias=False).to(torch.bfloat16)
    layer = layer.to(memory_format=torch.channels_last)
    x = torch.randn(films, channels, side, side).to(torch.bfloat16, memory_format=torch.channels_last)

    def call() -> Any:
        with torch.inference_mode():
            return layer(x)

    return call


def _openvino_conv() -> Callable[[], Any]:
    openvino = import_openvino()
    ops = openvino.opset13

    films, channels, kernels, side = CONV
    x = ops.parameter((films, channels, side, side), np.float32)
    kernel = ops.constant(np.random.default_rng(0).normal(size=(kernels, channels, 3, 3)).astype(np.float32))
    result = ops.reduce_max(ops.convolution(x, kernel, [1, 1], [1, 1], [1, 1], [1, 1]), [0, 1, 2, 3])
    compiled = openvino.Core().compile_model(
        openvino.Model([result], [x]), "CPU", {"INFERENCE_PRECISION_HINT": "bf16", "PERFORMANCE_HINT": "LATENCY"}
    )
    request = compiled.create_infer_request()
    shown = np.random.default_rng(0).normal(size=(films, channels, side, side)).astype(np.float32)
    return lambda: request.infer({0: shown})
