"""Numbers become plotly figures. What is drawn was computed before; grounds and text take the colours of the theme.

`names` are all that a page may draw, in one order, so that a class has one colour in every chart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale, unlabel_rgb
from plotly.subplots import make_subplots

from cxr.evaluation.curves import CalibrationCurve, PrecisionRecallCurve, RocCurve, ScoreHistogram
from cxr.evaluation.decision_curve import DecisionCurve
from cxr.evaluation.decisions import BinaryQuestion, ConfusionCounts
from cxr.evaluation.evaluation import Evaluation
from cxr.evaluation.indeterminate import CoverageCurve
from cxr.ui.components.charts import palette
from cxr.ui.components.charts.chart import Chart

Intervals = Mapping[str, tuple[float, float]]  # by the name of what it belongs to
NONE: Intervals = {}
HEAT = "Cividis"  # made for the colour-blind (Nunez, Anderton, Renslow 2018)
CLEAR = "rgba(0,0,0,0)"
MARK = {"color": palette.NEUTRAL, "width": 1.5, "dash": "dash"}


def number_text(value: float, interval: tuple[float, float] | None = None) -> str:
    """A figure as a person reads it, with its interval where there is one; a dash where it is not a number."""
    if not np.isfinite(value):
        return "-" if np.isnan(value) else "infinite"
    return f"{value:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def confusion_chart(evaluation: Evaluation, shares: bool, chosen: tuple[str, str] | None = None) -> Chart:
    """Labels against decisions, coloured by the share of each label's films; one cell may be outlined.

    Labels that name several classes stand below the classes. A label without films has no shares to show.
    Each cell has an invisible point, since a heatmap's own cells cannot be selected; its data are (label, decision).
    """
    names, labels = evaluation.classes, (*evaluation.classes, *evaluation.coarse)
    shown, counts = list(evaluation.rows), np.array(list(evaluation.rows.values()))
    rows = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, rows, out=np.full(counts.shape, np.nan), where=rows > 0)
    figure = empty("Decision", "Label", 130 + 78 * len(labels))
    figure.add_heatmap(
        z=share, x=names, y=shown, zmin=0, zmax=1, colorscale=HEAT, showscale=False, hoverinfo="skip", xgap=3, ygap=3
    )
    cells = [(row, column) for row in range(len(labels)) for column in range(len(names))]
    for row, column in cells:
        text, ink = _cell(int(counts[row, column]), float(share[row, column]), shares)
        font = {"size": 17} | ({"color": ink} if ink else {})
        figure.add_annotation(x=names[column], y=shown[row], text=text, font=font, showarrow=False)
        if (labels[row], names[column]) == chosen:
            box = {"x0": column - 0.46, "x1": column + 0.46, "y0": row - 0.44, "y1": row + 0.44}
            figure.add_shape(type="rect", **box, line={"color": ink or palette.NEUTRAL, "width": 3})
    figure.add_scatter(
        x=[names[column] for _, column in cells],
        y=[shown[row] for row, _ in cells],
        customdata=[(labels[row], names[column]) for row, column in cells],
        text=[f"{counts[cell]} films, {share[cell]:.1%}" if rows[cell[0]] else "no films" for cell in cells],
        mode="markers",
        marker={"size": 40, "opacity": 0},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        hovertemplate="labelled %{y}, called %{x}<br>%{text}<extra></extra>",
        showlegend=False,
    )
    figure.update_layout(hovermode="closest", hoverdistance=-1, dragmode=False, clickmode="event+select")
    figure.update_xaxes(fixedrange=True, showgrid=False, side="top")
    figure.update_yaxes(fixedrange=True, showgrid=False, autorange="reversed")
    table = pd.DataFrame(
        [(shown[r], names[c], int(counts[r, c]), round(float(share[r, c]), 4)) for r, c in cells],
        columns=["label", "decision", "films", "share of label"],
    )
    told = [f"of {rows[k, 0]} {name} films {_called(counts[k], names)}" for k, name in enumerate(shown)]
    return Chart(figure, f"Confusion matrix: {'; '.join(told)}.", table)


def _cell(count: int, share: float, shares: bool) -> tuple[str, str | None]:
    """The text of a cell and its colour; a dash in the theme's colour where its label has no films."""
    if np.isnan(share):
        return "–", None
    large, small = (f"{share:.1%}", f"{count}") if shares else (f"{count}", f"{share:.1%}")
    return f"<b>{large}</b><br><span style='font-size:0.8em'>{small}</span>", _ink(share)


