"""A recipe becomes one flat Keras graph: grey pixels in, probabilities out, the preprocessing inside.

Nothing here speaks to one backend, so the same network runs on any that Keras has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from cxr.core.errors import RecipeError
from cxr.learning.resnet18 import resnet18_trunk
from cxr.learning.whitening import Whitening, whitens
from cxr.registry.recipe import InputSettings, Recipe

# mean and deviation of each channel, on 0..255, after the channels' order is set
_CHANNELS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "unit": ((0.0,) * 3, (255.0,) * 3),
    "caffe": ((103.939, 116.779, 123.68), (1.0,) * 3),
    "torch": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "half": ((127.5,) * 3, (63.75,) * 3),
}


@dataclass(frozen=True, eq=False)
class Network:
    """The graph and the places in it that others need to know."""

    model: keras.Model  # pixels -> probabilities
    target: str  # the layer whose maps explain a decision
    cut: Any  # the tensor at which training begins: all before it is frozen

    @property
    def frozen_part(self) -> keras.Model:
        """Pixels -> the cut."""
        return keras.Model(self.model.input, self.cut)

    @property
    def trainable_part(self) -> keras.Model:
        """The cut -> logits: what is trained."""
        return keras.Model(self.cut, self.model.get_layer("logits").output)

    @property
    def maps_and_features(self) -> keras.Model:
        """Pixels -> the maps that a heatmap is made of, and the mean of each channel at the end of each block."""
        trunk = self.model.layers[: self.model.layers.index(self.model.get_layer(self.target)) + 1]
        ends = {_block(layer): layer for layer in trunk if _block(layer) in _blocks(trunk)}
        means = [layers.GlobalAveragePooling2D(dtype="float32")(layer.output) for layer in ends.values()]
        features = layers.Concatenate(dtype="float32")(means) if len(means) > 1 else means[0]
        return keras.Model(self.model.input, [self.model.get_layer(self.target).output, features])

    @property
    def from_target(self) -> keras.Model:
        """The maps that a heatmap is made of -> logits."""
        return keras.Model(self.model.get_layer(self.target).output, self.model.get_layer("logits").output)

    @property
    def blocks(self) -> list[tuple[str, list[Any]]]:
        """The layers that hold weights, from the top down: the head, the trunk's blocks, and not the whitening."""
        end = self.model.layers.index(self.model.get_layer("pooled"))
        trunk, head = self.model.layers[:end], self.model.layers[end:]
        blocks = [(block, [layer for layer in trunk if _block(layer) == block]) for block in reversed(_blocks(trunk))]
        return [(name, [layer for layer in layers if layer.weights]) for name, layers in [("head", head), *blocks]]

    def apply_temperature(self, temperature: float) -> None:
        """Divide the logits by the temperature for good, in the weights of their layer."""
        layer = self.model.get_layer("logits")
        layer.set_weights([array / temperature for array in layer.get_weights()])


def build(recipe: Recipe, classes: int, precision: str = "float32", zca_rank: int = 0) -> Network:
    """The recipe's network with fresh weights; the trunk's part before `trunk.train` is frozen."""
    if recipe.head.output == "sigmoid" and classes != 2:
        raise RecipeError(f"head.output = sigmoid is for two classes; this dataset has {classes}. Use softmax.")
    keras.utils.set_random_seed(recipe.training.seed)
    with _policy("mixed_bfloat16" if precision == "bfloat16" else "float32"):
        pixels = keras.Input((recipe.input.size_px, recipe.input.size_px, 1), name="pixels", dtype="float32")
        x = _preprocess(pixels, recipe.input, zca_rank)
        maps, target = _BACKBONES[recipe.trunk.backbone](x)
    logits, pooled = _head(maps, recipe, classes)
    activation = "softmax" if recipe.head.output == "softmax" else "sigmoid"
    probabilities = layers.Activation(activation, dtype="float32", name="probabilities")(logits)
    model = keras.Model(pixels, probabilities, name=recipe.name.replace(".", "_"))
    return Network(model, target, _freeze(model, recipe.trunk.train, pooled))


def _preprocess(pixels: Any, settings: InputSettings, zca_rank: int) -> Any:
    x = pixels
    if whitens(settings):
        x = Whitening(zca_rank if settings.zca else 0, dtype="float32", name="whitening")(x)
    x = layers.Concatenate(dtype="float32", name="three_channels")([x, x, x])
    mean, deviation = _CHANNELS[settings.scale]
    variance = [value**2 for value in deviation]
    return layers.Normalization(mean=list(mean), variance=variance, dtype="float32", name="normalise")(x)


def _vgg(name: str, last: str) -> Callable[[Any], tuple[Any, str]]:
    def trunk(x: Any) -> tuple[Any, str]:
        application = getattr(keras.applications, name)
        return application(weights=None, include_top=False, input_tensor=x).output, last

    return trunk


def _tiny(x: Any) -> tuple[Any, str]:
    for block, filters in enumerate((8, 16, 16), start=1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv1")(x)
        if block < 3:
            x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return x, "block3_conv1"


_BACKBONES: dict[str, Callable[[Any], tuple[Any, str]]] = {
    "vgg16": _vgg("VGG16", "block5_conv3"),
    "vgg19": _vgg("VGG19", "block5_conv4"),
    "resnet50": _vgg("ResNet50", "conv5_block3_out"),
    "resnet18": lambda x: (resnet18_trunk(x), "conv5_block2_out"),
    "tiny": _tiny,
}


def _head(maps: Any, recipe: Recipe, classes: int) -> tuple[Any, Any]:
    """Logits, and the pooled vector that the head starts from. In float32: it is small, and decides."""
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
    """Freeze the trunk up to the first layer of the block `train`; the tensor that enters it."""
    if train == "all":
        return model.input
    trunk = list(model.layers[: model.layers.index(model.get_layer("pooled"))])
    if train == "head":
        for layer in trunk:
            layer.trainable = False
        return pooled
    blocks = _blocks(trunk)
    if train not in blocks:
        raise RecipeError(f"trunk.train = '{train}' is no block of this trunk. Known: head, all, {', '.join(blocks)}.")
    first = [_block(layer) for layer in trunk].index(train)
    for layer in trunk[:first]:
        layer.trainable = False
    return trunk[first].input


def _block(layer: Any) -> str:
    return str(layer.name).partition("_")[0]


def _blocks(trunk: Sequence[Any]) -> list[str]:
    """The names of the blocks that hold weights, the whitening of the pixels left out."""
    return sorted({_block(layer) for layer in trunk if layer.weights} - {"whitening"})


@contextmanager
def _policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
