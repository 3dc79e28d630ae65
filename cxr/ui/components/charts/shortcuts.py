"""The measurements of a shortcut audit as charts: probes, heatmap share, weight randomization, deletion curve."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxr.core.number_format import decimal, percent
from cxr.datasets.labels import display_name
from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts.probes import MACRO
from cxr.evaluation.shortcuts.report import (
    DeletionCurve,
    HeatmapShare,
    ProbeResult,
    RandomizationStep,
    ShortcutMeasurements,
)
from cxr.evaluation.shortcuts.verdict import SHOWN, SUSPECTED
from cxr.presentation.shortcut_tables import probe_name, short_interval
from cxr.ui.components.charts.chart import MARK_LINE, NEUTRAL, Chart, blank_figure, colors, dashes

if TYPE_CHECKING:
    import plotly.graph_objects as go

FEATURES, MODEL, REGION = "Probe trained on model features", "Model output", "Probe trained on this region alone"
HOTTEST, RANDOM = "Hottest regions first", "Random regions"
MODEL_MAPS, UNIFORM_MAP = "Model heatmaps", "Uniform map"
CORRELATION = "Rank correlation"
HEIGHT_PX = 340
LEGEND_ABOVE = {"yanchor": "bottom", "y": 1.02}  # below so low a chart it would touch the title of the axis


def probe_chart(measured: ShortcutMeasurements) -> Chart:
    """The AUC of every probe with its interval, and the two thresholds of the verdict."""
    groups = {
        FEATURES: measured.probes_on_features,
        MODEL: measured.model_scores,
        REGION: measured.probes_outside_lungs,
    }
    palette, figure = colors(list(groups)), blank_figure("AUC (0.5 is chance)", "", HEIGHT_PX)
    words, rows = [], []
    for group, probes in groups.items():
        names = [f"{probe_name(probe.name)}{' (model)' if group == MODEL else ''}" for probe in probes]
        values = [probe.most_certain[1] for probe in probes]
        _add_points(figure, (group, palette[group]), names, values, horizontal=True)
        words += [f"{name} {short_interval(value)}" for name, value in zip(names, values, strict=True)]
        rows += [
            _probe_row(group, probe, label, area)
            for probe in probes
            for label, area in {MACRO: probe.auc, **probe.classes}.items()
        ]
    for threshold in (SUSPECTED, SHOWN):
        text = {"text": decimal(threshold, 2), "showarrow": False, "yanchor": "bottom"}
        figure.add_vline(x=threshold, line=MARK_LINE)
        figure.add_annotation(x=threshold, y=1, xref="x", yref="paper", **text)
    figure.add_vline(x=0.5, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
    figure.update_layout(height=160 + 27 * len(words))
    figure.update_xaxes(range=[0.25, 1.03])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return Chart(figure, f"AUC of the class, highest class: {'; '.join(words)}.", pd.DataFrame(rows))


def lung_share_chart(shares: Sequence[HeatmapShare]) -> Chart:
    """The share of the heatmaps inside the lungs by reference label, beside that of a uniform map."""
    names = [f"{display_name(share.label)}, {share.lungs}" for share in shares]
    ticks = [name.replace(" ", "<br>") for name in names]  # on one line they would overlap
    figure = blank_figure("", "Heatmap share inside the lungs", HEIGHT_PX)
    _add_points(figure, (MODEL_MAPS, colors([MODEL_MAPS])[MODEL_MAPS]), ticks, [share.share for share in shares])
    figure.add_scatter(
        x=ticks,
        y=[share.uniform for share in shares],
        name=UNIFORM_MAP,
        mode="markers",
        marker={"symbol": "line-ew-open", "size": 22, "color": NEUTRAL, "line": {"width": 3}},
        hovertemplate="%{y:.3f}",
    )
    figure.update_layout(legend=LEGEND_ABOVE)
    figure.update_yaxes(rangemode="tozero")
    words = [
        f"{name} {short_interval(share.share)}, uniform {decimal(share.uniform, 2)}"
        for name, share in zip(names, shares, strict=True)
    ]
    rows = [
        {"reference": share.label, "lungs": share.lungs, "images": share.films} | _interval_row(share.share)
        for share in shares
    ]
    table = pd.DataFrame(rows).assign(uniform=[share.uniform for share in shares])
    return Chart(figure, f"Heatmap share inside the lungs: {'; '.join(words)}.", table)


def randomization_chart(steps: Sequence[RandomizationStep]) -> Chart:
    """The similarity of the heatmaps to the model's own as more and more of its weights are randomized."""
    blocks, palette = [step.block for step in steps], colors([CORRELATION, "SSIM"])
    figure = blank_figure("Weights randomized down to", "Similarity to original heatmap", HEIGHT_PX)
    values = [step.correlation for step in steps]
    _add_points(figure, (CORRELATION, palette[CORRELATION]), blocks, values, mode="lines+markers")
    line = {"color": palette["SSIM"], "dash": "dash", "width": 2}
    ssim = [step.ssim for step in steps]
    figure.add_scatter(x=blocks, y=ssim, name="SSIM", mode="lines+markers", line=line, hovertemplate="%{y:.3f}")
    figure.update_layout(legend=LEGEND_ABOVE)
    figure.update_yaxes(range=[-1.05, 1.05])
    words = [f"{step.block} {short_interval(step.correlation)}" for step in steps]
    rows = [{"block": step.block, "ssim": step.ssim} | _interval_row(step.correlation) for step in steps]
    alt = f"Rank correlation of the heatmaps after weight randomization: {'; '.join(words)}."
    return Chart(figure, alt, pd.DataFrame(rows))


