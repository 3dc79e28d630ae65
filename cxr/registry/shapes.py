"""The shapes of a network's arrays, computed from its recipe without building it and without TensorFlow.

The headers of an imported file are compared with them before any array is read: a small file that declares a huge
network, or one of another recipe, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cxr.registry.recipe_sections import BackboneSettings, InputSettings

if TYPE_CHECKING:
    from cxr.registry.recipe import Recipe

Shape = tuple[int, ...]

_VGG_BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # convolutions of each block
_VGG_FILTERS = (64, 128, 256, 512, 512)
_TINY_FILTERS = (8, 16, 16)
_RESNET50_STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # filters and blocks of conv2 to conv5
_RESNET18_STAGES = ((64, 2), (128, 2), (256, 2), (512, 2))
_EXPANSION = 4  # of a bottleneck block's last convolution


def expected_shapes(recipe: Recipe, class_count: int, zca_rank: int = 0) -> dict[str, Shape]:
    """The shape of every array of the recipe's network by its path, as in "block1_conv1/kernel"."""
    pooled = _pooled_features(recipe)
    shapes = dict(_whitening(recipe.input, zca_rank)) | dict(_BACKBONES[recipe.trunk.backbone]())
    for i, width in enumerate(recipe.head.dense, start=1):
        shapes |= {f"dense{i}/kernel": (pooled, width), f"dense{i}/bias": (width,)}
        pooled = width
    outputs = 1 if recipe.head.output == "sigmoid" else class_count
    return shapes | {"logits/kernel": (pooled, outputs), "logits/bias": (outputs,)}


def weight_count(recipe: Recipe, class_count: int = 2) -> int:
    """The number of weights of the recipe's network, without what whitening is fitted to."""
    return sum(math.prod(shape) for shape in expected_shapes(recipe, class_count).values())


def feature_count(backbone: str) -> int:
    """The number of features of a film: the mean of each channel at the end of each block of the backbone."""
    return sum(_CHANNELS[backbone])


_CHANNELS: dict[str, tuple[int, ...]] = {  # of each block that holds weights
    "vgg16": _VGG_FILTERS,
    "vgg19": _VGG_FILTERS,
    "resnet50": (64, *(_EXPANSION * filters for filters, _ in _RESNET50_STAGES)),
    "resnet18": (64, *(filters for filters, _ in _RESNET18_STAGES)),
    "tiny": _TINY_FILTERS,
}


def _whitening(settings: InputSettings, zca_rank: int) -> Iterator[tuple[str, Shape]]:
    if settings.featurewise_center or settings.featurewise_std or settings.zca:
        yield from {"whitening/mean": (), "whitening/deviation": ()}.items()
        if settings.zca and zca_rank:
            components = (settings.size_px**2, zca_rank)
            yield from {"whitening/components": components, "whitening/gains": (zca_rank,)}.items()
            yield "whitening/rest", ()


def _vgg(name: str) -> Iterator[tuple[str, Shape]]:
    channels = 3
    for block, (convolutions, filters) in enumerate(zip(_VGG_BLOCKS[name], _VGG_FILTERS, strict=True), start=1):
        for conv in range(1, convolutions + 1):
            yield from _convolution(f"block{block}_conv{conv}", 3, channels, filters)
            channels = filters


def _tiny() -> Iterator[tuple[str, Shape]]:
    channels = 3
    for block, filters in enumerate(_TINY_FILTERS, start=1):
        yield from _convolution(f"block{block}_conv1", 3, channels, filters)
        channels = filters


def _resnet50() -> Iterator[tuple[str, Shape]]:
    yield from _with_norm("conv1", 7, 3, 64, bias=True)
    channels = 64
    for stage, (filters, blocks) in enumerate(_RESNET50_STAGES, start=2):
        for block in range(1, blocks + 1):
            name, out = f"conv{stage}_block{block}", _EXPANSION * filters
            if block == 1:
                yield from _with_norm(f"{name}_0", 1, channels, out, bias=True)
            yield from _with_norm(f"{name}_1", 1, channels, filters, bias=True)
            yield from _with_norm(f"{name}_2", 3, filters, filters, bias=True)
            yield from _with_norm(f"{name}_3", 1, filters, out, bias=True)
            channels = out


def _resnet18() -> Iterator[tuple[str, Shape]]:
    yield from _with_norm("conv1", 7, 3, 64, bias=False)
    channels = 64
    for stage, (filters, blocks) in enumerate(_RESNET18_STAGES, start=2):
        for block in range(1, blocks + 1):
            name = f"conv{stage}_block{block}"
            if block == 1 and stage > 2:
                yield from _with_norm(f"{name}_0", 1, channels, filters, bias=False)
            yield from _with_norm(f"{name}_1", 3, channels, filters, bias=False)
            yield from _with_norm(f"{name}_2", 3, filters, filters, bias=False)
            channels = filters


_BACKBONES = {
    "vgg16": lambda: _vgg("vgg16"),
    "vgg19": lambda: _vgg("vgg19"),
    "resnet50": _resnet50,
    "resnet18": _resnet18,
    "tiny": _tiny,
}


def _convolution(name: str, side: int, channels: int, filters: int, bias: bool = True) -> Iterator[tuple[str, Shape]]:
    yield f"{name}/kernel", (side, side, channels, filters)
    if bias:
        yield f"{name}/bias", (filters,)


def _with_norm(name: str, side: int, channels: int, filters: int, bias: bool) -> Iterator[tuple[str, Shape]]:
    """A convolution and the batch normalization behind it."""
    yield from _convolution(f"{name}_conv", side, channels, filters, bias)
    for part in ("gamma", "beta", "moving_mean", "moving_variance"):
        yield f"{name}_bn/{part}", (filters,)


def _pooled_features(recipe: Recipe) -> int:
    """The number of values that enter the head."""
    channels = _CHANNELS[recipe.trunk.backbone][-1]
    return channels * _map_side(recipe.trunk, recipe.input.size_px) ** 2 if recipe.head.pool == "flatten" else channels


def _map_side(trunk: BackboneSettings, size_px: int) -> int:
    """The side of the backbone's last map."""
    if trunk.backbone == "tiny":
        return size_px // 4  # two poolings by halves
    if trunk.backbone in _VGG_BLOCKS:
        return size_px // 32  # five of them
    side = size_px
    for _ in range(5):  # the first convolution, the pooling, conv3 to conv5: each halves and rounds up
        side = (side + 1) // 2
    return side
