"""The margin: a strip at each side of a film that the trunk is not shown once the film is read.

Training's enlarged views show things larger than a whole film does, and a network judges best at the size it was
trained on (Touvron 2019). So a film is read without its margin, enlarged; training's own views are left as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

NAME = "margin"


class Margin(layers.Layer):
    """Films -> films of the same size without their margin; in training they pass as they are."""

    def __init__(self, share: float, **kwargs: Any) -> None:
        super().__init__(trainable=False, **kwargs)
        self.share = share

    def cut_px(self, side_px: int) -> int:
        """Rows and columns that are left out at each side."""
        return round(self.share * side_px)

    def call(self, x: Any, training: bool | None = None) -> Any:
        if training:
            return x
        side, cut = x.shape[1], self.cut_px(x.shape[1])
        inner = x[:, cut : side - cut, cut : side - cut]
        return ops.image.resize(inner, (side, side), interpolation="bilinear", data_format="channels_last")


def frame(cells: int, share: float) -> NDArray[np.float32]:
    """A matrix F with which F @ map @ F.T has the map of a film without its margin where it lies in the whole film.

    Outside of it is nothing. Where the margin is a whole number of cells, as a sixteenth is with 14, the cells stay as
    they are; else they are interpolated.
    """
    whole = round(cells / (1 - 2 * share))
    places = ((np.arange(whole) + 0.5) / whole - share) / (1 - 2 * share) * cells - 0.5
    near = 1 - np.abs(places[:, None] - np.arange(cells)[None, :])
    return np.where(near > 1e-6, near, 0).astype(np.float32)
