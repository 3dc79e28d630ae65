"""Score histograms and calibration curves as charts.

`names` lists everything that a page may draw, in one order, so that a class has the same color in every chart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cxr.core.number_format import counted, decimal
from cxr.datasets.labels import display_in_sentence, display_name
from cxr.evaluation.curves import CalibrationCurve, ScoreHistogram
from cxr.ui.components.charts.chart import MARK_LINE, Chart, add_reference_line, colors, style_figure


def score_histogram_chart(histogram: ScoreHistogram, names: Sequence[str], threshold: float | None = None) -> Chart:
    """Histograms of the scores, a row for each reference label, with the threshold where there is one."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    labels, palette = [name for name in names if name in histogram.films], colors(names)
    target, rows = display_in_sentence(histogram.question.positive), len(labels)
    figure = style_figure(
        make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.3 / (rows + 1)), 110 + 130 * rows
    )
    edges = histogram.edges
    centers, width = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0]
    for row, label in enumerate(labels, start=1):
        images, name = histogram.films[label], display_name(label)
        hover = f"{name}: %{{y}} X-rays, score %{{x:.2f}}<extra></extra>"
        bars = go.Bar(x=centers, y=images, width=0.92 * width, marker_color=palette[label], hovertemplate=hover)
        figure.add_trace(bars, row=row, col=1)
        title = f"{name.replace(' ', '<br>')}<br>{int(images.sum()):,} X-rays"
        figure.update_yaxes(title_text=title, rangemode="tozero", nticks=4, row=row, col=1)
    figure.update_layout(showlegend=False, bargap=0)
    figure.update_xaxes(range=[0, 1])
    figure.update_xaxes(title_text=f"P({target})", row=rows, col=1)
    if threshold is not None:
        text = {"text": f"Threshold {decimal(threshold)}", "showarrow": False, "yanchor": "bottom"}
        figure.add_vline(x=threshold, line=MARK_LINE)
        figure.add_annotation(x=threshold, y=1, xref="x", yref="paper", **text)
    columns = {label: histogram.films[label] for label in labels}
    table = pd.DataFrame({"from": edges[:-1], "to": edges[1:], **columns})
    words = []
    for label in labels:
        scores = histogram.question.scores[histogram.question.labels == label]
        words.append(f"{display_in_sentence(label)} {np.median(scores):.2f}")
    return Chart(figure, f"Scores for {target}; median by reference label: {', '.join(words)}.", table)


def calibration_chart(curve: CalibrationCurve, names: Sequence[str]) -> Chart:
    """Observed frequency by mean predicted probability, with the number of X-rays in each bin below."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    target, color = display_in_sentence(curve.question.positive), colors(names)[curve.question.positive]
    figure = style_figure(
        make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.75, 0.25], vertical_spacing=0.06), 520
    )
    add_reference_line(figure, [0, 1], [0, 1])
    line = go.Scatter(
        x=curve.mean_predicted,
        y=curve.observed_frequency,
        customdata=curve.films,
        mode="lines+markers",
        marker={"size": 9},
        line={"color": color, "width": 2},
        hovertemplate="predicted %{x:.2f}, observed %{y:.2f}, %{customdata} X-rays<extra></extra>",
    )
    figure.add_trace(line, row=1, col=1)
    hover = "%{y} X-rays<extra></extra>"
    bars = go.Bar(x=curve.mean_predicted, y=curve.films, width=0.03, marker_color=color, hovertemplate=hover)
    figure.add_trace(bars, row=2, col=1)
    figure.update_layout(showlegend=False)
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_xaxes(title_text=f"Mean predicted P({target})", row=2, col=1)
    figure.update_yaxes(title_text="Observed frequency", range=[-0.02, 1.05], row=1, col=1)
    figure.update_yaxes(title_text="X-rays", rangemode="tozero", nticks=3, row=2, col=1)
    alt = (
        f"Calibration of {target}: Brier score {decimal(curve.brier)}, expected calibration error "
        f"{decimal(curve.expected_error)}, {counted(int(curve.films.sum()), 'X-ray')}."
    )
    columns = {"mean predicted": curve.mean_predicted, "observed": curve.observed_frequency, "images": curve.films}
    return Chart(figure, alt, pd.DataFrame(columns))
