"""An audit for shortcuts becomes charts: what is told without the lungs, where heat lies, what heatmaps are worth."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from cxr.evaluation.interval import Interval
from cxr.evaluation.shortcuts.heads import MACRO
from cxr.evaluation.shortcuts.report import (
    DeletionCurve,
    HeatmapShare,
    ProbeResult,
    RandomizationStep,
    ShortcutMeasurements,
)
from cxr.evaluation.shortcuts.verdict import SHOWN, SUSPECTED, figure
from cxr.ui.components.charts import palette
from cxr.ui.components.charts.chart import Chart
from cxr.ui.components.charts.evaluation import empty

GROUPS = ("a head trained anew on", "the model itself", "a head on this alone")
HEIGHT_PX = 340
ABOVE = {"yanchor": "bottom", "y": 1.02}  # of the legend: below so low a chart it would touch the title of the axis


def probe_chart(found: ShortcutMeasurements) -> Chart:
    """The AUC of every reading with its interval, and the two thresholds of the verdict."""
    groups = dict(zip(GROUPS, (found.heads, found.own, found.probes), strict=True))
    colours, chart = palette.colors(GROUPS), empty("AUC: 0.5 is chance, 1 is without a mistake", "", HEIGHT_PX)
    words, rows = [], []
    for group, members in groups.items():
        names = [f"{one.name}{' (own)' if group == GROUPS[1] else ''}" for one in members]
        values = [one.surest[1] for one in members]
        _points(chart, group, names, values, colours[group], across=True)
        words += [f"{name} {figure(value)}" for name, value in zip(names, values, strict=True)]
        rows += [
            _row(group, one, name, area) for one in members for name, area in {MACRO: one.auc, **one.classes}.items()
        ]
    for at, text in ((SUSPECTED, "suspected"), (SHOWN, "shown")):
        chart.add_vline(x=at, line={"color": palette.NEUTRAL, "width": 1.5, "dash": "dash"})
        chart.add_annotation(x=at, y=1, xref="x", yref="paper", text=text, showarrow=False, yanchor="bottom")
    chart.add_vline(x=0.5, line={"color": palette.NEUTRAL, "width": 1, "dash": "dot"})
    chart.update_layout(height=160 + 27 * len(words))
    chart.update_xaxes(range=[0.25, 1.03])
    chart.update_yaxes(autorange="reversed", showgrid=False)
    return Chart(chart, f"AUC of the class, surest class: {'; '.join(words)}.", pd.DataFrame(rows))


def lung_share_chart(found: Sequence[HeatmapShare]) -> Chart:
    """The share of the heatmap in the lungs by label, beside that of a map without any preference."""
    names = [f"{one.label}, {one.lungs}" for one in found]
    ticks = [f"{one.label},<br>{one.lungs}" for one in found]  # on one line they would run together
    chart = empty("", "Share of the heat in the lungs", HEIGHT_PX)
    _points(chart, "the model's heatmaps", ticks, [one.share for one in found], palette.colors(["heat"])["heat"])
    chart.add_scatter(
        x=ticks,
        y=[one.uniform for one in found],
        name="without any preference",
        mode="markers",
        marker={"symbol": "line-ew-open", "size": 22, "color": palette.NEUTRAL, "line": {"width": 3}},
        hovertemplate="%{y:.3f}",
    )
    chart.update_layout(legend=ABOVE)
    chart.update_yaxes(rangemode="tozero")
    words = [f"{name} {figure(one.share)}, even {one.uniform:.2f}" for name, one in zip(names, found, strict=True)]
    rows = [{"label": one.label, "lungs": one.lungs, "films": one.films} | _of(one.share) for one in found]
    table = pd.DataFrame(rows).assign(even=[one.uniform for one in found])
    return Chart(chart, f"Share of the heat in the lungs: {'; '.join(words)}.", table)


def randomization_chart(steps: Sequence[RandomizationStep]) -> Chart:
    """How far heatmaps are still those of the model, as more and more of its weights are shuffled."""
    blocks, colours = [step.block for step in steps], palette.colors(["correlation", "ssim"])
    chart = empty("Weights shuffled down to", "Likeness to the model's own", HEIGHT_PX)
    values = [step.correlation for step in steps]
    _points(chart, "rank correlation", blocks, values, colours["correlation"], mode="lines+markers")
    line = {"color": colours["ssim"], "dash": "dash", "width": 2}
    ssim = [step.ssim for step in steps]
    chart.add_scatter(x=blocks, y=ssim, name="SSIM", mode="lines+markers", line=line, hovertemplate="%{y:.3f}")
    chart.update_layout(legend=ABOVE)
    chart.update_yaxes(range=[-1.05, 1.05])
    words = [f"{step.block} {figure(step.correlation)}" for step in steps]
    rows = [{"block": step.block, "ssim": step.ssim} | _of(step.correlation) for step in steps]
    return Chart(chart, f"Rank correlation of heatmaps after shuffling: {'; '.join(words)}.", pd.DataFrame(rows))


def deletion_chart(curve: DeletionCurve) -> Chart:
    """The score as more and more of the film is hidden, the hottest parts first or parts elsewhere."""
    lines = {"the hottest parts": curve.hottest, "parts elsewhere, at random": curve.elsewhere}
    colours, dashes = palette.colors(list(lines)), palette.dashes(list(lines))
    chart = empty("Share of the film that is hidden", "Score, in parts of that at first", HEIGHT_PX)
    for name, values in lines.items():
        line = {"color": colours[name], "dash": dashes[name], "width": 2}
        chart.add_scatter(x=curve.shares, y=values, name=name, mode="lines+markers", line=line)
    chart.update_traces(hovertemplate="%{x:.0%} hidden: %{y:.3f}")
    chart.update_layout(legend=ABOVE)
    chart.update_xaxes(tickformat=".0%")
    chart.update_yaxes(rangemode="tozero")
    most, here, there = curve.shares[-1], curve.hottest[-1], curve.elsewhere[-1]
    left = f"{here:.2f} where the hottest {most:.0%} is hidden, {there:.2f} elsewhere"
    alt = f"Score left: {left}; area between them {figure(curve.between)}."
    return Chart(chart, alt, pd.DataFrame({"hidden": curve.shares, **lines}))


def _points(
    chart: go.Figure,
    name: str,
    at: Sequence[str],
    values: Sequence[Interval],
    colour: str,
    across: bool = False,
    mode: str = "markers",
) -> None:
    """Points with their intervals, upright or lying."""
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [_reach(one.high - one.value) for one in values],
        "arrayminus": [_reach(one.value - one.low) for one in values],
    }
    middle = [one.value for one in values]
    places: dict[str, Any] = (
        {"x": middle, "y": at, "error_x": bars} if across else {"x": at, "y": middle, "error_y": bars}
    )
    chart.add_scatter(
        **places,
        name=name,
        mode=mode,
        marker={"size": 9, "color": colour},
        customdata=[figure(one) for one in values],
        hovertemplate="%{customdata}",
    )


def _reach(length: float) -> float:
    return length if isfinite(length) else 0


def _row(group: str, one: ProbeResult, name: str, area: Interval) -> dict[str, Any]:
    return {"by": group, "of": one.name, "class": "all" if name == MACRO else name} | _of(area)


def _of(one: Interval) -> dict[str, float]:
    return {"value": one.value, "low": one.low, "high": one.high}
