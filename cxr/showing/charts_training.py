"""Histories of runs become charts: loss, accuracy and rate of one, one measure of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxr.showing.palette import NEUTRAL, colours, dashes

if TYPE_CHECKING:
    import plotly.graph_objects as go

History = Sequence[Mapping[str, float]]

LONG_EPOCH = 3  # heartbeats in an epoch from which on its steps are drawn too
HEIGHT_PX = 300
MEASURES = {
    "val_loss": "Validation loss",
    "val_accuracy": "Validation accuracy",
    "val_auc": "Validation AUC",
    "loss": "Training loss",
    "accuracy": "Training accuracy",
    "rate": "Learning rate",
    "films_s": "Films a second",
}
_LINES = {"loss": ("loss", "val_loss"), "accuracy": ("accuracy", "val_accuracy", "val_auc")}


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure, what it shows in words, and its numbers."""

    figure: go.Figure
    alt: str
    table: pd.DataFrame


def loss_curves(history: History, steps: History = ()) -> Chart:
    """Training and validation loss by epoch, and by step while epochs are long."""
    return _curves("loss", "Loss", history, steps)


def accuracy_curves(history: History, steps: History = ()) -> Chart:
    """Training and validation accuracy and validation AUC by epoch, and by step while epochs are long."""
    return _curves("accuracy", "Accuracy and AUC", history, steps)


def rate_curve(history: History) -> Chart:
    """The learning rate at the end of each epoch."""
    names = {"rate": MEASURES["rate"]}
    figure = _figure("Learning rate")
    _line(figure, history, "rate", names["rate"], colours(["rate"])["rate"], "solid")
    figure.update_yaxes(exponentformat="power", rangemode="tozero")
    return Chart(figure, _alt("Learning rate by epoch", history, names), _table(history, names))


def compared(histories: Mapping[str, History], measure: str) -> Chart:
    """One measure of several runs by epoch, a colour and a dash each."""
    runs = list(histories)
    colour, dash = colours(runs), dashes(runs)
    figure = _figure(MEASURES[measure])
    columns = {}
    ends = []
    for run, history in histories.items():
        _line(figure, history, measure, run, colour[run], dash[run])
        columns[run] = pd.Series({int(row["epoch"]): row.get(measure, float("nan")) for row in history}, dtype=float)
        if history:
            ends.append(f"{run} {history[-1].get(measure, float('nan')):.4g} after {len(history)} epochs")
    table = pd.DataFrame(columns).rename_axis("epoch").reset_index()
    said = "; ".join(ends) or "no run has ended an epoch"
    return Chart(figure, f"{MEASURES[measure]} of {len(runs)} runs by epoch: {said}.", table)


def _curves(kind: str, title: str, history: History, steps: History) -> Chart:
    names = {name: MEASURES[name] for name in _LINES[kind]}
    colour, dash = colours(list(names)), dashes(list(names))
    figure = _figure(title)
    if len(steps) >= LONG_EPOCH * max(row["epoch"] for row in steps or [{"epoch": 1}]):
        figure.add_scatter(
            x=[row["epoch"] - 1 + row["step"] / row["steps"] for row in steps],
            y=[row[kind] for row in steps],
            name=f"{MEASURES[kind]}, epoch so far",
            mode="lines",
            line={"color": NEUTRAL, "width": 1},
        )
    for name in names:
        _line(figure, history, name, names[name], colour[name], dash[name])
    return Chart(figure, _alt(f"{title} by epoch", history, names), _table(history, names))


def _line(figure: go.Figure, history: History, column: str, name: str, colour: str, dash: str) -> None:
    figure.add_scatter(
        x=[row["epoch"] for row in history],
        y=[row.get(column, float("nan")) for row in history],
        name=name,
        mode="lines+markers" if len(history) < 40 else "lines",
        line={"color": colour, "dash": dash, "width": 2},
        marker={"size": 5},
    )


def _figure(title: str) -> Any:
    import plotly.graph_objects as go  # late: a page without a run draws nothing

    figure = go.Figure()
    figure.update_layout(
        height=HEIGHT_PX,
        margin={"l": 8, "r": 8, "t": 32, "b": 8},
        title={"text": title, "font": {"size": 14}, "y": 0.98, "yanchor": "top"},
        legend={"orientation": "h", "y": -0.3, "yanchor": "top", "x": 0},
        hovermode="x unified",
        uirevision=title,  # a zoom outlives the next heartbeat
        showlegend=True,
    )
    figure.update_xaxes(title="Epoch", rangemode="tozero", tickformat="d")
    return figure


def _alt(title: str, history: History, names: Mapping[str, str]) -> str:
    if not history:
        return f"{title}: no epoch has ended yet."
    last = ", ".join(f"{label.lower()} {history[-1].get(name, float('nan')):.4g}" for name, label in names.items())
    return f"{title}, {len(history)} so far; at the last, {last}."


def _table(history: History, names: Mapping[str, str]) -> pd.DataFrame:
    rows = [{"epoch": int(row["epoch"])} | {name: row.get(name, float("nan")) for name in names} for row in history]
    return pd.DataFrame(rows, columns=["epoch", *names])
