"""A recipe's optimiser as Keras has it, with the schedule of its rate."""

from __future__ import annotations

from typing import Any

import keras

from cxr.registry.recipe import OptimizerSettings


def make_optimizer(
    settings: OptimizerSettings, steps: int, epochs: int, average: float = 0.0
) -> keras.optimizers.Optimizer:
    """The optimiser with its schedule; the step count is part of its state, so a resumed run is on the same rate."""
    schedules = keras.optimizers.schedules
    rate: Any = settings.rate
    if settings.schedule == "step":
        rate = schedules.ExponentialDecay(rate, settings.step_epochs * steps, settings.step_factor, staircase=True)
    elif settings.schedule == "cosine":
        warmup = round(settings.warmup_epochs * steps)
        rise = {"warmup_target": rate, "warmup_steps": warmup} if warmup else {}
        start = rate / 100 if warmup else rate
        rate = schedules.CosineDecay(start, max(1, epochs * steps - warmup), alpha=0.01, **rise)
    common: dict[str, Any] = {"name": settings.name}  # without one, Keras numbers it, and so the checkpoint's arrays
    if average:
        common |= {"use_ema": True, "ema_momentum": average}
    if settings.clip_norm:
        common["global_clipnorm"] = settings.clip_norm
    if settings.name == "sgd":
        return keras.optimizers.SGD(rate, momentum=settings.momentum, **common)
    if settings.name == "rmsprop":
        return keras.optimizers.RMSprop(rate, momentum=settings.momentum, **common)
    if settings.name == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, **common)
    return keras.optimizers.Adam(rate, **common)
