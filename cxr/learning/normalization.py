"""Layers that normalize gray levels: equalization, which knows one image, and whitening, fitted on training films."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from cxr.registry.recipe_sections import InputSettings

GRAY = 255.0
GRAY_LEVELS_PER_SD = 63.75  # scales the output back to the range that pretrained backbones expect
KNOTS = 33  # quantiles of an image that equalization maps to evenly spaced gray levels
STRIDE = 4  # the quantiles are those of every fourth pixel of every fourth row
APART = 1e-3  # gray levels between equal quantiles, so that no segment has length zero


class Equalization(layers.Layer):
    """Maps each image's gray levels so that its quantiles are evenly spaced, linearly in between.

    The image is blended with its equalized version: `strength` 0 leaves it as it is, 1 equalizes it.
    """

    def __init__(self, strength: float, **kwargs: Any) -> None:
        super().__init__(trainable=False, **kwargs)
        self.strength = strength

    def call(self, x: Any) -> Any:
        sample = x[:, ::STRIDE, ::STRIDE, 0]
        ranked = ops.sort(ops.reshape(sample, (-1, sample.shape[1] * sample.shape[2])), axis=-1)
        places = np.linspace(0, ranked.shape[1] - 1, KNOTS).astype(int)
        quantiles = ops.take(ranked, places, axis=1) + np.arange(KNOTS, dtype=np.float32) * APART
        equalized = ops.zeros_like(x)
        for k in range(KNOTS - 1):
            low, high = (ops.reshape(quantiles[:, end], (-1, 1, 1, 1)) for end in (k, k + 1))
            equalized += ops.clip((x - low) / (high - low), 0.0, 1.0)
        return x + self.strength * (equalized * (GRAY / (KNOTS - 1)) - x)


class Whitening(layers.Layer):
    """Whitens gray images; the output is centered at 127.5.

    ZCA scales an image along the principal components of the training films to equal variance. What lies outside of
    these components, most of an image that was not trained on, is scaled like a direction without variance.
    """

    def __init__(self, rank: int, **kwargs: Any) -> None:
        super().__init__(trainable=False, **kwargs)
        self.rank = rank

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.mean = self.add_weight(name="mean", shape=(), initializer="zeros")
        self.deviation = self.add_weight(name="deviation", shape=(), initializer="ones")
        if self.rank:
            pixels = int(np.prod([side or 1 for side in shape[1:]]))
            self.components = self.add_weight(name="components", shape=(pixels, self.rank), initializer="zeros")
            self.gains = self.add_weight(name="gains", shape=(self.rank,), initializer="ones")
            self.rest = self.add_weight(name="rest", shape=(), initializer="ones")

    def call(self, x: Any) -> Any:
        x = (x - self.mean) / self.deviation
        if self.rank:
            flat = ops.reshape(x, (-1, self.components.shape[0]))
            inside = ops.matmul(flat, self.components) * (self.gains - self.rest)
            flat = flat * self.rest + ops.matmul(inside, ops.transpose(self.components))
            x = ops.reshape(flat, ops.shape(x))
        return x * GRAY_LEVELS_PER_SD + GRAY / 2


def whitens(settings: InputSettings) -> bool:
    """Whether the network has a whitening layer."""
    return settings.featurewise_center or settings.featurewise_std or settings.zca


def fit_whitening(settings: InputSettings, films: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """The weights of the layer, fitted on training films of one size; a few hundred are enough."""
    x = films.astype(np.float32).reshape(len(films), -1)
    mean = x.mean() if settings.featurewise_center else np.float32(GRAY / 2)
    deviation = x.std() + 1e-6 if settings.featurewise_std else np.float32(GRAY_LEVELS_PER_SD)
    values = [np.asarray(mean), np.asarray(deviation)]
    if settings.zca:
        values += _components((x - mean) / deviation, settings.zca_epsilon)
    return [value.astype(np.float32) for value in values]


def _components(x: NDArray[Any], epsilon: float) -> list[NDArray[Any]]:
    """The components, a gain for each, and the gain of everything else; the total variance stays the same.

    Computed from the films' Gram matrix, which is far smaller than the covariance of all pixels.
    """
    variance, vectors = np.linalg.eigh(x.astype(np.float64) @ x.T / len(x))
    keep = variance > variance[-1] * 1e-6
    variance, vectors = variance[keep], vectors[:, keep]
    components = x.T @ (vectors / np.sqrt(variance * len(x)))
    floor = epsilon * variance[-1]
    gains = 1 / np.sqrt(variance + floor)
    scale = np.sqrt(variance.sum() / (gains**2 * variance).sum())
    return [components, gains * scale, np.asarray(scale / np.sqrt(floor))]
