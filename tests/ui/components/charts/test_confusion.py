"""The confusion matrix as a chart."""

from __future__ import annotations

import numpy as np
import pytest

from cxr.core.number_format import UNKNOWN
from cxr.datasets.labels import display_name
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.evaluation import evaluate
from cxr.ui.components.charts.confusion import confusion_chart, ink_for


def test_every_cell_has_a_point_to_click(every_chart, cases):
    heatmap, points = every_chart["confusion"].figure.data
    assert heatmap.type == "heatmap"
    matrix = np.array(evaluate(cases).confusion)
    assert heatmap.z == pytest.approx(matrix / matrix.sum(axis=1, keepdims=True))
    places = [(display_name(reference), display_name(predicted)) for reference, predicted in points.customdata]
    assert places == list(zip(points.y, points.x, strict=True))
    assert every_chart["confusion"].table["images"].tolist() == matrix.ravel().tolist()


def test_counts_or_percent_come_first_in_a_cell(cases):
    evaluation = evaluate(cases)
    count = evaluation.confusion[0][0]
    counts = confusion_chart(evaluation, as_percent=False).figure.layout.annotations[0].text
    percent = confusion_chart(evaluation, as_percent=True).figure.layout.annotations[0].text
    assert counts.startswith(f"<b>{count}</b>")
    assert percent.startswith(f"<b>{count / sum(evaluation.confusion[0]):.1%}</b>")


def test_only_the_selected_cell_is_outlined(cases, every_chart):
    assert not confusion_chart(evaluate(cases), as_percent=True).figure.layout.shapes
    box = every_chart["confusion"].figure.layout.shapes[0]
    assert (round(box.x0), round(box.y0)) == (0, 2)


def test_the_text_of_a_cell_contrasts_with_it():
    assert ink_for(0.0) == "white"
    assert ink_for(1.0) == "black"


def test_a_class_without_films_has_no_shares(table, labels):
    cases = labeled_cases(table[table["label"] != "viral"], labels, 0.5)
    chart = confusion_chart(evaluate(cases), as_percent=True)
    assert np.isnan(chart.figure.data[0].z[2]).all()
    row = [cell.text for cell in chart.figure.layout.annotations if cell.y == "Viral pneumonia"]
    assert row == [UNKNOWN] * 3
    assert list(chart.figure.data[0].x) == [display_name(name) for name in labels.classes]
    assert chart.table.query("reference == 'viral'")["row share"].isna().all()


def test_a_label_for_several_classes_has_a_row_below_the_classes(table, labels):
    label = np.where(table["label"] == "viral", "pneumonia", table["label"])
    evaluation = evaluate(labeled_cases(table.assign(label=label), labels, 0.5))
    chart = confusion_chart(evaluation, as_percent=False, selected=("pneumonia", "normal"))
    heatmap, points = chart.figure.data
    counts = np.array(evaluation.coarse["pneumonia"])
    assert list(heatmap.y) == [*map(display_name, labels.classes), "Pneumonia (any)"]
    assert heatmap.z[3] == pytest.approx(counts / counts.sum())
    assert [tuple(cell) for cell in points.customdata[9:]] == [("pneumonia", name) for name in labels.classes]
    assert chart.table.query("reference == 'pneumonia'")["images"].tolist() == counts.tolist()
    assert (round(chart.figure.layout.shapes[0].x0), round(chart.figure.layout.shapes[0].y0)) == (0, 3)
