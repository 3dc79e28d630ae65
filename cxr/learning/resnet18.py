"""ResNet18's trunk, which keras.applications does not have. Layers are named as its ResNet50 names them."""

from __future__ import annotations

from typing import Any

from keras import layers

NORM_EPSILON = 1e-5
NORM_MOMENTUM = 0.9


def resnet18_trunk(x: Any) -> Any:
    """The last map of ResNet18 (He 2015, table 1) over a three-channel image tensor."""
    x = _conv_norm(x, 64, 7, 2, "conv1")
    x = layers.Activation("relu", name="conv1_relu")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1_pool")(x)
    for stage, filters in enumerate((64, 128, 256, 512), start=2):
        for block in (1, 2):
            strides = 2 if block == 1 and stage > 2 else 1
            x = _basic_block(x, filters, strides, f"conv{stage}_block{block}")
    return x


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
