"""The metrics of an evaluation, and its tables of classes, subgroups and X-rays."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pandas as pd
import pytest

from cxr.core.number_format import UNKNOWN, decimal, interval_range
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import LabeledCases, labeled_cases
from cxr.evaluation.curves import precision_recall_curve, roc_curve
from cxr.evaluation.decisions import ConfusionCounts, binary_questions
from cxr.evaluation.evaluation import evaluate
from cxr.evaluation.indeterminate import selective_metrics
from cxr.evaluation.intervals import Interval
from cxr.evaluation.metric_intervals import metric_intervals
from cxr.evaluation.subgroups import TOO_FEW, Partition, Subgroup, subgroup, subgroup_metrics
from cxr.presentation.evaluation_tables import (
    ALL,
    CI_COLUMN,
    MACRO_AVERAGE,
    WEIGHTED_AVERAGE,
    additional_metrics,
    bounds_by_name,
    class_table,
    displayed_subgroup,
    key_metrics,
    metric_keys,
    question_title,
    score_columns,
    selective_prediction_metrics,
    source_table,
    subgroup_calibration_table,
    subgroup_table,
)
from cxr.presentation.metric_definitions import (
    CALIBRATION_BIAS,
    CLASS_METRICS,
    DEFINITIONS,
    METRIC_KEYS,
    MULTICLASS_KEYS,
    SUBGROUP_CALIBRATION,
    SUBGROUP_METRICS,
)
from cxr.presentation.shortcut_tables import shortcut_metrics
from tests.support.score_tables import audit_measurements, interval_around

LABELS = LabelSpace(("normal", "bacterial", "viral"))
TWO = LabelSpace(("normal", "covid19"))


def scored(labels: LabelSpace, rows: list[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["label", *(f"p_{name}" for name in labels.classes)])


def two_classes(*rows: tuple[object, ...]) -> LabeledCases:
    return labeled_cases(scored(TWO, list(rows)), TWO, 0.5)


@pytest.fixture
def table() -> pd.DataFrame:
    rows = [("normal", 0.9, 0.05, 0.05), ("normal", 0.3, 0.6, 0.1), ("bacterial", 0.2, 0.7, 0.1)]
    return scored(LABELS, [*rows, ("bacterial", 0.6, 0.3, 0.1), ("viral", 0.1, 0.2, 0.7)])


@pytest.fixture
def cases(table: pd.DataFrame) -> LabeledCases:
    return labeled_cases(table, LABELS, 0.5)


def test_key_metrics_are_those_of_the_question_at_the_prevalence(cases):
    question, evaluation = binary_questions(cases)[0], evaluate(cases)
    counts = ConfusionCounts.from_question(question)
    values = {metric.name: metric.value for metric in key_metrics(evaluation, question, 0.01)}
    assert evaluation.binary is not None
    assert values["Sensitivity"] == counts.sensitivity == evaluation.binary.sensitivity
    assert values["PPV"] == counts.ppv(0.01) < counts.precision
    assert values["Multiclass accuracy"] == evaluation.accuracy
    own = {metric.name: metric.value for metric in key_metrics(evaluation, question, None)}
    assert own["PPV"] == pytest.approx(counts.precision)


def test_two_classes_have_one_accuracy():
    cases = two_classes(("normal", 0.9, 0.1), ("covid19", 0.2, 0.8))
    metrics = key_metrics(evaluate(cases), binary_questions(cases)[0], None)
    assert "Multiclass accuracy" not in {metric.name for metric in metrics}


def test_without_a_question_the_key_metrics_are_of_the_classes(cases):
    metrics = key_metrics(evaluate(cases), None, None, {"Macro F1": (0.1, 0.9)})
    assert [(metric.name, metric.bounds) for metric in metrics] == [
        ("Multiclass accuracy", None),
        ("Macro F1", (0.1, 0.9)),
    ]
    assert [metric.interval for metric in metrics] == [None, "0.100–0.900"]


def test_every_metric_has_a_definition_and_every_definition_a_metric(cases):
    evaluation = evaluate(cases)
    shown = [
        *key_metrics(evaluation, binary_questions(cases)[0], None),
        *key_metrics(evaluation, None, None),
        *selective_prediction_metrics(selective_metrics(cases, (0.4, 0.6))),
        *shortcut_metrics(
            audit_measurements(source=audit_measurements().probes_on_features[0], class_by_source=interval_around(0.5))
        ),
    ]
    additional = additional_metrics(metric_intervals(cases, resamples=10), 3)
    tables = {*CLASS_METRICS, *SUBGROUP_METRICS, *SUBGROUP_CALIBRATION, "Difference", "McNemar", "DeLong"}
    assert {metric.name for metric in shown} | set(additional["Metric"]) | tables == set(DEFINITIONS)
    assert all(metric.definition.endswith(".") for metric in shown)


def test_additional_metrics_have_their_interval_and_definition(table):
    intervals = metric_intervals(labeled_cases(pd.concat([table] * 20, ignore_index=True), LABELS, 0.5), resamples=100)
    rows = additional_metrics(intervals, 3).set_index("Metric")
    assert rows.loc["MCC", "Value"] == decimal(intervals["mcc"].value)
    assert rows.loc["MCC", CI_COLUMN] == interval_range(intervals["mcc"].low, intervals["mcc"].high)
    assert rows.loc["LR−", "Definition"] == DEFINITIONS["LR−"]
    assert rows.loc["ECE", CI_COLUMN] == UNKNOWN
    assert set(MULTICLASS_KEYS) <= set(rows.index)


def test_two_classes_have_no_multiclass_metrics():
    intervals = metric_intervals(two_classes(("normal", 0.9, 0.1), ("covid19", 0.2, 0.8)), resamples=10)
    assert not set(MULTICLASS_KEYS) & set(additional_metrics(intervals, 2)["Metric"])


def test_a_ratio_may_be_infinite():
    ratios = {"binary.lr_positive": Interval(inf, nan, nan), "binary.lr_negative": Interval(0.5, 0.2, inf)}
    assert additional_metrics(ratios, 2)[["Value", CI_COLUMN]].to_numpy().tolist() == [
        ["∞", UNKNOWN],
        ["0.500", interval_range(0.2, inf)],
    ]


def test_the_table_of_classes_has_average_areas(cases):
    evaluation = evaluate(cases)
    found = class_table(evaluation, {})["AUC"].tolist()
    areas = list(evaluation.auc.values())
    averages = [np.mean(areas), np.average(areas, weights=[2, 2, 1])]
    assert found == [f"{area:.3f}" for area in (*areas, *averages)]


def test_the_table_of_classes_has_the_intervals_of_the_metrics(table):
    cases = labeled_cases(pd.concat([table] * 20, ignore_index=True), LABELS, 0.5)
    intervals = metric_intervals(cases, resamples=200)
    rows = class_table(evaluate(cases), intervals).set_index("Class")
    assert list(rows) == ["Precision", "Recall", "F1", "AUC", "X-rays"]
    for column, (metric, mean) in CLASS_METRICS.items():
        assert rows.loc["Bacterial pneumonia", column] == intervals[f"{metric}.bacterial"].text()
        if mean:
            assert rows.loc[MACRO_AVERAGE, column] == intervals[mean].text()
    assert str(rows.loc["Bacterial pneumonia", "F1"]).endswith(")")
    assert "(" not in str(rows.loc[WEIGHTED_AVERAGE, "F1"])


def test_a_class_without_an_area_has_no_part_in_the_averages(table):
    only_normal = evaluate(labeled_cases(table[table["label"] == "normal"], LABELS, 0.5))
    assert (class_table(only_normal, {})["AUC"] == UNKNOWN).all()


def test_the_table_of_scores_has_no_file_names(table):
    films = table.assign(dataset="a", patient=range(5), path="Jane-Doe.png")
    assert list(score_columns(films, LABELS.classes)) == [
        "P(normal)",
        "P(bacterial pneumonia)",
        "P(viral pneumonia)",
        "Dataset",
        "Patient",
    ]


def test_only_known_bounds_are_shown(cases):
    intervals = metric_intervals(cases, resamples=50)
    known = bounds_by_name(intervals | {"binary.npv": Interval(0.5, nan, nan), "macro_f1": Interval(0.5, 0.4, 0.6)})
    assert known["Macro F1"] == (0.4, 0.6)
    assert "NPV" not in known
    assert set(known) <= set(DEFINITIONS)


def test_every_key_metric_is_the_one_of_the_results(cases):
    intervals = metric_intervals(cases, resamples=1)
    at_prevalence = metric_intervals(cases, resamples=1, prevalence=0.3)
    evaluation, questions = evaluate(cases), binary_questions(cases)
    for metric in (*key_metrics(evaluation, questions[0], 0.3), *key_metrics(evaluation, None, None)):
        assert metric.value == pytest.approx(at_prevalence[METRIC_KEYS[metric.name]].value)
    areas, precisions = metric_keys(questions, "auc"), metric_keys(questions, "average_precision")
    for question in questions:
        assert intervals[areas[question.positive]].value == pytest.approx(roc_curve(question).auc)
        average = precision_recall_curve(question).average_precision
        assert intervals[precisions[question.positive]].value == pytest.approx(average)


def test_the_title_of_a_question_has_display_names(cases):
    titles = [question_title(question) for question in binary_questions(cases)]
    assert titles[0].endswith(" vs normal")
    assert titles[2] == "Bacterial pneumonia vs rest"


def test_selective_prediction_has_coverage_and_accuracy():
    cases = two_classes(("normal", 0.9, 0.1), ("covid19", 0.2, 0.8), ("covid19", 0.55, 0.45), ("normal", 0.1, 0.9))
    coverage, accuracy = selective_prediction_metrics(selective_metrics(cases, (0.4, 0.6)))
    assert (coverage.value, accuracy.value) == (0.75, pytest.approx(2 / 3))
    coverage, accuracy = selective_prediction_metrics(selective_metrics(cases, (0.0, 1.0)))
    assert coverage.value == 0
    assert np.isnan(accuracy.value)
    assert accuracy.bounds is None


def test_a_subgroup_is_a_row_with_intervals(table):
    metrics = subgroup_metrics(labeled_cases(table.assign(source=list("aabba")), LABELS, 0.5), "source", resamples=50)
    cases = labeled_cases(table, LABELS, 0.5)
    everything = subgroup(ALL, cases, metric_intervals(cases, 50))
    rows = subgroup_table("source", metrics.groups, everything)
    counts = ["X-rays", "Finding present", "Finding absent"]
    assert list(rows) == ["Source", *counts, "Patients", *SUBGROUP_METRICS]
    assert rows[counts].to_numpy().tolist() == [[5, 3, 2], [3, 1, 2], [2, 2, 0]]
    assert rows["Source"].tolist() == [ALL, "a", "b"]
    assert rows["Multiclass accuracy"].tolist() == [
        group.metrics["accuracy"].text() for group in (everything, *metrics.groups)
    ]


def test_the_calibration_of_a_subgroup_has_its_sign(table):
    cases = labeled_cases(table.assign(source=list("aabba")), LABELS, 0.5, (0.2, 0.6))
    groups = subgroup_metrics(cases, "source", resamples=50).groups
    rows = subgroup_calibration_table("source", groups).set_index("Source")
    assert list(rows) == ["X-rays", *SUBGROUP_CALIBRATION]
    scores, ill = 1 - table["p_normal"], table["label"] != "normal"
    for name, own in (("a", [0, 1, 4]), ("b", [2, 3])):
        bias = (scores[own] - ill[own]).mean()
        assert str(rows.loc[name, CALIBRATION_BIAS]).startswith(f"{bias:+.3f}")
        inside = ((scores[own] >= 0.2) & (scores[own] < 0.6)).mean()
        assert str(rows.loc[name, "Indeterminate"]).startswith(f"{inside:.3f} (")


def test_the_table_of_sources_has_values_without_intervals(table):
    cases = labeled_cases(table.assign(source=list("aabba")), LABELS, 0.5)
    groups = Partition.of(cases, "source").values(cases)
    rows = source_table(groups, subgroup(ALL, cases, metric_intervals(cases, 50))).set_index("Source")
    assert list(rows.index) == [ALL, "a", "b"]
    assert "Indeterminate" not in rows  # the cases have no band
    assert rows.loc["b", "ECE"] == f"{groups[1].metrics['binary.ece'].value:.3f}"
    assert "(" not in "".join(rows.astype(str).to_numpy().ravel())


def test_subgroups_of_earlier_cards_have_no_table_of_calibration():
    old = Subgroup("a", 30, 20, {"accuracy": Interval(0.5, 0.4, 0.6)})
    assert subgroup_calibration_table("source", [old]).empty
    assert list(subgroup_table("source", [old])) == ["Source", "X-rays", "Patients", "Multiclass accuracy"]


@pytest.mark.parametrize(("name", "shown"), [("18 to 39", "18–39"), ("65 and older", "65 and older"), ("PA", "PA")])
def test_an_age_band_is_shown_with_a_dash(name: str, shown: str) -> None:
    assert displayed_subgroup(name) == shown


def test_a_subgroup_with_few_films_of_a_side_has_no_metric_of_that_side(table):
    films = pd.concat([table[:2]] * 2 + [table[2:]] * 10).assign(source="a")  # 4 without the finding, 30 with it
    rows = subgroup_table("source", subgroup_metrics(labeled_cases(films, LABELS, 0.5), "source", resamples=50).groups)
    assert rows["AUC"][0] == rows["Specificity"][0] == TOO_FEW
    assert rows["Sensitivity"][0].startswith("0.667 (")


def test_without_a_negative_class_subgroups_have_an_accuracy_only():
    labels = LabelSpace(("bacterial", "viral", "covid19"))
    films = scored(labels, [("viral", 0.1, 0.8, 0.1)] * 4).assign(source="a")
    rows = subgroup_table("source", subgroup_metrics(labeled_cases(films, labels, None), "source", resamples=5).groups)
    assert list(rows) == ["Source", "X-rays", "Patients", "Multiclass accuracy"]
