"""Featurewise centring, scaling and ZCA as a layer, with statistics that are fitted on training films."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from cxr.registry.recipe import InputSettings

GREY = 255.0
SPREAD = 63.75  # grey levels that one deviation becomes again, so that a trunk sees what it was trained on


class Whitening(layers.Layer):
    """Grey films -> grey films, about 127.5.

    ZCA turns a film along the training films' principal components and evens these out. What lies outside of
    them, which is most of a film that was not trained on, passes as a direction without variance would.
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
        return x * SPREAD + GREY / 2


def whitens(settings: InputSettings) -> bool:
    return settings.featurewise_center or settings.featurewise_std or settings.zca


def fit_whitening(settings: InputSettings, films: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Values for the layer's weights, from training films of one size; a few hundred are enough."""
    x = films.astype(np.float32).reshape(len(films), -1)
    mean = x.mean() if settings.featurewise_center else np.float32(GREY / 2)
    deviation = x.std() + 1e-6 if settings.featurewise_std else np.float32(SPREAD)
    values = [np.asarray(mean), np.asarray(deviation)]
    if settings.zca:
        values += _components((x - mean) / deviation, settings.zca_epsilon)
    return [value.astype(np.float32) for value in values]


def _components(x: NDArray[Any], epsilon: float) -> list[NDArray[Any]]:
    """Components, a gain for each, and the gain of all else; the films come out with the spread they had.

    By way of the films' Gram matrix, which is far smaller than one of pixels by pixels.
    """
    variance, vectors = np.linalg.eigh(x.astype(np.float64) @ x.T / len(x))
    keep = variance > variance[-1] * 1e-6
    variance, vectors = variance[keep], vectors[:, keep]
    components = x.T @ (vectors / np.sqrt(variance * len(x)))
    floor = epsilon * variance[-1]
    gains = 1 / np.sqrt(variance + floor)
    scale = np.sqrt(variance.sum() / (gains**2 * variance).sum())
    return [components, gains * scale, np.asarray(scale / np.sqrt(floor))]
