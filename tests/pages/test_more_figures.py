"""Evaluate's figures beside the key numbers, and what is said of each."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from cxr.datasets.dataset import Dataset
from cxr.presentation.evaluation_tables import MEANING
from tests.pages.test_evaluate import CLASSES, OWN, PAGE, captions, expected, run, scored, store, threshold


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


def helps(table):
    return {name: column["help"] for name, column in json.loads(table.proto.columns).items() if "help" in column}


def meant(names):
    return {name: MEANING[name] for name in names}


def test_every_column_of_the_report_of_classes_says_what_it_means(page):
    run(page.segmented_control(key="evaluate_section").set_value("Classes"))
    assert helps(page.dataframe[0]) == meant(("Precision", "Recall", "F1", "AUC"))
    assert page.dataframe[0].value["Recall"][0].endswith(")")


def test_every_column_of_the_groups_says_what_it_means(home, films):
    store("drawn", CLASSES, scored(films).assign(sex=["F", "M"] * (len(films) // 2)), threshold=OWN)
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    run(app.segmented_control(key="evaluate_section").set_value("Groups"))
    assert helps(app.dataframe[0]) == meant(("Right class", "AUC", "Sensitivity", "Specificity"))


def test_a_comparison_says_what_its_figures_and_tests_mean(card, films, page):
    store("second", CLASSES, scored(films), threshold=0.9)
    run(page.segmented_control(key="evaluate_section").set_value("Another model"))
    run(page.selectbox(key="evaluate_model").set_value("drawn"))
    run(page.selectbox(key="evaluate_other").set_value("second"))
    assert helps(page.dataframe[0])["Difference"] == MEANING["Difference"]
    assert MEANING["AUC"] in helps(page.dataframe[0])[""]
    assert MEANING["McNemar"] in captions(page)


def test_curves_and_calibration_say_what_their_figures_mean(page):
    run(page.segmented_control(key="evaluate_section").set_value("ROC and precision-recall"))
    assert any(MEANING["Average precision"] in caption.help for caption in page.caption)
    run(page.segmented_control(key="evaluate_section").set_value("Calibration"))
    assert any(MEANING["Brier score"] in caption.help and MEANING["ECE"] in caption.help for caption in page.caption)


def test_f1_stands_above_its_interval_as_the_other_key_numbers_do(page):
    metric = next(metric for metric in page.metric if metric.label == "F1")
    low, high = map(float, metric.delta.split(" to "))
    assert low < float(metric.value) < high
