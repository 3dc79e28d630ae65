"""Charts hold the numbers they were given, say them in words, and take their colours from the theme."""

import io
import json
import re

import numpy as np
import pandas as pd
import pytest

from cxr import DISCLAIMER
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.curves import calibration_curve, precision_recall_curve, roc_curve, score_histogram
from cxr.evaluation.decision_curve import decision_curve
from cxr.evaluation.decisions import ConfusionCounts, binary_questions
from cxr.evaluation.evaluation import evaluate
from cxr.evaluation.indeterminate import coverage_curve
from cxr.ui.components.charts import evaluation as evaluation_charts
from cxr.ui.components.charts import palette

LABELS = LabelSpace(("normal", "bacterial", "viral"), {"pneumonia": ("bacterial", "viral")})
DRAWN = (*LABELS.classes, "pneumonia")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 90)
    p = rng.dirichlet(np.ones(3), 90)
    p[np.arange(90), truth] += 0.4
    p /= p.sum(axis=1, keepdims=True)
    columns = {f"p_{name}": p[:, k] for k, name in enumerate(LABELS.classes)}
    return pd.DataFrame({"label": np.array(LABELS.classes)[truth], **columns})


@pytest.fixture(scope="module")
def asked(table):
    return binary_questions(labeled_cases(table, LABELS, 0.5))


@pytest.fixture(scope="module")
def every_chart(table, asked):
    return {
        "confusion": evaluation_charts.confusion_chart(evaluate(labeled_cases(table, LABELS, 0.5)), shares=True, chosen=("viral", "normal")),
        "roc": evaluation_charts.roc_chart([roc_curve(one) for one in asked], DRAWN),
        "precision_recall": evaluation_charts.precision_recall_chart([precision_recall_curve(one) for one in asked], DRAWN),
        "spread": evaluation_charts.score_histogram_chart(score_histogram(asked[0]), DRAWN, 0.5),
        "calibration": evaluation_charts.calibration_chart(calibration_curve(asked[0]), DRAWN),
        "benefit": evaluation_charts.decision_curve_chart(decision_curve(labeled_cases(table, LABELS, None)), "pneumonia", DRAWN, 0.5),
        "coverage": evaluation_charts.coverage_chart(coverage_curve(labeled_cases(table, LABELS, 0.5)), "pneumonia", DRAWN, 0.7),
    }


NAMES = ("confusion", "roc", "precision_recall", "spread", "calibration", "benefit", "coverage")


@pytest.mark.parametrize("name", NAMES)
def test_a_chart_says_in_a_sentence_what_it_shows(every_chart, name):
    assert re.fullmatch(r"[A-Z].*\d.*\.", every_chart[name].alt)
    assert not re.search(r"\bnan\b|<", every_chart[name].alt)


