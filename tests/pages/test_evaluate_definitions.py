"""The page Evaluate: the further metrics, and the definition of every metric that it shows."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from cxr.core.number_format import decimal
from cxr.datasets.dataset import Dataset
from cxr.presentation.comparison_tables import DIFFERENCE
from cxr.presentation.evaluation_tables import CI_COLUMN
from cxr.presentation.metric_definitions import CLASS_METRICS, DEFINITIONS, SUBGROUP_CALIBRATION, SUBGROUP_METRICS
from cxr.registry.card import Card
from tests.support.evaluate_page import (
    CLASSES,
    THRESHOLD,
    captions,
    metrics,
    open_page,
    run,
    scored,
    select,
    set_threshold,
    show,
    store,
)


@pytest.fixture
def card(home, held_out_films: Dataset) -> Card:
    return store("drawn", CLASSES, scored(held_out_films), threshold=THRESHOLD)


@pytest.fixture
def page(card: Card) -> AppTest:
    return open_page()


def further(app):
    """The table of further metrics by name."""
    return app.table[0].value.set_index("Metric")


def column_help(table):
    """The tooltip of each column head that has one."""
    return {name: column["help"] for name, column in json.loads(table.proto.columns).items() if "help" in column}


def definitions(names):
    return {name: DEFINITIONS[name] for name in names}


def test_further_metrics_have_their_interval_and_definition(page):
    row = further(page).loc["LR+"]
    sensitivity, specificity = (float(metrics(page)[name]) for name in ("Sensitivity", "Specificity"))
    assert float(row["Value"]) == pytest.approx(sensitivity / (1 - specificity), rel=0.01)
    low, high = map(float, row[CI_COLUMN].split("–"))
    assert low < float(row["Value"]) < high
    assert row["Definition"] == DEFINITIONS["LR+"]


def test_further_metrics_follow_the_threshold(page):
    before = further(page)
    after = further(set_threshold(page, 0.9))
    assert after.loc["MCC", "Value"] != before.loc["MCC", "Value"]
    assert after.loc["Brier score", "Value"] == before.loc["Brier score", "Value"]


def test_every_column_of_the_classes_has_its_definition(page):
    table = show(page, "Classes").dataframe[0]
    assert column_help(table) == definitions(CLASS_METRICS)
    assert table.value["Recall"][0].endswith(")")


def test_every_column_of_the_subgroups_has_its_definition(home, held_out_films):
    store(
        "drawn",
        CLASSES,
        scored(held_out_films).assign(sex=["F", "M"] * (len(held_out_films) // 2)),
        threshold=THRESHOLD,
    )
    performance, calibration = open_page("Subgroups").dataframe
    assert column_help(performance) == definitions(SUBGROUP_METRICS)
    assert column_help(calibration) == definitions(SUBGROUP_CALIBRATION)


def test_a_comparison_defines_its_metrics_and_tests(card, held_out_films):
    store("second", CLASSES, scored(held_out_films), threshold=0.9)
    app = select(open_page("Compare"), model="drawn")
    select(app, second_model="second")
    tooltips = column_help(app.dataframe[0])
    assert tooltips[DIFFERENCE] == DEFINITIONS[DIFFERENCE]
    assert DEFINITIONS["AUC"] in tooltips["Metric"]
    assert any(DEFINITIONS["McNemar"] in caption.help for caption in app.caption)


@pytest.mark.parametrize(
    ("section", "names"),
    [("ROC and PR", ("AUC", "Average precision")), ("Calibration", ("Brier score", "ECE"))],
)
def test_curves_define_their_metrics(page, section, names):
    app = show(page, section)
    assert any(all(DEFINITIONS[name] in caption.help for name in names) for caption in app.caption)


def test_the_calibration_error_below_the_chart_is_that_of_the_table(page):
    app = run(show(page, "Calibration"))
    assert decimal(float(further(app).loc["ECE", "Value"])) in captions(app)
