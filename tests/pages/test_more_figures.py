"""Evaluate's figures beside the key numbers, and what is said of each."""

import pytest
from streamlit.testing.v1 import AppTest

from cxr.datasets.dataset import Dataset
from tests.pages.test_evaluate import CLASSES, OWN, PAGE, expected, run, scored, store, threshold


@pytest.fixture
def films(phantoms):
    dataset = Dataset.open(phantoms)
    return dataset.where(dataset.table["split"] == "test")


@pytest.fixture
def card(home, films):
    return store("drawn", CLASSES, scored(films), threshold=OWN)


@pytest.fixture
def page(card):
    return run(AppTest.from_file(str(PAGE), default_timeout=60))


def more(app):
    return app.table[0].value.set_index("Figure")


def test_more_figures_stand_below_the_key_numbers_with_their_intervals_and_what_they_mean(page, card):
    counts, row = expected(card, OWN), more(page).loc["LR+"]
    assert row["Value"] == f"{counts.sensitivity / (1 - counts.specificity):.3f}"
    low, high = map(float, row["95 % interval"].split(" to "))
    assert low < float(row["Value"]) < high
    assert row["What it means"].startswith("How many times the odds")


def test_more_figures_move_with_the_threshold(page, card):
    before = more(page)
    run(threshold(card, page).set_value(0.9))
    after = more(page)
    assert after.loc["MCC", "Value"] != before.loc["MCC", "Value"]
    assert after.loc["Brier score", "Value"] == before.loc["Brier score", "Value"]


def test_f1_stands_above_its_interval_as_the_other_key_numbers_do(page):
    metric = next(metric for metric in page.metric if metric.label == "F1")
    low, high = map(float, metric.delta.split(" to "))
    assert low < float(metric.value) < high
