"""The page Evaluate without a browser, over models without usable weights: nothing on the page may need them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Slider

from cxr.datasets.dataset import Dataset
from cxr.films.film import film_id
from cxr.registry import registry
from cxr.registry.card import Card, ModelDraft
from tests.support.training import tiny_recipe

PAGE = Path(__file__).parents[2] / "pages" / "evaluate.py"
CLASSES = ("normal", "bacterial", "viral", "covid19")
THRESHOLD = 0.4126


def store(name: str, classes: tuple[str, ...], table: pd.DataFrame, **facts: Any) -> Card:
    """A model in the registry with these stored scores."""
    films = {role: table[table["role"] == role]["label"].value_counts().to_dict() for role in table["role"].unique()}
    draft = ModelDraft(name=name, classes=classes, films=films, **facts)
    weights = {"logits/bias": np.zeros(1, np.float32)}
    return registry.store(registry.NewModel(draft, tiny_recipe(), weights, table.to_csv(index=False)))


def scored(films: Dataset, classes: tuple[str, ...] = CLASSES, role: str = "test") -> pd.DataFrame:
    """Made-up scores of a dataset's X-rays, somewhat better than chance."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(len(classes)), len(films))
    for row, label in enumerate(films.labels):
        p[row, classes.index(label) if label in classes else 0] += 0.3
    p /= p.sum(axis=1, keepdims=True)
    table = films.table[["dataset", "path", "label"]].assign(patient=range(len(films)), role=role)
    table["film"] = [film_id(films.read_bytes(i)) for i in range(len(films))]
    return table.assign(**{f"p_{name}": p[:, k] for k, name in enumerate(classes)})


def run(app: AppTest) -> AppTest:
    """The page after a run; it raised nothing and shows no error."""
    app.run()
    assert not app.exception
    assert not app.error
    return app


def open_page(section: str = "") -> AppTest:
    """The page, at a section if one is named."""
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    return show(app, section) if section else app


def show(app: AppTest, section: str) -> AppTest:
    """The page after this section was chosen."""
    app.segmented_control(key="evaluate_section").set_value(section)
    return run(app)


def select(app: AppTest, **choices: str) -> AppTest:
    """The page after choices in its select boxes, by key without the page's name, in one run."""
    for key, value in choices.items():
        app.selectbox(key=f"evaluate_{key}").set_value(value)
    return run(app)


def set_threshold(app: AppTest, value: float) -> AppTest:
    """The page after the threshold was moved."""
    slider: Slider[float] = app.slider[0]
    slider.set_value(value)
    return run(app)


def press(app: AppTest, key: str) -> AppTest:
    """The page after a button was pressed."""
    app.button(key=key).click()
    return run(app)


def metrics(app: AppTest) -> dict[str, str]:
    """The value of each key metric."""
    return {metric.label: metric.value for metric in app.metric}


def metric_bounds(app: AppTest, name: str) -> tuple[float, float, float]:
    """The lower bound, the value and the upper bound of a key metric."""
    metric = next(metric for metric in app.metric if metric.label == name)
    low, high = map(float, metric.delta.split("–"))
    return low, float(metric.value), high


def captions(app: AppTest) -> str:
    """All captions of the page."""
    return " ".join(caption.value for caption in app.caption)