@pytest.mark.parametrize("name", NAMES)
def test_a_chart_leaves_ground_and_text_to_the_theme(every_chart, name):
    layout = json.loads(every_chart[name].figure.to_json())["layout"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == evaluation_charts.CLEAR
    assert "font" not in layout
    axes = [axis for key, axis in layout.items() if re.match("[xy]axis", key)]
    assert not any("color" in axis.get("title", {}).get("font", {}) for axis in axes)


def test_the_confusion_matrix_has_a_point_to_choose_in_every_cell(every_chart, table):
    heat, points = every_chart["confusion"].figure.data
    assert heat.type == "heatmap"
    matrix = np.array(evaluate(labeled_cases(table, LABELS, 0.5)).confusion)
    assert heat.z == pytest.approx(matrix / matrix.sum(axis=1, keepdims=True))
    assert [tuple(cell) for cell in points.customdata] == list(zip(points.y, points.x, strict=True))
    assert every_chart["confusion"].table["films"].tolist() == matrix.ravel().tolist()


def test_counts_or_shares_stand_first_in_a_cell(table):
    evaluation = evaluate(labeled_cases(table, LABELS, 0.5))
    count = evaluation.confusion[0][0]
    by_count = evaluation_charts.confusion_chart(evaluation, shares=False).figure.layout.annotations[0].text
    by_share = evaluation_charts.confusion_chart(evaluation, shares=True).figure.layout.annotations[0].text
    assert by_count.startswith(f"<b>{count}</b>")
    assert by_share.startswith(f"<b>{count / sum(evaluation.confusion[0]):.1%}</b>")


def test_only_a_chosen_cell_is_outlined(table, every_chart):
    assert not evaluation_charts.confusion_chart(evaluate(labeled_cases(table, LABELS, 0.5)), shares=True).figure.layout.shapes
    box = every_chart["confusion"].figure.layout.shapes[0]
    assert (round(box.x0), round(box.y0)) == (0, 2)


def test_a_cells_text_stands_out_from_it():
    assert evaluation_charts._ink(0.0) == "white"
    assert evaluation_charts._ink(1.0) == "black"


def test_a_class_without_films_is_said_and_not_drawn_as_a_number(table):
    chart = evaluation_charts.confusion_chart(evaluate(labeled_cases(table[table["label"] != "viral"], LABELS, 0.5)), shares=True)
    assert "of 0 viral films there is none" in chart.alt
    assert np.isnan(chart.figure.data[0].z[2]).all()
    assert [one.text for one in chart.figure.layout.annotations if one.y == "viral"] == ["–"] * 3
    assert list(chart.figure.data[0].x) == list(LABELS.classes)
    assert chart.table.query("label == 'viral'")["share of label"].isna().all()


def test_films_labelled_with_a_group_have_a_row_of_their_own_below_the_classes(table):
    label = np.where(table["label"] == "viral", "pneumonia", table["label"])
    evaluation = evaluate(labeled_cases(table.assign(label=label), LABELS, 0.5))
    chart = evaluation_charts.confusion_chart(evaluation, shares=False, chosen=("pneumonia", "normal"))
    heat, points = chart.figure.data
    counts = np.array(evaluation.coarse["pneumonia"])
    assert list(heat.y) == [*LABELS.classes, "pneumonia (any)"] and heat.z[3] == pytest.approx(counts / counts.sum())
    assert [tuple(cell) for cell in points.customdata[9:]] == [("pneumonia", name) for name in LABELS.classes]
    assert chart.table.query("label == 'pneumonia (any)'")["films"].tolist() == counts.tolist()
    assert f"of {counts.sum()} pneumonia (any) films {counts[0]} were called normal" in chart.alt
    assert (round(chart.figure.layout.shapes[0].x0), round(chart.figure.layout.shapes[0].y0)) == (0, 3)


def test_the_roc_chart_has_the_point_of_the_decisions(every_chart, asked):
    counts = ConfusionCounts.from_question(asked[0])
    point = next(line for line in every_chart["roc"].figure.data if line.mode == "markers")
    assert (point.x[0], point.y[0]) == (1 - counts.specificity, counts.sensitivity)


def test_intervals_are_shown_beside_their_number(asked):
    curve = roc_curve(asked[0])
    chart = evaluation_charts.roc_chart([curve], DRAWN, {"pneumonia": (0.81, 0.93)})
    assert f"AUC {curve.auc:.3f} (0.810 to 0.930)" in chart.alt
    assert any("(0.810 to 0.930)" in (line.name or "") for line in chart.figure.data)


def test_a_number_that_is_none_is_a_dash():
    assert evaluation_charts.number_text(float("nan")) == "-"
    assert evaluation_charts.number_text(0.5, (0.4, 0.6)) == "0.500 (0.400 to 0.600)"


def test_lines_differ_in_dash_as_well_as_in_colour(every_chart, asked):
    named = [line.line for line in every_chart["roc"].figure.data if line.mode == "lines" and line.showlegend is None]
    assert len({line.color for line in named}) == len({line.dash for line in named}) == len(asked)


def test_a_class_has_one_colour_in_every_chart(every_chart, asked):
    bars = {name: bar.marker.color for name, bar in zip(LABELS.classes, every_chart["spread"].figure.data, strict=True)}
    drawn = every_chart["roc"].figure.data
    lines = {line.legendgroup: line.line.color for line in drawn if line.mode == "lines" and line.legendgroup}
    assert bars.items() < palette.colors(DRAWN).items()
    assert lines == palette.colors(DRAWN)


def test_the_precision_of_chance_is_drawn(every_chart, asked):
    dotted = [line for line in every_chart["precision_recall"].figure.data if line.line.color == palette.NEUTRAL]
    assert [line.y[0] for line in dotted] == [one.truth.mean() for one in asked]


def test_a_histogram_counts_every_film_of_every_label(every_chart, table):
    chart = every_chart["spread"]
    assert {name: chart.table[name].sum() for name in LABELS.classes} == table["label"].value_counts().to_dict()
    assert len(chart.figure.data) == 3


def test_the_decision_curve_stands_against_acting_on_all_and_on_none(every_chart, table):
    chart, curve = every_chart["benefit"], decision_curve(labeled_cases(table, LABELS, None))
    drawn = {line.name: list(line.y) for line in chart.figure.data}
    assert drawn["act on the model's pneumonia"] == list(curve.model)
    assert drawn["act on all"] == list(curve.treat_all)
    assert set(drawn["act on none"]) == {0}
    assert chart.figure.layout.yaxis.range[0] > curve.treat_all.min()
    better = (curve.model > np.maximum(curve.treat_all, 0) + 1e-9).sum()
    assert f"at {better} of 99 thresholds" in chart.alt
    assert list(chart.table) == ["threshold", "model", "treat_all", "none"]


def test_the_coverage_curve_ends_at_the_accuracy_of_all_films_and_marks_what_the_band_leaves(every_chart, table):
    chart = every_chart["coverage"]
    curve = chart.figure.data[0]
    assert curve.x[-1] == 1 and curve.y[-1] == pytest.approx(evaluate(labeled_cases(table, LABELS, 0.5)).binary.accuracy)
    assert [line.x0 for line in chart.figure.layout.shapes] == [0.7]
    assert chart.figure.layout.yaxis.range[0] < min(curve.y[len(curve.y) // 10 :])


def test_the_data_of_a_chart_say_what_they_are_not_for(every_chart):
    first, rest = every_chart["spread"].csv().split("\n", 1)
    assert first == f"# {DISCLAIMER}"
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(rest)), every_chart["spread"].table)
