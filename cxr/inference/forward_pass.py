"""A forward pass: from pixels to probabilities, the Grad-CAM of every class and features, compiled once.

The backbone runs forward once and never backward. Grad-CAM (Selvaraju 2017) needs the gradient at the target layer's
maps alone, and what lies above them is small.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cxr.learning.network import Network

ForwardPass = Callable[[Any], tuple[Any, Any, Any]]  # pixels -> probabilities, signed heatmaps, features
Explain = Callable[[Any], tuple[Any, Any]]  # the target layer's maps -> probabilities, signed heatmaps


def compiled(network: Network, sigmoid: bool, size_px: int) -> ForwardPass:
    """Gray pixels (films, side, side, 1) -> probabilities, the Grad-CAM of every class as it is, and features.

    Traced once, for any number of films.
    """
    import tensorflow as tf

    backbone, explain = network.maps_and_features, _head(network, sigmoid)

    @tf.function(input_signature=[tf.TensorSpec((None, size_px, size_px, 1), tf.uint8)])
    def forward(pixels: Any) -> tuple[Any, Any, Any]:
        maps, features = backbone(tf.cast(pixels, tf.float32), training=False)
        return (*explain(maps), features)

    traced = forward.get_concrete_function()
    return lambda pixels: traced(tf.constant(pixels))


def compiled_head(network: Network, sigmoid: bool) -> Explain:
    """The target layer's maps in float32 -> probabilities and the Grad-CAM of every class as it is."""
    import tensorflow as tf

    shape = (None, *network.model.get_layer(network.target).output.shape[1:])
    explain = tf.function(_head(network, sigmoid), input_signature=[tf.TensorSpec(shape, tf.float32)])
    traced = explain.get_concrete_function()
    return lambda maps: traced(tf.constant(maps))


def _head(network: Network, sigmoid: bool) -> Explain:
    """The function from the target layer's maps to probabilities and Grad-CAMs, to be traced.

    Negative values are still there: those of a group's classes count against each other.
    """
    import tensorflow as tf

    head, has_even_gradient = network.from_target, _has_even_gradient(network)

    def explain(maps: Any) -> tuple[Any, Any]:
        # float32 from here on: bfloat16 gradients would lose small differences in their mean
        maps = tf.cast(maps, tf.float32)
        if has_even_gradient:
            scores = _scores(head(maps, training=False), sigmoid)
            heatmaps = _weighted(maps, network.model.get_layer("logits").kernel, sigmoid)
        else:
            scores, heatmaps = _scores_and_heatmaps(head, maps, sigmoid)
        return tf.sigmoid(scores) if sigmoid else tf.nn.softmax(scores), heatmaps

    return explain


def _scores(logits: Any, sigmoid: bool) -> Any:
    """A score for each class."""
    import tensorflow as tf

    return tf.concat([-logits, logits], axis=-1) if sigmoid else logits


def _has_even_gradient(network: Network) -> bool:
    """Whether a channel's mean gradient is its weight in the logits, divided by the positions.

    That is so where the head pools by the average and has one layer: poolings before it pass the gradient of each of
    their windows on to one position, as windows do not overlap.
    """
    layers = network.from_target.layers[1:]
    names = [type(layer).__name__ for layer in layers if type(layer).__name__ != "Dropout"]
    return names[-2:] == ["GlobalAveragePooling2D", "Dense"] and all(map(_tiles, layers[: len(names) - 2]))


def _tiles(layer: Any) -> bool:
    """Whether the layer is a pooling whose windows cover all positions once."""
    if type(layer).__name__ != "MaxPooling2D" or layer.pool_size != layer.strides:
        return False
    return all(side % step == 0 for side, step in zip(layer.input.shape[1:3], layer.strides, strict=True))


def _weighted(maps: Any, kernel: Any, sigmoid: bool) -> Any:
    """The Grad-CAM of every class where all gradients are even: one product."""
    import tensorflow as tf

    height, width, channels = maps.shape[1:]
    weights = tf.concat([-kernel, kernel], axis=-1) if sigmoid else kernel
    rows = tf.matmul(tf.reshape(maps, (-1, channels)), weights / (height * width))
    return tf.transpose(tf.reshape(rows, (-1, height, width, weights.shape[-1])), (0, 3, 1, 2))


def _scores_and_heatmaps(head: Any, maps: Any, sigmoid: bool) -> tuple[Any, Any]:
    """A score for each class and its Grad-CAM, by a gradient for each class."""
    import tensorflow as tf

    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(maps)
        scores = _scores(head(maps, training=False), sigmoid)
        score_of_class = tf.unstack(scores, axis=-1)
    heatmaps = []
    for score in score_of_class:
        weights = tf.reduce_mean(tape.gradient(score, maps), axis=(1, 2), keepdims=True)
        heatmaps.append(tf.reduce_sum(weights * maps, axis=-1))
    return scores, tf.stack(heatmaps, axis=1)
