"""The backbones: each maps a three-channel image tensor to its last feature maps.

ResNet18 is built here because keras.applications lacks it; its layers are named like those of its ResNet50.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

NORM_EPSILON = 1e-5
NORM_MOMENTUM = 0.9

Backbone = Callable[[Any], tuple[Any, str]]  # image tensor -> last feature maps, name of the layer for heatmaps


def resnet18(x: Any) -> tuple[Any, str]:
    """The last feature maps of ResNet18 (He 2015, table 1), and the name of their layer."""
    x = _conv_norm(x, 64, 7, 2, "conv1")
    x = layers.Activation("relu", name="conv1_relu")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1_pool")(x)
    for stage, filters in enumerate((64, 128, 256, 512), start=2):
        for block in (1, 2):
            strides = 2 if block == 1 and stage > 2 else 1
            x = _basic_block(x, filters, strides, f"conv{stage}_block{block}")
    return x, "conv5_block2_out"


def _basic_block(x: Any, filters: int, strides: int, name: str) -> Any:
    shortcut = x
    if strides != 1:
        shortcut = _conv_norm(x, filters, 1, strides, f"{name}_0")
    x = _conv_norm(x, filters, 3, strides, f"{name}_1")
    x = layers.Activation("relu", name=f"{name}_1_relu")(x)
    x = _conv_norm(x, filters, 3, 1, f"{name}_2")
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _conv_norm(x: Any, filters: int, kernel: int, strides: int, name: str) -> Any:
    if kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    x = layers.Conv2D(filters, kernel, strides, use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv")(x)
    return layers.BatchNormalization(epsilon=NORM_EPSILON, momentum=NORM_MOMENTUM, name=f"{name}_bn")(x)


def _from_keras(name: str, heatmap_layer: str) -> Backbone:
    def backbone(x: Any) -> tuple[Any, str]:
        application = getattr(keras.applications, name)
        return application(weights=None, include_top=False, input_tensor=x).output, heatmap_layer

    return backbone


def _tiny(x: Any) -> tuple[Any, str]:
    """Three convolutions of a few filters, for tests and for trying things out."""
    for block, filters in enumerate((8, 16, 16), start=1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv1")(x)
        if block < 3:
            x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return x, "block3_conv1"


BACKBONES: dict[str, Backbone] = {
    "vgg16": _from_keras("VGG16", "block5_conv3"),
    "vgg19": _from_keras("VGG19", "block5_conv4"),
    "resnet50": _from_keras("ResNet50", "conv5_block3_out"),
    "resnet18": resnet18,
    "tiny": _tiny,
}