def deletion_chart(curve: DeletionCurve) -> Chart:
    """The score as more and more of the X-ray is masked: the hottest regions first, or random regions."""
    lines = {HOTTEST: curve.hottest, RANDOM: curve.random}
    palette, styles = colors(list(lines)), dashes(list(lines))
    figure = blank_figure("Share of image masked", "Score relative to unmasked", HEIGHT_PX)
    for name, values in lines.items():
        line = {"color": palette[name], "dash": styles[name], "width": 2}
        figure.add_scatter(x=curve.shares, y=values, name=name, mode="lines+markers", line=line)
    figure.update_traces(hovertemplate="%{x:.0%} masked: %{y:.3f}")
    figure.update_layout(legend=LEGEND_ABOVE)
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(rangemode="tozero")
    most = percent(curve.shares[-1])
    alt = (
        f"Deletion curve: relative score {decimal(curve.hottest[-1], 2)} with the hottest {most} masked, "
        f"{decimal(curve.random[-1], 2)} with a random {most} masked; area between the curves "
        f"{short_interval(curve.area_between)}."
    )
    columns = {"masked": curve.shares, "hottest": curve.hottest, "random": curve.random}
    return Chart(figure, alt, pd.DataFrame(columns))


def _add_points(
    figure: go.Figure,
    name_and_color: tuple[str, str],
    positions: Sequence[str],
    values: Sequence[Interval],
    horizontal: bool = False,
    mode: str = "markers",
) -> None:
    """Adds points with their intervals as error bars."""
    name, color = name_and_color
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [_finite(value.high - value.value) for value in values],
        "arrayminus": [_finite(value.value - value.low) for value in values],
    }
    centers = [value.value for value in values]
    axes: dict[str, Any] = (
        {"x": centers, "y": positions, "error_x": bars}
        if horizontal
        else {"x": positions, "y": centers, "error_y": bars}
    )
    figure.add_scatter(
        **axes,
        name=name,
        mode=mode,
        marker={"size": 9, "color": color},
        customdata=[short_interval(value) for value in values],
        hovertemplate="%{customdata}",
    )


def _finite(length: float) -> float:
    return length if isfinite(length) else 0


def _probe_row(group: str, probe: ProbeResult, label: str, area: Interval) -> dict[str, Any]:
    return {"trained on": group, "region": probe.name, "class": "all" if label == MACRO else label} | _interval_row(
        area
    )


def _interval_row(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
