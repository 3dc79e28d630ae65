"""ROC, precision-recall, decision and selective-prediction curves as charts.

`names` lists everything that a page may draw, in one order, so that a class has the same color in every chart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxr.core.number_format import decimal, percent
from cxr.datasets.labels import display_in_sentence, display_name
from cxr.evaluation.curves import PrecisionRecallCurve, RocCurve
from cxr.evaluation.decision_curve import DecisionCurve
from cxr.evaluation.decisions import ConfusionCounts
from cxr.evaluation.indeterminate import CoverageCurve
from cxr.presentation.evaluation_tables import NO_BOUNDS, BoundsByName, question_title, with_bounds
from cxr.ui.components.charts.chart import (
    MARK_LINE,
    NEUTRAL,
    Chart,
    add_reference_line,
    blank_figure,
    colors,
    dashes,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

HEIGHT_PX = 500
TREAT_ALL, TREAT_NONE = "Treat all", "Treat none"


def roc_chart(
    curves: Sequence[RocCurve],
    names: Sequence[str],
    bounds: BoundsByName = NO_BOUNDS,
    titles: Mapping[str, str] | None = None,
) -> Chart:
    """ROC curves, each with the point of its decisions; `bounds` of the AUC and other `titles` are by question."""
    figure = _square(blank_figure("1 − specificity", "Sensitivity", HEIGHT_PX))
    add_reference_line(figure, [0, 1], [0, 1])
    words, tables = [], []
    for curve in curves:
        name = curve.question.positive
        title = (titles or {}).get(name) or question_title(curve.question)
        area = f"AUC {with_bounds(curve.auc, bounds.get(name))}"
        counts = ConfusionCounts.from_question(curve.question)
        sensitivity, specificity = decimal(counts.sensitivity), decimal(counts.specificity)
        _add_curve(figure, (name, names), f"{title}<br>{area}", (curve.false_positive_rate, curve.sensitivity))
        figure.data[-1].update(
            customdata=curve.thresholds,
            hovertemplate="threshold %{customdata:.3f}<br>sensitivity %{y:.3f}<br>1 − specificity %{x:.3f}",
        )
        hover = f"{title}<br>at the threshold: sensitivity {sensitivity}, specificity {specificity}"
        _add_point(figure, (name, names), (1 - counts.specificity, counts.sensitivity), hover)
        words.append(f"{title}, {area}, sensitivity {sensitivity} at specificity {specificity}")
        columns = {"1 - specificity": curve.false_positive_rate, "sensitivity": curve.sensitivity}
        tables.append(pd.DataFrame({"question": title, "threshold": curve.thresholds, **columns}))
    return Chart(figure, f"ROC curves: {'; '.join(words)}.", pd.concat(tables, ignore_index=True))


def precision_recall_chart(
    curves: Sequence[PrecisionRecallCurve], names: Sequence[str], bounds: BoundsByName = NO_BOUNDS
) -> Chart:
    """Precision-recall curves with the point of the decisions, and the precision of chance as a dotted line."""
    figure = _square(blank_figure("Recall (sensitivity)", "Precision (PPV)", HEIGHT_PX))
    words, tables = [], []
    for curve in curves:
        name, title = curve.question.positive, question_title(curve.question)
        area = with_bounds(curve.average_precision, bounds.get(name))
        counts = ConfusionCounts.from_question(curve.question)
        _add_curve(figure, (name, names), f"{title}<br>AP {area}", (curve.recall, curve.precision), "hv")
        figure.data[-1].update(
            customdata=curve.thresholds,
            hovertemplate="threshold %{customdata:.3f}<br>precision %{y:.3f}<br>recall %{x:.3f}",
        )
        add_reference_line(figure, [0, 1], [curve.prevalence, curve.prevalence], name)
        precision, recall = decimal(counts.precision), decimal(counts.sensitivity)
        hover = f"{title}<br>at the threshold: precision {precision}, recall {recall}"
        _add_point(figure, (name, names), (counts.sensitivity, counts.precision), hover)
        words.append(f"{title}, average precision {area} (chance {decimal(curve.prevalence)})")
        columns = {"recall": curve.recall, "precision": curve.precision}
        tables.append(pd.DataFrame({"question": title, "threshold": curve.thresholds, **columns}))
    alt = f"Precision-recall curves: {'; '.join(words)}."
    return Chart(figure, alt, pd.concat(tables, ignore_index=True))


def decision_curve_chart(
    curve: DecisionCurve, name: str, names: Sequence[str], threshold: float | None = None
) -> Chart:
    """Net benefit of the model, of treating all and of treating none, by threshold probability."""
    figure = blank_figure("Threshold probability", "Net benefit per patient", 520)
    _add_curve(figure, (name, names), f"Model: {display_in_sentence(name)}", (curve.thresholds, curve.model))
    figure.data[-1].line.dash = "solid"  # it bends at every step, where dashes cannot be followed
    for line, values, dash in ((TREAT_ALL, curve.treat_all, "dash"), (TREAT_NONE, 0 * curve.model, "dot")):
        style = {"color": NEUTRAL, "width": 1.5, "dash": dash}
        figure.add_scatter(x=curve.thresholds, y=values, name=line, mode="lines", line=style)
    figure.update_traces(hovertemplate="threshold %{x:.2f}: %{y:.3f}")
    most = max(float(curve.model.max()), float(curve.treat_all.max()), 0.01)
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(range=[-0.15 * most, 1.1 * most])  # treat all falls without end
    if threshold is not None:
        figure.add_vline(x=threshold, line=MARK_LINE)
    better = curve.model > np.maximum(curve.treat_all, 0) + 1e-9
    alt = (
        f"Decision curve of {display_in_sentence(name)}: the model has more net benefit than treating all or none at "
        f"{better.sum()} of {len(better)} threshold probabilities, and at most {decimal(float(curve.model.max()))} "
        "per patient."
    )
    return Chart(figure, alt, curve.table())


def coverage_chart(curve: CoverageCurve, name: str, names: Sequence[str], coverage: float | None = None) -> Chart:
    """Selective accuracy by coverage; `coverage` is what the model's indeterminate band leaves."""
    figure = blank_figure("Coverage (X-rays far from the threshold first)", "Selective accuracy", 520)
    _add_curve(figure, (name, names), display_name(name), (curve.coverage, curve.accuracy), "hv")
    figure.data[-1].line.dash = "solid"
    figure.update_traces(hovertemplate="coverage %{x:.1%}, selective accuracy %{y:.1%}<extra></extra>")
    figure.update_xaxes(range=[0, 1.02], tickformat=".0%")
    lowest = float(curve.accuracy[curve.coverage >= 0.02].min())
    figure.update_yaxes(range=[min(0.9, lowest) - 0.02, 1.01], tickformat=".0%")
    if coverage is not None:
        figure.add_vline(x=coverage, line=MARK_LINE)
    place = int(np.searchsorted(curve.coverage, 0.8 - 1e-9))
    full, partial = (percent(float(curve.accuracy[k]), 1) for k in (-1, place))
    alt = (
        f"Selective prediction of {display_in_sentence(name)}: accuracy {full} at full coverage, {partial} at a "
        f"coverage of {percent(float(curve.coverage[place]))}."
    )
    table = pd.DataFrame({"margin": curve.margin, "coverage": curve.coverage, "selective accuracy": curve.accuracy})
    return Chart(figure, alt, table)


def _square(figure: go.Figure) -> go.Figure:
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_yaxes(range=[-0.02, 1.02])
    return figure


def _add_curve(
    figure: go.Figure,
    name_among: tuple[str, Sequence[str]],
    legend: str,
    points: tuple[Any, Any],
    shape: str = "linear",
) -> None:
    """Adds the line of a class in its color and dash."""
    (name, names), (x, y) = name_among, points
    line = {"color": colors(names)[name], "dash": dashes(names)[name], "width": 2, "shape": shape}
    figure.add_scatter(x=x, y=y, name=legend, legendgroup=name, mode="lines", line=line)


def _add_point(
    figure: go.Figure, name_among: tuple[str, Sequence[str]], point: tuple[float, float], hover: str
) -> None:
    """Adds the diamond of a class at its decision threshold."""
    name, names = name_among
    marker = {"size": 12, "symbol": "diamond", "color": colors(names)[name]}
    figure.add_scatter(
        x=[point[0]],
        y=[point[1]],
        mode="markers",
        marker=marker,
        legendgroup=name,
        showlegend=False,
        name=name,
        hovertemplate=f"{hover}<extra></extra>",
    )
