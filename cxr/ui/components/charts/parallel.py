"""Parallel coordinates of a study's trials, drawn as plain lines.

Plotly's own trace of that name needs WebGL, which remote desktops and browsers without a graphics card lack.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cxr.core.number_format import counted, decimal
from cxr.presentation.study_tables import trials_table, values_text
from cxr.studies.space import Dimension, Space
from cxr.studies.trials import LOWER_IS_BETTER, METRICS, Trial, ranked
from cxr.ui.components.charts.chart import NEUTRAL, Chart, style_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

HEIGHT_PX = 460
SHADES = 24  # colors of lines, so that a thousand trials are a few traces
COLORS = ((0.0, "#7c868c"), (1.0, "#d95f02"))  # from the worst to the best; visible on dark and light
MARGIN = 0.04  # of an axis, above and below its ends


@dataclass(frozen=True)
class _Axis:
    """One axis: its title, the place of each trial on it from 0 to 1, and its ticks."""

    title: str
    places: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]


def parallel_coordinates(space: Space, trials: Sequence[Trial], metric: str) -> Chart:
    """The complete trials, each a line through the metric and its values; only what was varied has an axis."""
    import plotly.graph_objects as go

    complete = ranked(trials, metric)
    varied = [one for one in space.dimensions if len({str(trial.values[one.key]) for trial in complete}) > 1]
    values = [trial.value or 0.0 for trial in complete]
    axes = [_axis_of_numbers(METRICS[metric], values, (min(values, default=0.0), max(values, default=1.0)))]
    axes += [_axis(dimension, [trial.values[dimension.key] for trial in complete]) for dimension in varied]
    figure = style_figure(go.Figure(), HEIGHT_PX)
    _add_lines(figure, space, complete, axes, metric)
    for place, axis in enumerate(axes):
        _add_axis(figure, place, axis, "left" if place == 0 else "right")  # where no line is, at both ends
    figure.update_layout(showlegend=False, hovermode="closest", margin={"l": 48, "r": 8, "t": 8, "b": 48})
    figure.update_xaxes(
        range=[-0.25, len(axes) - 0.65],
        tickvals=list(range(len(axes))),
        ticktext=[axis.title for axis in axes],
        showgrid=False,
    )
    figure.update_yaxes(visible=False, range=[-MARGIN, 1 + MARGIN])
    best = f"The best is trial {complete[0].number} with {decimal(complete[0].value)}." if complete else ""
    alt = f"Parallel coordinates of {counted(len(complete), 'complete trial')} by {METRICS[metric]}. {best}".strip()
    return Chart(figure, alt, trials_table(space, complete, metric))


def _add_lines(figure: go.Figure, space: Space, trials: Sequence[Trial], axes: Sequence[_Axis], metric: str) -> None:
    """Adds a line for each trial, the best on top, and the scale of their colors."""
    from plotly.colors import sample_colorscale

    goodness = [1 - place if metric == LOWER_IS_BETTER else place for place in axes[0].places]
    shades = [round(share * (SHADES - 1)) for share in goodness]
    for shade in sorted(set(shades)):
        x: list[float | None] = []
        y: list[float | None] = []
        text: list[str] = []
        for n, trial in enumerate(trials):
            if shades[n] != shade:
                continue
            x += [*range(len(axes)), None]
            y += [*(axis.places[n] for axis in axes), None]
            words = f"Trial {trial.number}: {METRICS[metric]} {decimal(trial.value)}<br>{values_text(space, trial)}"
            text += [words] * (len(axes) + 1)
        color = sample_colorscale(list(map(list, COLORS)), [shade / (SHADES - 1)])[0]
        figure.add_scatter(
            x=x, y=y, text=text, hoverinfo="text", mode="lines", line={"color": color, "width": 2}, opacity=0.8
        )
    if trials:
        width = {"color": sample_colorscale(list(map(list, COLORS)), [goodness[0]])[0], "width": 5}
        places = [axis.places[0] for axis in axes]
        figure.add_scatter(x=list(range(len(axes))), y=places, mode="lines", line=width, hoverinfo="skip", name="Best")


def _add_axis(figure: go.Figure, place: int, axis: _Axis, side: str) -> None:
    figure.add_scatter(
        x=[place] * len(axis.ticks),
        y=[height for height, _ in axis.ticks],
        text=[f" {name} " for _, name in axis.ticks],
        mode="lines+markers+text",
        textposition=f"middle {side}",
        line={"color": NEUTRAL, "width": 1},
        marker={"color": NEUTRAL, "size": 5, "symbol": "line-ew-open"},
        hoverinfo="skip",
    )


def _axis(dimension: Dimension, values: Sequence[str | float]) -> _Axis:
    label = dimension.item.label
    if not dimension.choices:
        numbers = [float(value) for value in values]
        return _axis_of_numbers(label, numbers, (dimension.low, dimension.high), dimension.scale == "log")
    names = list(dimension.names)
    last = max(len(names) - 1, 1)
    places = tuple(names.index(str(value)) / last for value in values)
    return _Axis(label, places, tuple((place / last, name) for place, name in enumerate(names)))


def _axis_of_numbers(title: str, values: Sequence[float], ends: tuple[float, float], log: bool = False) -> _Axis:
    """An axis of numbers: ticks at its ends and between them, at powers of ten on a log scale."""
    low, high = (math.log10(end) for end in ends) if log else ends
    span = high - low or 1.0
    places = tuple(((math.log10(value) if log else value) - low) / span for value in values)
    between = (
        range(math.ceil(low + 0.2), math.floor(high - 0.2) + 1) if log else [low + span * n / 4 for n in (1, 2, 3)]
    )
    ticks = tuple(((tick - low) / span, f"{10**tick if log else tick:.3g}") for tick in (low, *between, high))
    return _Axis(title, places, ticks)
