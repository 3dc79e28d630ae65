"""Temperature scaling: probabilities = softmax(logits / T), with one number T from validation films (Guo 2017).

It keeps the order of the classes of a film, so the most probable class; of two classes, also the order of films, so
every AUC. With more classes it may change the order of films by one class, so its AUC by a little.

It is applied once, between training and evaluation, to the weights of the layer `logits`. Stored scores, thresholds,
the card's results, the classifier and an exported model then have the same probabilities without a factor of their
own; the card's `temperature` is a record and is never applied again. The gradients of all logits shrink alike, so a
heatmap, scaled to its own maximum, stays the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_FILMS = 30
RANGE = (0.2, 10.0)  # an optimum at its edge is not one: the films are separated without an error
TINY = 1e-30


@dataclass(frozen=True)
class Temperature:
    """A temperature and the rule that it was fitted by."""

    value: float  # 1 where none was fitted
    rule: str  # or why there is none


def fit_temperature(probabilities: NDArray[np.floating], targets: NDArray[np.floating]) -> Temperature:
    """The temperature with the lowest log loss; a film of a coarse label counts by the sum of its classes."""
    from scipy.optimize import minimize_scalar

    if len(targets) < MIN_FILMS:
        return Temperature(1.0, f"none: fewer than {MIN_FILMS} validation X-rays")

    def loss(log_t: float) -> float:
        label_probability = np.where(targets > 0, apply_temperature(probabilities, np.exp(log_t)), 0).sum(axis=1)
        return float(-np.log(np.maximum(label_probability, TINY)).mean())

    low, high = np.log(RANGE)
    best = minimize_scalar(loss, bounds=(low, high), method="bounded").x
    if min(best - low, high - best) < 0.01:
        return Temperature(1.0, "none: the validation X-rays do not determine a temperature")
    return Temperature(round(float(np.exp(best)), 4), f"lowest log loss on {len(targets)} validation X-rays")


def apply_temperature(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.floating]:
    """The probabilities softmax(logits / T), from softmax(logits)."""
    log_p = np.log(np.maximum(probabilities, TINY)) / temperature
    raised = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