def roc_chart(curves: Sequence[RocCurve], names: Sequence[str], intervals: Intervals = NONE) -> Chart:
    """ROC curves, each with the point of the decisions that were made; intervals are of the AUC, by question."""
    figure = empty("1 - specificity", "Sensitivity", 500)
    _line(figure, [0, 1], [0, 1])
    words, tables = [], []
    for curve in curves:
        name = str(curve.question)
        area = f"AUC {number_text(curve.auc, intervals.get(curve.question.name))}"
        at = ConfusionCounts.from_question(curve.question)
        _curve(figure, curve.question.name, names, f"{name}<br>{area}", (curve.false_positives, curve.sensitivity))
        figure.data[-1].update(
            customdata=curve.threshold,
            hovertemplate="threshold %{customdata:.3f}<br>sensitivity %{y:.3f}, 1 - specificity %{x:.3f}",
        )
        hover = f"the decisions: sensitivity {at.sensitivity:.3f}, specificity {at.specificity:.3f}"
        _point(figure, curve.question.name, names, (1 - at.specificity, at.sensitivity), hover)
        words.append(
            f"{name}, {area}, sensitivity {number_text(at.sensitivity)} at specificity {number_text(at.specificity)}"
        )
        columns = {"1 - specificity": curve.false_positives, "sensitivity": curve.sensitivity}
        tables.append(_of(curve.question, curve.threshold, columns))
    return Chart(_square(figure), f"ROC curves: {'; '.join(words)}.", pd.concat(tables, ignore_index=True))


def precision_recall_chart(
    curves: Sequence[PrecisionRecallCurve], names: Sequence[str], intervals: Intervals = NONE
) -> Chart:
    """Precision-recall curves with the point of the decisions, and for each the precision of chance, dotted."""
    figure = empty("Recall (sensitivity)", "Precision (PPV on these films)", 500)
    words, tables = [], []
    for curve in curves:
        name, prevalence = str(curve.question), curve.prevalence
        area = f"AP {number_text(curve.average_precision, intervals.get(curve.question.name))}"
        at = ConfusionCounts.from_question(curve.question)
        _curve(figure, curve.question.name, names, f"{name}<br>{area}", (curve.recall, curve.precision), shape="hv")
        figure.data[-1].update(
            customdata=curve.threshold,
            hovertemplate="threshold %{customdata:.3f}<br>precision %{y:.3f}, recall %{x:.3f}",
        )
        _line(figure, [0, 1], [prevalence, prevalence], curve.question.name)
        hover = f"the decisions: precision {at.precision:.3f}, recall {at.sensitivity:.3f}"
        _point(figure, curve.question.name, names, (at.sensitivity, at.precision), hover)
        words.append(f"{name}, average precision {area[3:]}, where chance has {prevalence:.3f}")
        tables.append(_of(curve.question, curve.threshold, {"recall": curve.recall, "precision": curve.precision}))
    alt = f"Precision-recall curves: {'; '.join(words)}."
    return Chart(_square(figure), alt, pd.concat(tables, ignore_index=True))


