"""Score tables of films that no model has read."""

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace

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
