"""The time of all metrics with their intervals, and of the same with a loop over scikit-learn."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.metric_intervals import metric_intervals

CLASSES = ("normal", "bacterial", "viral", "covid19")
THRESHOLD = 0.5


def scores(films: int) -> pd.DataFrame:
    """Synthetic scores of this many films of half as many patients, better than chance."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, len(CLASSES), films)
    logits = rng.normal(size=(films, len(CLASSES)))
    logits[np.arange(films), truth] += 2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = {f"p_{name}": p[:, k] for k, name in enumerate(CLASSES)}
    return pd.DataFrame({"label": np.array(CLASSES)[truth], "patient": np.arange(films) // 2} | table)


def ours(table: pd.DataFrame, resamples: int) -> None:
    """Compute all metrics with their intervals."""
    metric_intervals(labeled_cases(table, LabelSpace(CLASSES), THRESHOLD), resamples)


def scikit_learn_s(table: pd.DataFrame, measured: int, resamples: int) -> float:
    """The seconds that this many resamples take with scikit-learn, extrapolated from the few that are measured."""
    truth = table["label"].map(CLASSES.index).to_numpy()
    p = table[[f"p_{name}" for name in CLASSES]].to_numpy()
    by_patient = [np.flatnonzero(table["patient"] == k) for k in range(int(table["patient"].max()) + 1)]
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    for _ in range(measured):
        drawn = np.concatenate([by_patient[k] for k in rng.integers(len(by_patient), size=len(by_patient))])
        _metrics(truth[drawn], p[drawn])
    return (time.perf_counter() - started) / measured * resamples


def _metrics(truth: np.ndarray, p: np.ndarray) -> None:
    """Compute the metrics of `metric_intervals` that scikit-learn has a function for."""
    from sklearn import metrics

    finding, score = truth > 0, 1 - p[:, 0]
    positive = score >= THRESHOLD
    predicted = np.where(positive, 1 + p[:, 1:].argmax(axis=1), 0)
    metrics.accuracy_score(truth, predicted)
    metrics.balanced_accuracy_score(truth, predicted)
    metrics.f1_score(truth, predicted, average="macro")
    metrics.matthews_corrcoef(truth, predicted)
    metrics.recall_score(truth, predicted, average=None)
    metrics.roc_auc_score(truth, p, multi_class="ovr", average=None)
    metrics.roc_auc_score(np.eye(len(CLASSES))[truth], p, average="micro")
    metrics.average_precision_score(np.eye(len(CLASSES))[truth], p, average=None)
    metrics.roc_auc_score(finding, score)
    metrics.average_precision_score(finding, score)
    metrics.brier_score_loss(finding, score)
    metrics.confusion_matrix(finding, positive)
    metrics.precision_score(finding, positive)
