"""The charts and numbers of an audit hold what was measured."""

from math import nan

import pytest

from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts.report import DeletionCurve, HeatmapShare, ProbeResult, RandomizationStep
from cxr.presentation.evaluation_tables import MEANING, shortcut_numbers
from cxr.ui.components.charts import shortcuts
from tests.support.score_tables import about, measured, told


def test_every_reading_is_drawn_at_its_area_with_its_interval():
    chart = shortcuts.probe_chart(measured(probes=(told("corners", 0.8), told("border", 0.5))))
    alone = chart.figure.data[2]
    assert list(alone.y) == ["corners", "border"] and list(alone.x) == pytest.approx([0.85, 0.55])
    assert list(alone.error_x.array) == list(alone.error_x.arrayminus) == pytest.approx([0.05, 0.05])
    assert "corners 0.85 (0.80 to 0.90)" in chart.alt
    assert set(chart.table) == {"by", "of", "class", "value", "low", "high"} and len(chart.table) == 9


def test_of_several_classes_the_surest_is_drawn_and_all_are_in_the_table():
    several = told("border", 0.5, {"viral": about(0.9), "normal": about(0.6)})
    chart = shortcuts.probe_chart(measured(probes=(several,)))
    assert list(chart.figure.data[2].x) == [0.9]
    assert chart.table.query("of == 'border'")["class"].tolist() == ["all", "viral", "normal"]


def test_bounds_that_are_not_known_are_not_drawn():
    chart = shortcuts.probe_chart(measured(probes=(ProbeResult(name="border", auc=Interval(0.9, nan, nan)),)))
    assert list(chart.figure.data[2].error_x.array) == [0]


def test_heat_stands_beside_that_of_an_even_map():
    found = [HeatmapShare(label="viral", lungs="box", films=20, share=about(0.4), uniform=0.3)]
    chart = shortcuts.lung_share_chart(found)
    assert (chart.figure.data[0].y[0], chart.figure.data[1].y[0]) == (0.4, 0.3)
    assert chart.table.iloc[0].to_dict() == {
        "label": "viral", "lungs": "box", "films": 20, "value": 0.4, "low": pytest.approx(0.35),
        "high": pytest.approx(0.45), "even": 0.3,
    }  # fmt: skip


def test_steps_of_forgetting_are_drawn_in_their_order():
    steps = [
        RandomizationStep(block=name, correlation=about(value), ssim=0.3)
        for name, value in (("head", 0.8), ("block1", 0.1))
    ]
    chart = shortcuts.randomization_chart(steps)
    assert list(chart.figure.data[0].x) == ["head", "block1"] and list(chart.figure.data[0].y) == [0.8, 0.1]
    assert "block1 0.10 (0.05 to 0.15)" in chart.alt and chart.table["ssim"].tolist() == [0.3, 0.3]


def test_both_curves_of_hiding_are_drawn():
    curve = DeletionCurve(films=9, shares=(0, 0.5), hottest=(1, 0.2), random=(1, 0.7), area_between=about(0.25))
    chart = shortcuts.deletion_chart(curve)
    assert [list(line.y) for line in chart.figure.data] == [[1, 0.2], [1, 0.7]]
    assert [line.name for line in chart.figure.data] == ["the hottest parts", "parts elsewhere, at random"]
    assert "0.20 where the hottest 50% is hidden, 0.70 elsewhere; area between them 0.25 (0.20 to 0.30)" in chart.alt


def test_no_legend_touches_the_title_of_an_axis_and_no_label_its_neighbour():
    steps = [RandomizationStep(block="head", correlation=about(0.8), ssim=0.3)]
    curve = DeletionCurve(films=9, shares=(0, 0.5), hottest=(1, 0.2), random=(1, 0.7), area_between=about(0.25))
    found = [
        HeatmapShare(label="bacterial", lungs=lungs, films=9, share=about(0.4), uniform=0.3)
        for lungs in ("box", "outline")
    ]
    heat = shortcuts.lung_share_chart(found)
    for chart in (heat, shortcuts.randomization_chart(steps), shortcuts.deletion_chart(curve)):
        legend = chart.figure.layout.legend
        assert legend.yanchor == "bottom" and legend.y > 1
    for points in heat.figure.data:
        assert list(points.x) == ["bacterial,<br>box", "bacterial,<br>outline"]
    assert "<br>" not in heat.alt


def test_the_numbers_shown_first_each_have_a_meaning_and_an_interval():
    found = measured(together=about(0.6), source=told("source", 0.9))
    shown = {number.name: number for number in shortcut_numbers(found)}
    assert list(shown) == [
        "Whole film", "Lungs only", "Lungs hidden", "Thumbnail", "Own, lungs hidden", "Source", "Class by source",
    ]  # fmt: skip
    assert all(number.meaning == MEANING[name] for name, number in shown.items())
    assert shown["Class by source"].value == 0.6 and shown["Class by source"].interval == pytest.approx((0.55, 0.65))
