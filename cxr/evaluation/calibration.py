"""Temperature scaling: probabilities = softmax(logits / T), with one number T from validation films (Guo 2017).

What it keeps: the order of the classes of one film, so the most probable class. Of two classes, also the order of
films, so every AUC. What it may change: with more classes, the order of films by one class, so its AUC by a little.

Where it is applied: once, between training and judging, into the weights of the layer `logits`. Stored scores,
thresholds, the card's results, the classifier and an exported model then speak of the same probabilities, and none
of them has to remember a factor; the card's `temperature` says what was done and is never applied again. All logits'
gradients shrink alike, so a heatmap, scaled to its own peak, stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_FILMS = 30
RANGE = (0.2, 10.0)  # a best value at its edge is no best value: the films can be told apart without an error
TINY = 1e-30


@dataclass(frozen=True)
class Temperature:
    value: float  # 1 where none was fitted
    rule: str  # how it was found, or why not


def fit_temperature(probabilities: NDArray[np.floating], targets: NDArray[np.floating]) -> Temperature:
    """The temperature with the least log loss; a film that may be several classes counts by their sum."""
    from scipy.optimize import minimize_scalar

    if len(targets) < MIN_FILMS:
        return Temperature(1.0, f"none: fewer than {MIN_FILMS} validation films")

    def loss(log_t: float) -> float:
        of_label = np.where(targets > 0, apply_temperature(probabilities, np.exp(log_t)), 0).sum(axis=1)
        return float(-np.log(np.maximum(of_label, TINY)).mean())

    low, high = np.log(RANGE)
    best = minimize_scalar(loss, bounds=(low, high), method="bounded").x
    if min(best - low, high - best) < 0.01:
        return Temperature(1.0, "none: the validation films do not tell how sure the model should be")
    return Temperature(round(float(np.exp(best)), 4), f"least log loss on {len(targets)} validation films")


def apply_temperature(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.floating]:
    """softmax(logits / T) from softmax(logits)."""
    log_p = np.log(np.maximum(probabilities, TINY)) / temperature
    raised = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
