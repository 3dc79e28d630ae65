"""The weeks of a model in use as a chart: mean score, flagged images, distance, each beside its reference."""

from __future__ import annotations

from math import exp, isnan, nan

import pandas as pd

from cxr.core.number_format import counted
from cxr.drift.departure import Measure
from cxr.drift.tally import Tally
from cxr.drift.watch import DriftWatch
from cxr.ui.components.charts.chart import MARK_LINE, Chart, colors, style_figure

ROW_PX = 150
TITLES = {
    Measure.SCORES: "Mean score",
    Measure.INPUT_CHECK: "Questioned",
    Measure.FEATURES: "Distance",
}
LEFT = "Left the reference"


def drift_chart(found: DriftWatch) -> Chart:
    """A row for each measure that was counted: its weeks, the reference as a dashed line, and weeks that left it."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    measures = [one for one in Measure if not all(isnan(value_of(tally, one)) for tally in found.weeks.values())]
    figure = style_figure(
        make_subplots(rows=len(measures), cols=1, shared_xaxes=True, vertical_spacing=0.08), 60 + ROW_PX * len(measures)
    )
    palette, weeks = colors([*Measure, LEFT]), list(found.weeks)
    left = {(one.week, one.measure) for one in found.departures}
    for row, measure in enumerate(measures, 1):
        values = [value_of(tally, measure) for tally in found.weeks.values()]
        marked = [(week, measure) in left for week in weeks]
        line = go.Scatter(
            x=weeks,
            y=values,
            mode="lines+markers",
            line={"color": palette[measure], "width": 2},
            marker={
                "size": [12 if mark else 6 for mark in marked],
                "symbol": ["x" if mark else "circle" for mark in marked],
                "color": [palette[LEFT] if mark else palette[measure] for mark in marked],
            },
            customdata=[LEFT if mark else "" for mark in marked],
            cliponaxis=False,  # a week at 0
            hovertemplate="%{x}: %{y:.3f} %{customdata}<extra></extra>",
        )
        figure.add_trace(line, row=row, col=1)
        figure.update_yaxes(title_text=TITLES[measure], rangemode="tozero", nticks=4, row=row, col=1)
        usual = value_of(found.reference.tally, measure)
        if not isnan(usual):
            figure.add_hline(y=usual, line=MARK_LINE, row=row, col=1)
    figure.update_layout(showlegend=False)
    figure.update_xaxes(type="category")
    return Chart(figure, _alt(found), _table(found))


def value_of(tally: Tally, measure: Measure) -> float:
    """What is drawn of a measure; NaN where it was not counted."""
    if measure == Measure.SCORES:
        return tally.mean_score
    if measure == Measure.INPUT_CHECK:
        return tally.questioned_share
    return exp(float(tally.mean[-1])) if tally.places else nan


def _table(found: DriftWatch) -> pd.DataFrame:
    """The numbers of the chart."""
    left = {(one.week, one.measure) for one in found.departures}
    rows = [
        {"week": week, "readings": tally.readings}
        | {measure.value: value_of(tally, measure) for measure in Measure}
        | {"left": " ".join(measure for measure in Measure if (week, measure) in left)}
        for week, tally in found.weeks.items()
    ]
    return pd.DataFrame(rows)


def _alt(found: DriftWatch) -> str:
    weeks = len({one.week for one in found.departures})
    return f"{counted(len(found.weeks), 'week')} with {found.readings:,} readings; {weeks} left the reference."
