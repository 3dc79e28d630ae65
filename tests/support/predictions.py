"""Cards, test results and predictions with given numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from cxr.datasets.labels import LabelSpace
from cxr.inference.classifier import Prediction
from cxr.registry.card import Card
from cxr.registry.local_fit import FitFigure, FitFigures, LocalFit, PredictionSets

GROUPS = {"pneumonia": ("bacterial", "viral", "covid19")}
FOUR = LabelSpace(("normal", "bacterial", "viral", "covid19"), GROUPS)
TWO = LabelSpace(("normal", "covid19"), GROUPS)
NEITHER = LabelSpace(("left", "middle", "right"))  # without a negative class

HALF = FitFigure(value=0.5)

Band = tuple[float, float]


def card_of(labels: LabelSpace, unsure: Band | None = None, **facts: Any) -> Card:
    """A card of a model with these classes."""
    return Card(
        name="drawn",
        classes=labels.classes,
        groups=dict(labels.groups),
        unsure=unsure,
        version="0123456789ab",
        created="2026-01-02T03:04:05+00:00",
        recipe="tiny",
        size_px=32,
        seed=0,
        weights_sha256="0" * 64,
        **facts,
    )


def results_of(labels: LabelSpace, n: int, accuracy: float, binary: dict[str, Any] | None) -> dict[str, Any]:
    """The results of a card for so many test films."""
    ratios = dict.fromkeys(labels.classes, 0.5)
    confusion = np.zeros((len(labels.classes), len(labels.classes)), int).tolist()
    negative = "" if labels.negative is None else labels.classes[labels.negative]
    results = {"n": n, "classes": labels.classes, "accuracy": accuracy, "macro_f1": 0.5, "auc": ratios}
    return {"test": results | {"confusion": confusion, "recall": ratios, "negative": negative, "binary": binary}}


def predicted(
    labels: LabelSpace, probabilities: list[float], threshold: float | None = None, indeterminate: bool | None = None
) -> Prediction:
    """A prediction with these probabilities and blank heatmaps."""
    p = np.array(probabilities, np.float32)
    heatmaps = np.zeros((len(labels.classes), 2, 2), np.float32)
    return Prediction(
        classes=labels.classes,
        probabilities=p,
        decision=labels.classes[int(labels.decide(p[None], threshold)[0])],
        threshold=threshold,
        heatmaps=heatmaps,
        peaks=heatmaps.max(axis=(1, 2)),
        positive_probability=float(p.max() if labels.negative is None else 1 - p[labels.negative]),
        features=np.zeros(4, np.float32),
        model_ms=1.0,
        indeterminate=indeterminate,
    )


def set_limits(lowest: dict[str, float]) -> PredictionSets:
    """Prediction sets with these limits."""
    covered = dict.fromkeys(lowest, HALF)
    return PredictionSets(coverage=0.9, lowest=lowest, covered=covered, single=HALF, several=HALF, none=HALF)


def fitted(labels: LabelSpace, lowest: dict[str, float] | None) -> Card:
    """A card of a model that was fitted to a hospital, with these limits of its sets."""
    figures = FitFigures(sensitivity=HALF, specificity=HALF, auc=HALF, calibration_error=HALF)
    fit = LocalFit(
        parent="drawn",
        parent_version="0123456789ab",
        datasets=("ward-7",),
        films={"normal": 50, "viral": 50},
        patients={"normal": 50, "finding": 50},
        target="specificity of 90%",
        temperature=1.0,
        last_layer=False,
        before=figures,
        after=figures,
        prediction_sets=None if lowest is None else set_limits(lowest),
    )
    return card_of(labels, local_fit=fit)
