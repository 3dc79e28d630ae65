"""Charts of an evaluation hold the numbers they are given, have a text alternative, and follow the theme's colors."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pandas as pd
import pytest

from cxr import DISCLAIMER
from cxr.core.number_format import with_interval
from cxr.evaluation.curves import roc_curve
from cxr.evaluation.decision_curve import decision_curve
from cxr.evaluation.decisions import ConfusionCounts
from cxr.evaluation.evaluation import evaluate
from cxr.ui.components.charts.chart import CLEAR, NEUTRAL, colors
from cxr.ui.components.charts.curves import TREAT_ALL, TREAT_NONE, roc_chart

NAMES = ("confusion", "roc", "precision_recall", "histogram", "calibration", "decision_curve", "coverage")


@pytest.mark.parametrize("name", NAMES)
def test_a_chart_has_its_numbers_in_a_sentence(every_chart, name):
    assert re.fullmatch(r"[A-Z].*\d.*\.", every_chart[name].alt)
    assert not re.search(r"\bnan\b|<", every_chart[name].alt)


@pytest.mark.parametrize("name", NAMES)
def test_backgrounds_and_texts_take_the_colors_of_the_theme(every_chart, name):
    layout = json.loads(every_chart[name].figure.to_json())["layout"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == CLEAR
    assert "font" not in layout
    axes = [axis for key, axis in layout.items() if re.match("[xy]axis", key)]
    assert not any("color" in axis.get("title", {}).get("font", {}) for axis in axes)


def test_the_roc_chart_marks_the_decisions(every_chart, questions):
    counts = ConfusionCounts.from_question(questions[0])
    point = next(line for line in every_chart["roc"].figure.data if line.mode == "markers")
    assert (point.x[0], point.y[0]) == (1 - counts.specificity, counts.sensitivity)


def test_an_interval_stands_beside_its_area(questions, names):
    curve = roc_curve(questions[0])
    chart = roc_chart([curve], names, {"pneumonia": (0.81, 0.93)})
    area = f"AUC {with_interval(curve.auc, 0.81, 0.93)}"
    assert area in chart.alt
    assert any(area in (line.name or "") for line in chart.figure.data)


def test_a_curve_may_have_another_title(questions, names):
    chart = roc_chart([roc_curve(questions[0])], names, titles={"pneumonia": "first: Pneumonia"})
    assert chart.alt.startswith("ROC curves: first: Pneumonia, ")


def test_lines_differ_in_dash_as_well_as_in_color(every_chart, questions):
    lines = [line.line for line in every_chart["roc"].figure.data if line.mode == "lines" and line.showlegend is None]
    assert len({line.color for line in lines}) == len({line.dash for line in lines}) == len(questions)


def test_a_class_has_one_color_in_every_chart(every_chart, labels, names):
    histogram = every_chart["histogram"].figure.data
    bars = {name: bar.marker.color for name, bar in zip(labels.classes, histogram, strict=True)}
    drawn = every_chart["roc"].figure.data
    lines = {line.legendgroup: line.line.color for line in drawn if line.mode == "lines" and line.legendgroup}
    assert bars.items() < colors(names).items()
    assert lines == colors(names)


def test_the_precision_of_chance_is_drawn(every_chart, questions):
    dotted = [line for line in every_chart["precision_recall"].figure.data if line.line.color == NEUTRAL]
    assert [line.y[0] for line in dotted] == [question.reference.mean() for question in questions]


def test_a_histogram_counts_every_film_of_every_label(every_chart, labels, table):
    chart = every_chart["histogram"]
    assert {name: chart.table[name].sum() for name in labels.classes} == table["label"].value_counts().to_dict()
    assert len(chart.figure.data) == 3


def test_the_decision_curve_has_treat_all_and_treat_none(every_chart, cases):
    chart, curve = every_chart["decision_curve"], decision_curve(cases)
    lines = {line.name: list(line.y) for line in chart.figure.data}
    assert list(chart.figure.data[0].y) == list(curve.model)
    assert lines[TREAT_ALL] == list(curve.treat_all)
    assert set(lines[TREAT_NONE]) == {0}
    assert chart.figure.layout.yaxis.range[0] > curve.treat_all.min()
    better = (curve.model > np.maximum(curve.treat_all, 0) + 1e-9).sum()
    assert f"at {better} of 99 " in chart.alt
    assert list(chart.table) == ["threshold", "model", "treat_all", "none"]


def test_the_coverage_curve_ends_at_the_accuracy_of_all_films_and_marks_the_coverage_of_the_band(every_chart, cases):
    chart = every_chart["coverage"]
    curve, binary = chart.figure.data[0], evaluate(cases).binary
    assert binary is not None
    assert curve.x[-1] == 1
    assert curve.y[-1] == pytest.approx(binary.accuracy)
    assert [line.x0 for line in chart.figure.layout.shapes] == [0.7]
    assert chart.figure.layout.yaxis.range[0] < min(curve.y[len(curve.y) // 10 :])


def test_the_data_of_a_chart_begin_with_the_disclaimer(every_chart):
    first, rest = every_chart["histogram"].csv().split("\n", 1)
    assert first == f"# {DISCLAIMER}"
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(rest)), every_chart["histogram"].table)
