"""The loss, the accuracy and the class weights of films whose label may name several classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

Tensor = Any
RAREST = 5.0  # times the mean weight: a handful of films shall not lead


def log_probabilities(logits: Tensor) -> Tensor:
    """Log-probability of each class; one sigmoid logit z is the softmax of [0, z]."""
    if logits.shape[-1] == 1:
        logits = ops.concatenate([ops.zeros_like(logits), logits], axis=-1)
    return ops.log_softmax(logits, axis=-1)


def group_crossentropy(smoothing: float = 0.0) -> Callable[[Tensor, Tensor], Tensor]:
    """Minus the log of the summed probability of all classes that a film may be; one class: the usual loss."""

    def loss(targets: Tensor, logits: Tensor) -> Tensor:
        log_p = log_probabilities(logits)
        of_label = -ops.logsumexp(ops.where(targets > 0, log_p, -1e9), axis=-1)
        if not smoothing:
            return of_label
        return (1 - smoothing) * of_label - smoothing * ops.mean(log_p, axis=-1)

    return loss


def group_accuracy(targets: Tensor, logits: Tensor) -> Tensor:
    """1 where the most probable class is one that the film may be."""
    chosen = ops.one_hot(ops.argmax(log_probabilities(logits), axis=-1), targets.shape[-1])
    return ops.sum(targets * chosen, axis=-1)


def balanced_weights(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """A weight for each film so that every class counts the same; a film of several classes takes their mean."""
    share = targets / targets.sum(axis=1, keepdims=True)
    of_class = len(targets) / (targets.shape[1] * np.maximum(share.sum(axis=0), 1))
    return (share @ of_class).astype(np.float32)


def source_weights(targets: NDArray[np.float32], sources: NDArray[np.object_]) -> NDArray[np.float32]:
    """A weight for each film so that the films of one label and source together count as the root of their number."""
    cells = [(source, *target) for source, target in zip(sources, targets.astype(int).tolist(), strict=True)]
    films = Counter(cells)
    weights = np.array([films[cell] ** -0.5 for cell in cells])
    weights = np.minimum(weights / weights.mean(), RAREST)
    return (weights / weights.mean()).astype(np.float32)
