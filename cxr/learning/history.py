"""The metrics of a training by epoch, its best epoch, and whether it should end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cxr.core.ranking import roc_auc
from cxr.datasets.labels import LabelSpace
from cxr.registry.recipe_sections import TrainingSettings

EpochMetrics = dict[str, float]


@dataclass(frozen=True)
class StopReason:
    """Why a training ends."""

    code: Literal["all-epochs", "target-accuracy", "early-stopping", "stopped"]
    sentence: str


STOPPED = StopReason("stopped", "stopped on request")


def validation_metrics(log_p: NDArray[np.float32], targets: NDArray[np.float32], labels: LabelSpace) -> EpochMetrics:
    """Loss, accuracy and AUC on validation films; a film that may be one of several classes counts by their sum."""
    possible = np.where(targets > 0, np.exp(log_p.astype(np.float64)), 0)
    correct = targets[np.arange(len(targets)), log_p.argmax(axis=1)]
    return {
        "val_loss": float(-np.log(np.maximum(possible.sum(axis=1), 1e-12)).mean()),
        "val_accuracy": float(correct.mean()),
        "val_auc": validation_auc(np.exp(log_p), targets, labels),
    }


def validation_auc(p: NDArray[np.floating], targets: NDArray[np.float32], labels: LabelSpace) -> float:
    """The AUC of all findings against the negative class; without a negative class, the mean one-vs-rest AUC."""
    single = targets.sum(axis=1) == 1
    if labels.negative is not None:
        known = single | (targets[:, labels.negative] == 0)
        return roc_auc(targets[known, labels.negative] == 0, 1 - p[known, labels.negative])
    values = [roc_auc(targets[single, k] == 1, p[single, k]) for k in range(targets.shape[1])]
    known_values = [value for value in values if not np.isnan(value)]
    return float(np.mean(known_values)) if known_values else float("nan")


def best_epoch(history: list[EpochMetrics], metric: str) -> int:
    """The index of the best epoch so far: the first of equal ones, or the last epoch where the metric is `last`."""
    if metric == "last":
        return len(history) - 1
    values = np.array([row[metric] for row in history])
    values = np.where(np.isnan(values), np.inf if metric == "val_loss" else -np.inf, values)
    return int(np.argmin(values) if metric == "val_loss" else np.argmax(values))


def stop_reason(history: list[EpochMetrics], settings: TrainingSettings) -> StopReason | None:
    """Why the training ends here; None if it continues."""
    if len(history) >= settings.epochs:
        return StopReason("all-epochs", "all epochs done")
    if not history:
        return None
    if settings.stop_at_accuracy and history[-1]["accuracy"] >= settings.stop_at_accuracy:
        return StopReason("target-accuracy", f"training accuracy reached {settings.stop_at_accuracy:g}")
    if settings.early_stopping != "off" and _epochs_without_improvement(history, settings) >= settings.patience:
        return StopReason("early-stopping", f"{settings.early_stopping} did not improve for {settings.patience} epochs")
    return None


def _epochs_without_improvement(history: list[EpochMetrics], settings: TrainingSettings) -> int:
    """Epochs since the metric last improved by more than `min_delta`."""
    sign = 1 if settings.early_stopping == "val_loss" else -1
    best, since = np.inf, 0
    for row in history:
        value = sign * row[settings.early_stopping]
        if value < best - settings.min_delta:
            best, since = value, 0
        else:
            since += 1
    return since


def to_array(history: list[EpochMetrics]) -> NDArray[Any]:
    """The history as bytes, to be stored inside the checkpoint that it belongs to."""
    return np.frombuffer(json.dumps(history).encode(), np.uint8)


def from_array(array: NDArray[Any]) -> list[EpochMetrics]:
    """The history that `to_array` stored."""
    return json.loads(array.tobytes().decode())
