"""The network of a recipe: one flat Keras graph from gray pixels to probabilities, preprocessing included.

Nothing here depends on one Keras backend, so the same network runs on all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from cxr.core.errors import RecipeError
from cxr.learning.backbones import BACKBONES
from cxr.learning.normalization import Equalization, Whitening, whitens
from cxr.registry.recipe import Recipe
from cxr.registry.recipe_sections import InputSettings

# Mean and standard deviation of each channel, on a scale of 0 to 255.
_CHANNELS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "unit": ((0.0,) * 3, (255.0,) * 3),
    "caffe": ((103.939, 116.779, 123.68), (1.0,) * 3),
    "torch": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "half": ((127.5,) * 3, (63.75,) * 3),
}


@dataclass(frozen=True, eq=False)
class Network:
    """A Keras graph and the layers in it that other modules use."""

    model: keras.Model  # pixels -> probabilities
    target: str  # the layer whose feature maps heatmaps are made of
    cut: Any  # the tensor where training begins: everything before it is frozen

    @property
    def frozen_part(self) -> keras.Model:
        """The model from pixels to the cut."""
        return keras.Model(self.model.input, self.cut)

    @property
    def trainable_part(self) -> keras.Model:
        """The model from the cut to the logits."""
        return keras.Model(self.cut, self.model.get_layer("logits").output)

    @property
    def maps_and_features(self) -> keras.Model:
        """The model from pixels to the target's maps and to features: each channel's mean at the end of each block."""
        backbone = self.model.layers[: self.model.layers.index(self.model.get_layer(self.target)) + 1]
        ends = {_block(layer): layer for layer in backbone if _block(layer) in _blocks(backbone)}
        means = [layers.GlobalAveragePooling2D(dtype="float32")(layer.output) for layer in ends.values()]
        features = layers.Concatenate(dtype="float32")(means) if len(means) > 1 else means[0]
        return keras.Model(self.model.input, [self.model.get_layer(self.target).output, features])

    @property
    def from_target(self) -> keras.Model:
        """The model from the target's maps to the logits."""
        return keras.Model(self.model.get_layer(self.target).output, self.model.get_layer("logits").output)

    @property
    def blocks(self) -> list[tuple[str, list[Any]]]:
        """The layers with weights by block, from the head down to the first block; without the whitening."""
        end = self.model.layers.index(self.model.get_layer("pooled"))
        backbone, head = self.model.layers[:end], self.model.layers[end:]
        blocks = [
            (block, [layer for layer in backbone if _block(layer) == block]) for block in reversed(_blocks(backbone))
        ]
        return [(name, [layer for layer in layers if layer.weights]) for name, layers in [("head", head), *blocks]]

    def apply_temperature(self, temperature: float) -> None:
        """Divide the weights of the logits' layer by the temperature, which divides the logits."""
        layer = self.model.get_layer("logits")
        layer.set_weights([array / temperature for array in layer.get_weights()])


def build(recipe: Recipe, classes: int, precision: str = "float32", zca_rank: int = 0) -> Network:
    """The recipe's network with random weights; the backbone before the block `trunk.train` is frozen."""
    if recipe.head.output == "sigmoid" and classes != 2:
        raise RecipeError(
            f"head.output = sigmoid needs two classes; this dataset has {classes}. Use softmax.", code="sigmoid-classes"
        )
    keras.utils.set_random_seed(recipe.training.seed)
    with _dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32"):
        pixels = keras.Input((recipe.input.size_px, recipe.input.size_px, 1), name="pixels", dtype="float32")
        x = _preprocess(pixels, recipe.input, zca_rank)
        maps, target = BACKBONES[recipe.trunk.backbone](x)
    logits, pooled = _head(maps, recipe, classes)
    activation = "softmax" if recipe.head.output == "softmax" else "sigmoid"
    probabilities = layers.Activation(activation, dtype="float32", name="probabilities")(logits)
    model = keras.Model(pixels, probabilities, name=recipe.name.replace(".", "_"))
    return Network(model, target, _freeze(model, recipe.trunk.train, pooled))


def _preprocess(pixels: Any, settings: InputSettings, zca_rank: int) -> Any:
    x = pixels
    if settings.equalize:
        x = Equalization(settings.equalize, dtype="float32", name="equalization")(x)
    if whitens(settings):
        x = Whitening(zca_rank if settings.zca else 0, dtype="float32", name="whitening")(x)
    x = layers.Concatenate(dtype="float32", name="three_channels")([x, x, x])
    mean, deviation = _CHANNELS[settings.scale]
    variance = [value**2 for value in deviation]
    return layers.Normalization(mean=list(mean), variance=variance, dtype="float32", name="normalise")(x)


def _head(maps: Any, recipe: Recipe, classes: int) -> tuple[Any, Any]:
    """The logits, and the pooled vector that the head starts from, in float32, as the head is small."""
    pool = {
        "flatten": layers.Flatten,
        "average": layers.GlobalAveragePooling2D,
        "max": layers.GlobalMaxPooling2D,
    }[recipe.head.pool]
    pooled = pool(dtype="float32", name="pooled")(maps)
    penalty = keras.regularizers.L2(recipe.head.l2) if recipe.head.l2 else None
    x = pooled
    for i, width in enumerate(recipe.head.dense, start=1):
        x = layers.Dense(width, activation="relu", kernel_regularizer=penalty, dtype="float32", name=f"dense{i}")(x)
        x = _dropout(x, recipe, f"dropout{i}")
    if not recipe.head.dense:
        x = _dropout(x, recipe, "dropout")
    units = 1 if recipe.head.output == "sigmoid" else classes
    return layers.Dense(units, kernel_regularizer=penalty, dtype="float32", name="logits")(x), pooled


def _dropout(x: Any, recipe: Recipe, name: str) -> Any:
    if not recipe.head.dropout:
        return x
    return layers.Dropout(recipe.head.dropout, seed=recipe.training.seed, dtype="float32", name=name)(x)


def _freeze(model: keras.Model, train: str, pooled: Any) -> Any:
    """Freeze the backbone before the block `train`, and return the tensor that enters this block."""
    if train == "all":
        return model.input
    backbone = list(model.layers[: model.layers.index(model.get_layer("pooled"))])
    if train == "head":
        for layer in backbone:
            layer.trainable = False
        return pooled
    blocks = _blocks(backbone)
    if train not in blocks:
        raise RecipeError(
            f"trunk.train = '{train}' is not a block of this backbone. Use head, all or one of {', '.join(blocks)}.",
            code="no-block",
        )
    first = [_block(layer) for layer in backbone].index(train)
    for layer in backbone[:first]:
        layer.trainable = False
    return backbone[first].input


def _block(layer: Any) -> str:
    return str(layer.name).partition("_")[0]


def _blocks(backbone: Sequence[Any]) -> list[str]:
    """The names of the blocks with weights, without the whitening of the pixels."""
    return sorted({_block(layer) for layer in backbone if layer.weights} - {"whitening"})


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
