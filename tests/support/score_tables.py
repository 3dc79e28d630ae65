"""Score tables of films that no model has read."""

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.interval import Interval
from cxr.evaluation.shortcuts.report import ProbeResult, ShortcutMeasurements
from tests.support.training import tiny_recipe

TWO = LabelSpace(("normal", "covid19"))
FOUR = LabelSpace(("normal", "bacterial", "viral", "covid19"), {"pneumonia": ("bacterial", "viral", "covid19")})


@pytest.fixture
def drawn():
    """Draws a score table: labels, and probabilities somewhat better than chance; several films a patient."""

    def draw(labels=FOUR, films=200, patients=None, seed=0, decimals=2, help=0.3):
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


def tiny_classifier(classes=("normal", "bacterial"), size_px=32):
    """A classifier of a few filters with random weights."""
    from cxr.inference.classifier import Classifier
    from cxr.learning.network import build
    from cxr.registry.card import Card

    recipe = tiny_recipe(input={"size_px": size_px})
    facts = {"version": "0" * 12, "created": "2025-01-01T00:00:00+00:00", "seed": 0, "weights_sha256": "0" * 64}
    card = Card(name="tiny", classes=classes, recipe=recipe.name, size_px=size_px, **facts)
    return Classifier(build(recipe, len(classes)), recipe, card)


def about(value, reach=0.05):
    return Interval(value, value - reach, min(1, value + reach))


def told(name, low=0.45, classes=None, kept=None):
    return ProbeResult(name=name, auc=about(low + 0.05), classes=classes or {}, kept=kept)


def measured(**facts):
    """What an audit measured, where nothing is told without the lungs; facts replace its own."""
    found = {
        "datasets": ("set",),
        "notes": (),
        "classes": ("normal", "covid19"),
        "films": 200,
        "patients": 150,
        "by_role": {"": 200},
        "by_source": {"here": {"normal": 100, "covid19": 100}},
        "lungs": "box",
        "heads": tuple(told(name) for name in ("whole film", "lungs only", "lungs hidden", "thumbnail")),
        "own": tuple(told(name) for name in ("whole film", "lungs only", "lungs hidden")),
        "probes": tuple(told(name) for name in ("corners", "border", "brightness", "sharpness", "shape")),
        "source": None,
        "together": None,
        "sources": (),
        "heat": (),
    }
    return ShortcutMeasurements(**found | facts)
