"""Cards and predictions made by hand."""

import numpy as np

from cxr.datasets.labels import LabelSpace
from cxr.inference.classifier import Prediction
from cxr.registry.card import Card

GROUPS = {"pneumonia": ("bacterial", "viral", "covid19")}
FOUR = LabelSpace(("normal", "bacterial", "viral", "covid19"), GROUPS)
TWO = LabelSpace(("normal", "covid19"), GROUPS)
NEITHER = LabelSpace(("left", "middle", "right"))


def card_of(labels, unsure=None, **facts):
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


def predicted(labels, p, threshold=None, unsure=None):
    p = np.array([p], np.float32)
    heat = np.zeros((len(labels.classes), 2, 2), np.float32)
    negative = labels.negative
    return Prediction(
        classes=labels.classes,
        probabilities=p[0],
        decision=labels.classes[int(labels.decide(p, threshold)[0])],
        threshold=threshold,
        heatmaps=heat,
        peaks=heat.max(axis=(1, 2)),
        suspicion=float(p.max() if negative is None else 1 - p[0, negative]),
        features=np.zeros(4, np.float32),
        model_ms=1.0,
        unsure=unsure,
    )
