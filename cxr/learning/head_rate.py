"""Optimizers that train the head at another learning rate than the backbone.

A head starts from random weights and a backbone from learned ones, so the head may take larger steps. Keras has one
rate for all variables; Adam divides by the gradient's own size, so scaling gradients would change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

HEAD_LAYERS = ("logits", "dense")  # how the names of the head's layers begin, see `cxr.learning.network`
_CLASSES: dict[str, type[keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
}


def optimizer_class(name: str, head_rate: float) -> Any:
    """The class of the optimizer; unless the factor is 1, one that multiplies the head's learning rate by it."""
    base: Any = _CLASSES[name]
    if head_rate == 1:
        return base

    class WithHeadRate(base):
        """The optimizer with a multiple of the learning rate for the variables of the head."""

        def build(self, variables: Sequence[Any]) -> None:
            super().build(variables)
            self._head = {n for n, variable in enumerate(variables) if _layer(variable).startswith(HEAD_LAYERS)}

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            factor = head_rate if self._get_variable_index(variable) in self._head else 1.0
            super().update_step(gradient, variable, learning_rate * factor)

    return WithHeadRate


def _layer(variable: Any) -> str:
    """The name of the layer that a variable belongs to."""
    return str(variable.path).split("/")[-2:][0]
