"""The charts of a shortcut audit hold what was measured."""

from __future__ import annotations

from math import nan

import pytest

from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts.report import DeletionCurve, HeatmapShare, ProbeResult, RandomizationStep
from cxr.presentation.shortcut_tables import short_interval
from cxr.ui.components.charts.shortcuts import (
    HOTTEST,
    RANDOM,
    deletion_chart,
    lung_share_chart,
    probe_chart,
    randomization_chart,
)
from tests.support.score_tables import audit_measurements, interval_around, probe_result

CURVE = DeletionCurve(films=9, shares=(0, 0.5), hottest=(1, 0.2), random=(1, 0.7), area_between=interval_around(0.25))


def heatmap_share(label: str, lungs: str) -> HeatmapShare:
    return HeatmapShare(label=label, lungs=lungs, films=20, share=interval_around(0.4), uniform=0.3)


def step(block: str, correlation: float) -> RandomizationStep:
    return RandomizationStep(block=block, correlation=interval_around(correlation), ssim=0.3)


def test_every_probe_is_drawn_at_its_area_with_its_interval():
    chart = probe_chart(
        audit_measurements(probes_outside_lungs=(probe_result("corners", 0.8), probe_result("border", 0.5)))
    )
    regions = chart.figure.data[2]
    assert list(regions.y) == ["Corners", "Border"]
    assert list(regions.x) == pytest.approx([0.85, 0.55])
    assert list(regions.error_x.array) == list(regions.error_x.arrayminus) == pytest.approx([0.05, 0.05])
    assert f"Corners {short_interval(interval_around(0.85))}" in chart.alt
    assert len(chart.table) == 9
    assert set(chart.table) == {"trained on", "region", "class", "value", "low", "high"}


def test_with_several_classes_the_most_certain_is_drawn_and_all_are_in_the_table():
    several = probe_result("border", 0.5, {"viral": interval_around(0.9), "normal": interval_around(0.6)})
    chart = probe_chart(audit_measurements(probes_outside_lungs=(several,)))
    assert list(chart.figure.data[2].x) == [0.9]
    assert chart.table.query("region == 'border'")["class"].tolist() == ["all", "viral", "normal"]


def test_unknown_bounds_are_not_drawn():
    probe = ProbeResult(name="border", auc=Interval(0.9, nan, nan))
    chart = probe_chart(audit_measurements(probes_outside_lungs=(probe,)))
    assert list(chart.figure.data[2].error_x.array) == [0]


def test_the_lung_share_stands_beside_that_of_a_uniform_map():
    chart = lung_share_chart([heatmap_share("viral", "box")])
    assert (chart.figure.data[0].y[0], chart.figure.data[1].y[0]) == (0.4, 0.3)
    row = chart.table.iloc[0].to_dict()
    assert [row["reference"], row["lungs"], row["images"]] == ["viral", "box", 20]
    assert [row["low"], row["value"], row["high"], row["uniform"]] == pytest.approx([0.35, 0.4, 0.45, 0.3])


def test_randomization_steps_are_drawn_in_order():
    chart = randomization_chart([step("head", 0.8), step("block1", 0.1)])
    assert list(chart.figure.data[0].x) == ["head", "block1"]
    assert list(chart.figure.data[0].y) == [0.8, 0.1]
    assert f"block1 {short_interval(interval_around(0.1))}" in chart.alt
    assert chart.table["ssim"].tolist() == [0.3, 0.3]


def test_both_deletion_curves_are_drawn():
    chart = deletion_chart(CURVE)
    assert {line.name: list(line.y) for line in chart.figure.data} == {HOTTEST: [1, 0.2], RANDOM: [1, 0.7]}
    assert all(number in chart.alt for number in ("0.20", "0.70", short_interval(interval_around(0.25))))


def test_no_legend_touches_an_axis_title_and_no_tick_its_neighbor():
    shares = lung_share_chart([heatmap_share("bacterial", lungs) for lungs in ("box", "outline")])
    for chart in (shares, randomization_chart([step("head", 0.8)]), deletion_chart(CURVE)):
        legend = chart.figure.layout.legend
        assert legend.yanchor == "bottom"
        assert legend.y > 1
    ticks = list(shares.figure.data[0].x)
    assert max(len(line) for tick in ticks for line in tick.split("<br>")) < 12
    assert "<br>" not in shares.alt
