"""What a card keeps of an evaluation."""

import json

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.judging.evaluation import evaluate
from cxr.judging.results import results_of

LABELS = LabelSpace(("normal", "viral"))


@pytest.fixture
def films() -> pd.DataFrame:
    """120 films of two sources; those of the second are answered by chance."""
    rng = np.random.default_rng(0)
    ill, weak = np.arange(120) % 2, np.arange(120) >= 60
    p = np.where(weak, rng.uniform(size=120), np.clip(ill + rng.normal(0, 0.2, 120), 0, 1))
    return pd.DataFrame(
        {
            "label": np.where(ill, "viral", "normal"),
            "source": np.where(weak, "weak", "strong"),
            "patient": range(120),
            "p_normal": 1 - p,
            "p_viral": p,
        }
    )


def test_each_figure_lies_in_its_interval_and_all_of_it_is_json(films):
    found = json.loads(json.dumps(results_of(films, LABELS, 0.5), allow_nan=False))
    assert found["accuracy"] == evaluate(films, LABELS, 0.5).accuracy
    bounds = found["intervals"]["binary.auc"]
    assert bounds["low"] < bounds["value"] == found["binary"]["auc"] < bounds["high"]


def test_sources_are_told_apart_and_the_worst_is_named(films):
    found = results_of(films, LABELS, 0.5)["sources"]
    assert [group["name"] for group in found["groups"]] == ["strong", "weak"] and found["worst"] == "weak"


def test_films_of_one_source_have_no_table_of_sources(films):
    assert "sources" not in results_of(films[films["source"] == "weak"], LABELS, 0.5)
