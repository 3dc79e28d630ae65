"""The model's ROC curve with a point for each reader, alone and with the model, each with its 95% interval."""

from __future__ import annotations

from html import escape
from math import isfinite, nan

import pandas as pd

from cxr.core.number_format import percent
from cxr.evaluation.intervals import Interval
from cxr.evaluation.reader_study.performance import Performance
from cxr.evaluation.reader_study.study import ReaderStudy
from cxr.ui.components.charts.chart import Chart, add_reference_line, blank_figure, colors

HEIGHT_PX = 520
CONDITIONS = {"alone": "circle-open", "with the model": "circle"}
POINT_PX, LINE_PX = 11, 1.5


def readers_chart(study: ReaderStudy) -> Chart | None:
    """The chart; None where there is nothing to draw."""
    points = [
        (name, condition, found)
        for name, score in study.readers.items()
        for condition, found in zip(CONDITIONS, (score.alone, score.together), strict=True)
        if found and isfinite(found.sensitivity.value) and isfinite(found.specificity.value)
    ]
    curve = study.model_curve
    if not points and curve is None:
        return None
    figure = blank_figure("1 − specificity", "Sensitivity", HEIGHT_PX)
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_yaxes(range=[-0.02, 1.02])
    add_reference_line(figure, [0, 1], [0, 1])
    hues = colors(["model", *study.readers])
    words, rows = [], []
    if curve is not None:
        name = f"Model, AUC {study.model.auc.text(2)}"
        line = {"color": hues["model"], "width": 2}
        figure.add_scatter(x=curve.false_positive_rate, y=curve.sensitivity, name=name, mode="lines", line=line)
        words.append(name)
        rows.append(_row("model", "at its threshold", study.model))
    for name, condition, found in points:
        figure.add_scatter(
            x=[1 - found.specificity.value],
            y=[found.sensitivity.value],
            error_x=_bars(_complement(found.specificity), hues[name]),
            error_y=_bars(found.sensitivity, hues[name]),
            name=escape(f"{name} {condition}"),  # Plotly takes some tags for markup
            mode="markers",
            marker={"size": POINT_PX, "symbol": CONDITIONS[condition], "color": hues[name], "line": {"width": LINE_PX}},
            hovertemplate="sensitivity %{y:.3f}<br>1 − specificity %{x:.3f}",
        )
        numbers = f"sensitivity {percent(found.sensitivity.value)}, specificity {percent(found.specificity.value)}"
        words.append(f"{name} {condition}, {numbers}")
        rows.append(_row(name, condition, found))
    alt = f"Readers on the model's ROC curve: {'; '.join(words)}."
    return Chart(figure, alt, pd.DataFrame(rows))


def _bars(interval: Interval, color: str) -> dict[str, object]:
    """The interval as error bars."""
    known = interval.known
    return {
        "type": "data",
        "symmetric": False,
        "array": [interval.high - interval.value if known else nan],
        "arrayminus": [interval.value - interval.low if known else nan],
        "color": color,
        "thickness": 1,
        "width": 3,
    }


def _complement(interval: Interval) -> Interval:
    return Interval(1 - interval.value, 1 - interval.high, 1 - interval.low)


def _row(name: str, condition: str, found: Performance) -> dict[str, object]:
    row: dict[str, object] = {"reader": name, "condition": condition}
    for figure in ("sensitivity", "specificity", "auc"):
        interval: Interval = getattr(found, figure)
        row |= {figure: interval.value, f"{figure} low": interval.low, f"{figure} high": interval.high}
    return row