def score_histogram_chart(scores: ScoreHistogram, names: Sequence[str], threshold: float | None = None) -> Chart:
    """Histograms of the scores, a row for each label, with the threshold where the question has one."""
    labels, colours = [name for name in names if name in scores.films], palette.colors(names)
    rows = len(labels)
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.3 / (rows + 1))
    middle, width = (scores.edges[:-1] + scores.edges[1:]) / 2, scores.edges[1] - scores.edges[0]
    for row, label in enumerate(labels, start=1):
        films = scores.films[label]
        hover = f"{label}: %{{y}} films, score %{{x:.2f}}<extra></extra>"
        bars = go.Bar(x=middle, y=films, width=0.92 * width, marker_color=colours[label], hovertemplate=hover)
        figure.add_trace(bars, row=row, col=1)
        figure.update_yaxes(title_text=f"{label}<br>{films.sum()} films", rangemode="tozero", nticks=4, row=row, col=1)
    _dress(figure, 110 + 130 * rows)
    figure.update_layout(showlegend=False, bargap=0)
    figure.update_xaxes(range=[0, 1])
    figure.update_xaxes(title_text=f"Score for {scores.question.name}", row=rows, col=1)
    if threshold is not None:
        text = {"text": f"threshold {threshold:.3f}", "showarrow": False, "yanchor": "bottom"}
        figure.add_vline(x=threshold, line=MARK)
        figure.add_annotation(x=threshold, y=1, xref="x", yref="paper", **text)
    table = pd.DataFrame(
        {"from": scores.edges[:-1], "to": scores.edges[1:], **{label: scores.films[label] for label in labels}}
    )
    words = []
    for label in labels:
        of_label = scores.question.score[scores.question.label == label]
        words.append(f"{label} films have a median of {np.median(of_label):.2f}")
    return Chart(figure, f"Scores for {scores.question.name}: {', '.join(words)}.", table)


def calibration_chart(bins: CalibrationCurve, names: Sequence[str]) -> Chart:
    """What was said against what was so, with the number of films below."""
    name = bins.question.name
    colour = palette.colors(names)[name]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.75, 0.25], vertical_spacing=0.06)
    _line(figure, [0, 1], [0, 1])
    figure.add_trace(
        go.Scatter(
            x=bins.mean_predicted,
            y=bins.observed,
            customdata=bins.films,
            mode="lines+markers",
            marker={"size": 9},
            line={"color": colour, "width": 2},
            hovertemplate="said %{x:.2f}, seen %{y:.2f}, %{customdata} films<extra></extra>",
        ),
        row=1,
        col=1,
    )
    bars = go.Bar(
        x=bins.mean_predicted, y=bins.films, width=0.03, marker_color=colour, hovertemplate="%{y} films<extra></extra>"
    )
    figure.add_trace(bars, row=2, col=1)
    _dress(figure, 520)
    figure.update_layout(showlegend=False)
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_xaxes(title_text=f"Mean score for {name}", row=2, col=1)
    figure.update_yaxes(title_text=f"Share that is {name}", range=[-0.02, 1.05], row=1, col=1)
    figure.update_yaxes(title_text="Films", rangemode="tozero", nticks=3, row=2, col=1)
    alt = (
        f"Calibration of {name}: Brier score {bins.brier:.3f}; said and seen differ by "
        f"{bins.expected_error:.3f} on average over {bins.films.sum()} films."
    )
    return Chart(figure, alt, pd.DataFrame({"said": bins.mean_predicted, "seen": bins.observed, "films": bins.films}))


def decision_curve_chart(curve: DecisionCurve, name: str, names: Sequence[str], threshold: float | None = None) -> Chart:
    """Net benefit of acting on the model, on all and on none, by the probability from which one would act."""
    lines = {f"act on the model's {name}": curve.model, "act on all": curve.treat_all, "act on none": 0 * curve.model}
    most = max(float(curve.model.max()), float(curve.treat_all.max()), 0.01)
    figure = empty("Probability from which one would act", "Net benefit a film", 520)
    _curve(figure, name, names, next(iter(lines)), (curve.threshold, curve.model))
    figure.data[-1].line.dash = "solid"  # it bends at every step, where dashes cannot be followed
    for line, values in list(lines.items())[1:]:
        style = {"color": palette.NEUTRAL, "width": 1.5, "dash": "dash" if line == "act on all" else "dot"}
        figure.add_scatter(x=curve.threshold, y=values, name=line, mode="lines", line=style)
    figure.update_traces(hovertemplate="from %{x:.2f}: %{y:.3f}")
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(range=[-0.15 * most, 1.1 * most])  # acting on all falls without end
    if threshold is not None:
        figure.add_vline(x=threshold, line=MARK)
    better = curve.model > np.maximum(curve.treat_all, 0) + 1e-9
    alt = (
        f"Decision curve of {name}: acting on the model is worth more than acting on all or none at "
        f"{better.sum()} of {len(better)} thresholds, and at most {float(curve.model.max()):.3f} a film."
    )
    return Chart(figure, alt, curve.table())


