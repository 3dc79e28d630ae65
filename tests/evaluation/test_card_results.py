"""What a card keeps of an evaluation."""

import json

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.card_results import OF_A_GROUP, card_results
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.evaluation import evaluate

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
    found = json.loads(json.dumps(card_results(films, LABELS, 0.5), allow_nan=False))
    assert found["accuracy"] == evaluate(labeled_cases(films, LABELS, 0.5)).accuracy
    bounds = found["intervals"]["binary.auc"]
    assert bounds["low"] < bounds["value"] == found["binary"]["auc"] < bounds["high"]


def test_sources_are_told_apart_and_the_worst_is_named(films):
    found = card_results(films, LABELS, 0.5)["groups"]["source"]
    assert [group["name"] for group in found["groups"]] == ["strong", "weak"] and found["worst"] == "weak"
    assert set(found["groups"][0]) == set(OF_A_GROUP)  # all figures of all groups would make a card four times as large


def test_films_are_parted_by_all_that_parts_them_and_ages_are_kept_as_bands(films):
    ages = np.where(np.arange(120) % 3, "061Y", "007Y")
    found = card_results(films.assign(view="PA", sex=np.tile(["F", "M", ""], 40), age=ages), LABELS, 0.5)["groups"]
    assert list(found) == ["source", "sex", "age"]
    assert [group["name"] for group in found["sex"]["groups"]] == ["F", "M", "not stated"]
    assert [(group["name"], group["n"]) for group in found["age"]["groups"]] == [("0 to 17", 40), ("40 to 64", 80)]


def test_films_that_nothing_parts_have_no_groups(films):
    assert "groups" not in card_results(films[films["source"] == "weak"], LABELS, 0.5)
