"""All metrics with their intervals, and the same with a loop over scikit-learn."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.intervals import metric_intervals

CLASSES = ("normal", "bacterial", "viral", "covid19")
THRESHOLD = 0.5


def scores(films: int) -> pd.DataFrame:
    """Made-up scores of so many films of half as many patients; right more often than not."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, len(CLASSES), films)
    logits = rng.normal(size=(films, len(CLASSES)))
    logits[np.arange(films), truth] += 2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = {f"p_{name}": p[:, k] for k, name in enumerate(CLASSES)}
    return pd.DataFrame({"label": np.array(CLASSES)[truth], "patient": np.arange(films) // 2} | table)


def ours(table: pd.DataFrame, resamples: int) -> None:
    metric_intervals(labeled_cases(table, LabelSpace(CLASSES), THRESHOLD), resamples)


def scikit_learn_s(table: pd.DataFrame, measured: int, resamples: int) -> float:
    """Seconds that so many resamples would take with scikit-learn, of the few that were measured."""
    truth = table["label"].map(CLASSES.index).to_numpy()
    p = table[[f"p_{name}" for name in CLASSES]].to_numpy()
    of_patient = [np.flatnonzero(table["patient"] == one) for one in range(int(table["patient"].max()) + 1)]
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    for _ in range(measured):
        drawn = np.concatenate([of_patient[one] for one in rng.integers(len(of_patient), size=len(of_patient))])
        _figures(truth[drawn], p[drawn])
    return (time.perf_counter() - started) / measured * resamples


def _figures(truth: np.ndarray, p: np.ndarray) -> None:
    """The figures that `with_intervals` computes and scikit-learn has a function for."""
    from sklearn import metrics

    ill, score = truth > 0, 1 - p[:, 0]
    called = score >= THRESHOLD
    decided = np.where(called, 1 + p[:, 1:].argmax(axis=1), 0)
    metrics.accuracy_score(truth, decided)
    metrics.balanced_accuracy_score(truth, decided)
    metrics.f1_score(truth, decided, average="macro")
    metrics.matthews_corrcoef(truth, decided)
    metrics.recall_score(truth, decided, average=None)
    metrics.roc_auc_score(truth, p, multi_class="ovr", average=None)
    metrics.roc_auc_score(np.eye(len(CLASSES))[truth], p, average="micro")
    metrics.average_precision_score(np.eye(len(CLASSES))[truth], p, average=None)
    metrics.roc_auc_score(ill, score)
    metrics.average_precision_score(ill, score)
    metrics.brier_score_loss(ill, score)
    metrics.confusion_matrix(ill, called)
    metrics.precision_score(ill, called)