def coverage_chart(found: CoverageCurve, name: str, names: Sequence[str], answered: float | None = None) -> Chart:
    """How often the answer is right, against the share of films that get one; `answered` is what the band leaves."""
    figure = empty("Share of films that are answered, the surest first", "Share of answers that are right", 520)
    _curve(figure, name, names, "answered films", (found.share, found.accuracy), "hv")
    figure.data[-1].line.dash = "solid"
    figure.update_traces(hovertemplate="%{x:.1%} answered, %{y:.1%} of them right<extra></extra>")
    figure.update_xaxes(range=[0, 1.02], tickformat=".0%")
    lowest = float(found.accuracy[found.share >= 0.02].min())
    figure.update_yaxes(range=[min(0.9, lowest) - 0.02, 1.01], tickformat=".0%")
    if answered is not None:
        figure.add_vline(x=answered, line=MARK)
    at = int(np.searchsorted(found.share, 0.8 - 1e-9))
    alt = (
        f"Coverage of {name}: all films answered, {found.accuracy[-1]:.1%} are right; "
        f"the surest {found.share[at]:.0%}, {found.accuracy[at]:.1%}."
    )
    table = pd.DataFrame({"margin": found.margin, "answered": found.share, "right": found.accuracy})
    return Chart(figure, alt, table)


def empty(x: str, y: str, height_px: int) -> go.Figure:
    """A figure of these axes with nothing on it yet."""
    figure = go.Figure()
    _dress(figure, height_px)
    figure.update_xaxes(title_text=x)
    figure.update_yaxes(title_text=y)
    return figure


def _dress(figure: go.Figure, height_px: int) -> None:
    figure.update_layout(
        height=height_px,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        legend={"orientation": "h", "yanchor": "top", "y": -0.18, "x": 0, "title": None},
    )
    figure.update_xaxes(zeroline=False, automargin=True)
    figure.update_yaxes(zeroline=False, automargin=True)


def _square(figure: go.Figure) -> go.Figure:
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_yaxes(range=[-0.02, 1.02])
    return figure


def _curve(
    figure: go.Figure, name: str, names: Sequence[str], legend: str, points: tuple[Any, Any], shape: str = "linear"
) -> None:
    line = {"color": palette.colors(names)[name], "dash": palette.dashes(names)[name], "width": 2, "shape": shape}
    x, y = points
    figure.add_scatter(x=x, y=y, name=legend, legendgroup=name, mode="lines", line=line)


def _point(figure: go.Figure, name: str, names: Sequence[str], at: tuple[float, float], hover: str) -> None:
    marker = {"size": 12, "symbol": "diamond", "color": palette.colors(names)[name]}
    figure.add_scatter(
        x=[at[0]], y=[at[1]], mode="markers", marker=marker, legendgroup=name, showlegend=False, name=name
    )
    figure.data[-1].update(hovertemplate=f"{name}<br>{hover}<extra></extra>")


def _line(figure: go.Figure, x: Sequence[float], y: Sequence[float], group: str | None = None) -> None:
    """What chance would draw."""
    line = {"color": palette.NEUTRAL, "width": 1, "dash": "dot"}
    figure.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False, legendgroup=group)


def _of(question: BinaryQuestion, threshold: Any, columns: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame({"question": str(question), "threshold": threshold, **columns})


def _called(counts: Any, names: Sequence[str]) -> str:
    parts = [f"{count} were called {name}" for count, name in zip(counts, names, strict=True) if count]
    return ", ".join(parts) or "there is none"


def _ink(share: float) -> str:
    """Black or white, whichever stands out more from a cell of this share (WCAG's contrast)."""
    channels = np.array(unlabel_rgb(sample_colorscale(HEAT, [share])[0])) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "white"
