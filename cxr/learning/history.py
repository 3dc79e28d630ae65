"""The history of a training: what an epoch brought, which was best, and whether it is time to end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.datasets.labels import LabelSpace
from cxr.registry.recipe import TrainingSettings

Row = dict[str, float]


@dataclass(frozen=True)
class StepProgress:
    """Where a training is; loss and accuracy are means over the epoch so far."""

    epoch: int
    step: int
    steps: int
    loss: float
    accuracy: float
    films_s: float  # films a second in this epoch; 0 while not known


def validation_metrics(log_p: NDArray[np.float32], targets: NDArray[np.float32], labels: LabelSpace) -> Row:
    """Loss, accuracy and AUC of films held back; a film that may be several classes counts by their sum."""
    masked = np.where(targets > 0, np.exp(log_p.astype(np.float64)), 0)
    right = targets[np.arange(len(targets)), log_p.argmax(axis=1)]
    return {
        "val_loss": float(-np.log(np.maximum(masked.sum(axis=1), 1e-12)).mean()),
        "val_accuracy": float(right.mean()),
        "val_auc": validation_auc(np.exp(log_p), targets, labels),
    }


def validation_auc(p: NDArray[np.floating], targets: NDArray[np.float32], labels: LabelSpace) -> float:
    """AUC of everything else against the negative class; without one, the mean of each class against the rest."""
    single = targets.sum(axis=1) == 1
    if labels.negative is not None:
        known = single | (targets[:, labels.negative] == 0)
        return _auc(targets[known, labels.negative] == 0, 1 - p[known, labels.negative])
    values = [_auc(targets[single, k] == 1, p[single, k]) for k in range(targets.shape[1])]
    known_values = [value for value in values if not np.isnan(value)]
    return float(np.mean(known_values)) if known_values else float("nan")


def _auc(truth: NDArray[np.bool_], score: NDArray[np.floating]) -> float:
    if truth.all() or not truth.any():
        return float("nan")
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, score))


def best_epoch(history: list[Row], metric: str) -> int:
    """Index of the best epoch so far; the first of equals, and the last where `last` is asked for."""
    if metric == "last":
        return len(history) - 1
    values = np.array([row[metric] for row in history])
    values = np.where(np.isnan(values), np.inf if metric == "val_loss" else -np.inf, values)
    return int(np.argmin(values) if metric == "val_loss" else np.argmax(values))


def stop_reason(history: list[Row], settings: TrainingSettings) -> str | None:
    """Why training ends here, or None where it goes on."""
    if len(history) >= settings.epochs:
        return "all epochs done"
    if not history:
        return None
    if settings.stop_at_accuracy and history[-1]["accuracy"] >= settings.stop_at_accuracy:
        return f"training accuracy reached {settings.stop_at_accuracy:g}"
    if settings.early_stopping != "off" and _stale(history, settings) >= settings.patience:
        return f"{settings.early_stopping} did not improve for {settings.patience} epochs"
    return None


def _stale(history: list[Row], settings: TrainingSettings) -> int:
    """Epochs since the metric last improved by more than the least change."""
    sign = 1 if settings.early_stopping == "val_loss" else -1
    best, since = np.inf, 0
    for row in history:
        value = sign * row[settings.early_stopping]
        if value < best - settings.min_delta:
            best, since = value, 0
        else:
            since += 1
    return since


def to_array(history: list[Row]) -> NDArray[Any]:
    """The history as bytes, to travel in the checkpoint it belongs to."""
    return np.frombuffer(json.dumps(history).encode(), np.uint8)


def from_array(array: NDArray[Any]) -> list[Row]:
    return json.loads(array.tobytes().decode())
