"""The last layer of a network, fitted to a hospital's X-rays and held near the layer that it was trained as."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.fitting.local_films import Floats

STEPS = 60  # of the optimizer; near the trained layer a few dozen are enough
OUT = -1e9  # the log-probability of a class that a label excludes


@dataclass(frozen=True, eq=False)
class LastLayer:
    """The kernel (features, classes) and bias of a linear layer before a softmax."""

    kernel: Floats
    bias: Floats

    def logits(self, features: Floats) -> Floats:
        """The logits of these features."""
        return features @ self.kernel + self.bias

    def scaled(self, temperature: float) -> LastLayer:
        """The layer whose logits are divided by the temperature."""
        return LastLayer(self.kernel / temperature, self.bias / temperature)


def fit_last_layer(layer: LastLayer, features: Floats, targets: NDArray[np.bool_], penalty: float) -> LastLayer:
    """The layer with the lowest mean log loss plus the penalty times the squared distance from `layer`.

    Distances count in units of each feature's spread, so that the penalty means the same for all features. The X-rays
    of each label weigh the same in total, as the shares of a collection are not those of a hospital.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    z = (features - mean) / spread
    weights = _balanced(targets)
    size, classes = features.shape[1], targets.shape[1]
    offset = layer.logits(features)

    def loss(flat: Floats) -> tuple[float, Floats]:
        kernel, bias = flat[: size * classes].reshape(size, classes), flat[size * classes :]
        log_p = _log_softmax(offset + z @ kernel + bias)
        allowed = np.where(targets, log_p, OUT)
        label = np.logaddexp.reduce(allowed, axis=1)
        residual = (np.exp(log_p) - np.exp(allowed - label[:, None])) * weights[:, None]
        value = -(weights * label).sum() + penalty * (kernel**2).sum()
        return float(value), np.concatenate([(z.T @ residual + 2 * penalty * kernel).ravel(), residual.sum(axis=0)])

    start = np.zeros(size * classes + classes)
    with threadpool_limits(1):  # on a busy machine its threads wait for each other far longer than they work
        best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
    change = best[: size * classes].reshape(size, classes) / spread[:, None]
    return LastLayer(layer.kernel + change, layer.bias + best[size * classes :] - mean @ change)


def softmax(logits: Floats) -> Floats:
    """The probabilities of logits."""
    return np.exp(_log_softmax(logits))


def _log_softmax(logits: Floats) -> Floats:
    return logits - np.logaddexp.reduce(logits, axis=1)[:, None]


def _balanced(targets: NDArray[np.bool_]) -> Floats:
    """A weight for each X-ray, so that those of one label weigh as much as those of another; they add up to 1."""
    _, kind, count = np.unique(targets, axis=0, return_inverse=True, return_counts=True)
    weights = 1 / count[kind.ravel()]
    return weights / weights.sum()
