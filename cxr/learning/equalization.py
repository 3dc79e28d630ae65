"""Equalization of gray levels as a layer, so that scanners with different tone curves look alike to the network."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers, ops

GRAY = 255.0
KNOTS = 33  # quantiles of the image that are mapped to evenly spaced gray levels
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
