"""Score tables of films that no model has read, measurements of an audit, and a model of a few filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.evaluation import BinaryMetrics, Evaluation
from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts.report import (
    LUNGS_ONLY,
    MASKED,
    PROPERTIES,
    THUMBNAIL,
    WHOLE,
    ProbeResult,
    PropertyResult,
    ShortcutMeasurements,
)
from tests.support.training import tiny_recipe

if TYPE_CHECKING:
    from cxr.inference.classifier import Classifier

TWO = LabelSpace(("normal", "covid19"))
FOUR = LabelSpace(("normal", "bacterial", "viral", "covid19"), {"pneumonia": ("bacterial", "viral", "covid19")})

ScoreTableFactory = Callable[..., pd.DataFrame]


@pytest.fixture
def drawn() -> ScoreTableFactory:
    """Draws a score table: labels, and probabilities somewhat better than chance, with several films per patient."""

    def draw(
        labels: LabelSpace = FOUR,
        films: int = 200,
        patients: int | None = None,
        seed: int = 0,
        decimals: int = 2,
        help: float = 0.3,
    ) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        person = rng.integers(0, patients, films) if patients else np.arange(films)
        truth = rng.integers(0, len(labels.classes), films)
        p = rng.dirichlet(np.ones(len(labels.classes)), films)
        p[np.arange(films), truth] += help
        p = np.round(p / p.sum(axis=1, keepdims=True), decimals)
        table = pd.DataFrame(
            {
                "dataset": "drawn",
                "path": [f"{i}.png" for i in range(films)],
                "patient": person,
                "film": [f"{i:016x}" for i in range(films)],
                "label": [labels.classes[k] for k in truth],
                "role": "test",
            }
        )
        return table.assign(**{f"p_{name}": p[:, k] for k, name in enumerate(labels.classes)})

    return draw


def binary_metrics(evaluation: Evaluation) -> BinaryMetrics:
    """The binary metrics of an evaluation that has a negative class."""
    assert evaluation.binary is not None
    return evaluation.binary


def tiny_classifier(classes: Sequence[str] = ("normal", "bacterial"), size_px: int = 32) -> Classifier:
    """A classifier of a few filters with random weights."""
    from cxr.inference.classifier import Classifier
    from cxr.learning.network import build
    from cxr.registry.card import Card

    recipe = tiny_recipe(input={"size_px": size_px})
    facts: dict[str, Any] = {
        "version": "0" * 12,
        "created": "2025-01-01T00:00:00+00:00",
        "seed": 0,
        "weights_sha256": "0" * 64,
    }
    card = Card(name="tiny", classes=classes, recipe=recipe.name, size_px=size_px, **facts)
    return Classifier(build(recipe, len(classes)), recipe, card)


def interval_around(value: float, reach: float = 0.05) -> Interval:
    """An interval of this half-width around the value, up to 1."""
    return Interval(value, value - reach, min(1, value + reach))


def probe_result(
    name: str, low: float = 0.45, classes: dict[str, Interval] | None = None, retained: Interval | None = None
) -> ProbeResult:
    """The result of a probe whose AUC has this lower bound."""
    return ProbeResult(name=name, auc=interval_around(low + 0.05), classes=classes or {}, retained=retained)


def property_result(name: str, low: float = 0.35, followed: Interval | None = None) -> PropertyResult:
    """The result of a probe on an image property within a source, whose AUC has this lower bound."""
    return PropertyResult(
        name=name, auc=interval_around(low + 0.05), source="here", films=200, followed=followed or interval_around(0)
    )


def audit_measurements(**facts: Any) -> ShortcutMeasurements:
    """The measurements of an audit of outlined lungs that finds nothing; facts replace its own."""
    regions = ("corners", "border", "brightness", "sharpness", "shape")
    values: dict[str, Any] = {
        "datasets": ("set",),
        "notes": (),
        "classes": ("normal", "covid19"),
        "films": 200,
        "patients": 150,
        "by_role": {"": 200},
        "by_source": {"here": {"normal": 100, "covid19": 100}},
        "lungs": "outline",
        "probes_on_features": tuple(probe_result(name) for name in (WHOLE, LUNGS_ONLY, MASKED, THUMBNAIL)),
        "model_scores": tuple(probe_result(name) for name in (WHOLE, LUNGS_ONLY, MASKED)),
        "probes_outside_lungs": tuple(probe_result(name) for name in regions),
        "properties": tuple(property_result(name) for name in PROPERTIES),
        "source": None,
        "class_by_source": None,
        "sources": (),
        "heatmap_shares": (),
    }
    return ShortcutMeasurements(**values | facts)
