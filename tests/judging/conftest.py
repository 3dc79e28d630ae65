"""Score tables of films that no model has read, and a model on the shelf that nobody needs to train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.reading import shelf
from cxr.reading.card import Card, Draft
from tests.conftest import tiny_recipe

CLASSES = ("normal", "bacterial", "viral")
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


@pytest.fixture
def card(home: Path) -> Card:
    films = {"test": {"normal": 2, "viral": 1}, "val": {"normal": 1}}
    draft = Draft(name="drawn", classes=CLASSES, threshold=0.4, films=films)
    scores = pd.DataFrame(
        {
            "dataset": "drawn",
            "path": ["1.png", "2.png", "3.png", "4.png"],
            "label": ["normal", "normal", "viral", "normal"],
            "role": ["test", "test", "test", "val"],
            "p_normal": [0.9, 0.3, 0.1, 0.8],
            "p_bacterial": [0.05, 0.6, 0.2, 0.1],
            "p_viral": [0.05, 0.1, 0.7, 0.1],
        }
    )
    return shelf.store(draft, tiny_recipe(), {"logits/bias": np.zeros(3, np.float32)}, scores.to_csv(index=False))
