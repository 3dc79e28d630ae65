"""The measurements of a shortcut audit in metrics and tables."""

from __future__ import annotations

from math import nan

import pytest

from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts.region_features import REGIONS
from cxr.evaluation.shortcuts.report import MASKED, PROPERTIES, UNSEEN_BY_MODEL, SourceResult
from cxr.presentation.metric_definitions import DEFINITIONS
from cxr.presentation.shortcut_tables import (
    NOT_AVAILABLE,
    PROBE_NAMES,
    probe_name,
    property_table,
    shortcut_metrics,
    source_table,
)
from tests.support.score_tables import audit_measurements, interval_around, probe_result


def test_the_main_metrics_have_a_definition_and_an_interval():
    metrics = {
        metric.name: metric
        for metric in shortcut_metrics(
            audit_measurements(class_by_source=interval_around(0.6), source=probe_result("source", 0.9))
        )
    }
    assert list(metrics) == [
        "Whole image",
        "Lungs only",
        "Lungs masked",
        "8×8 thumbnail",
        "Model, whole image",
        "Model, lungs only",
        "Model, lungs masked",
        "Source",
        "Class–source association",
    ]
    assert all(metric.definition == DEFINITIONS[name] for name, metric in metrics.items())
    association = metrics["Class–source association"]
    assert association.value == 0.6
    assert association.bounds == pytest.approx((0.55, 0.65))


def test_every_region_has_a_display_name():
    assert {*REGIONS, *PROPERTIES} <= set(PROBE_NAMES)
    assert probe_name(MASKED) == "Lungs masked"


def test_each_image_property_has_a_row_and_no_score_follows_what_the_model_cannot_see():
    table = property_table(audit_measurements()).set_index("Image property")
    assert list(table.index) == [probe_name(name) for name in PROPERTIES]
    assert set(table["AUC of the class"]) == {"0.40 (0.35–0.45)"}
    unseen = table["Model's score follows"] == NOT_AVAILABLE
    assert set(table.index[unseen]) == {probe_name(name) for name in set(PROPERTIES) & set(UNSEEN_BY_MODEL)}


def test_a_source_of_one_class_has_no_area():
    unknown = Interval(nan, nan, nan)
    source = SourceResult(
        name="north",
        films=20,
        auc_within=interval_around(0.9),
        auc_held_out=unknown,
        accuracy_held_out=interval_around(0.7),
    )
    row = source_table(audit_measurements(sources=(source,))).iloc[0]
    assert row["X-rays"] == 20
    assert row["AUC held out"] == NOT_AVAILABLE
    assert row["AUC within source"].startswith("0.90 (")
