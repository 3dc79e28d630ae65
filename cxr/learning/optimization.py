"""The loss, accuracy, film weights and optimizer of a training; a label may stand for several classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from cxr.learning.head_rate import optimizer_class
from cxr.registry.recipe_sections import OptimizerSettings

Tensor = Any
MAX_WEIGHT = 5.0  # times the mean weight, so that a handful of films cannot dominate


def log_probabilities(logits: Tensor) -> Tensor:
    """The log-probability of each class; a single sigmoid logit z is the softmax of [0, z]."""
    if logits.shape[-1] == 1:
        logits = ops.concatenate([ops.zeros_like(logits), logits], axis=-1)
    return ops.log_softmax(logits, axis=-1)


def group_crossentropy(smoothing: float | keras.Variable = 0.0) -> Callable[[Tensor, Tensor], Tensor]:
    """A loss: minus the log of the summed probability of all classes a film may be; for one class, cross-entropy.

    Smoothing in a variable can be changed without compiling the model again.
    """
    is_plain = isinstance(smoothing, float) and not smoothing

    def loss(targets: Tensor, logits: Tensor) -> Tensor:
        log_p = log_probabilities(logits)
        nll = -ops.logsumexp(ops.where(targets > 0, log_p, -1e9), axis=-1)
        if is_plain:
            return nll
        return (1 - smoothing) * nll - smoothing * ops.mean(log_p, axis=-1)

    return loss


def group_accuracy(targets: Tensor, logits: Tensor) -> Tensor:
    """1 where the most probable class is one that the film may be, else 0."""
    chosen = ops.one_hot(ops.argmax(log_probabilities(logits), axis=-1), targets.shape[-1])
    return ops.sum(targets * chosen, axis=-1)


def balanced_weights(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """A weight per film so that all classes count the same; a film of several classes gets their mean."""
    share = targets / targets.sum(axis=1, keepdims=True)
    class_weights = len(targets) / (targets.shape[1] * np.maximum(share.sum(axis=0), 1))
    return (share @ class_weights).astype(np.float32)


def source_weights(targets: NDArray[np.float32], sources: NDArray[np.object_]) -> NDArray[np.float32]:
    """A weight per film so that the films of one label and source together count as the root of their number."""
    cells = [(source, *target) for source, target in zip(sources, targets.astype(int).tolist(), strict=True)]
    counts = Counter(cells)
    weights = np.array([counts[cell] ** -0.5 for cell in cells])
    weights = np.minimum(weights / weights.mean(), MAX_WEIGHT)
    return (weights / weights.mean()).astype(np.float32)


def make_optimizer(
    settings: OptimizerSettings, steps: int, epochs: int, ema: float = 0.0
) -> keras.optimizers.Optimizer:
    """The Keras optimizer with its learning-rate schedule, for that many steps per epoch.

    The step count is part of its state, so a resumed run continues at the same rate.
    """
    schedules = keras.optimizers.schedules
    rate: Any = settings.rate
    if settings.schedule == "step":
        rate = schedules.ExponentialDecay(rate, settings.step_epochs * steps, settings.step_factor, staircase=True)
    elif settings.schedule == "cosine":
        warmup = round(settings.warmup_epochs * steps)
        rise: dict[str, Any] = {"warmup_target": rate, "warmup_steps": warmup} if warmup else {}
        start = rate / 100 if warmup else rate
        rate = schedules.CosineDecay(start, max(1, epochs * steps - warmup), alpha=0.01, **rise)
    common: dict[str, Any] = {"name": settings.name}  # Keras would number it, and with it the arrays of the checkpoint
    if ema:
        common |= {"use_ema": True, "ema_momentum": ema}
    if settings.clip_norm:
        common["global_clipnorm"] = settings.clip_norm
    if settings.name in ("sgd", "rmsprop"):
        common["momentum"] = settings.momentum
    if settings.name == "adamw":
        common["weight_decay"] = settings.weight_decay
    return optimizer_class(settings.name, settings.head_rate)(rate, **common)
