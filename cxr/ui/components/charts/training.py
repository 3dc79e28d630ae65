"""Training histories as charts: loss, accuracy and learning rate of one run, or one metric of several runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxr.core.number_format import counted
from cxr.ui.components.charts.chart import MARK_LINE, NEUTRAL, Chart, colors, dashes

if TYPE_CHECKING:
    import plotly.graph_objects as go

Row = Mapping[str, float | None]  # null stands for a value that was not a number
History = Sequence[Row]
Steps = Sequence[Mapping[str, float]]

LONG_EPOCH = 3  # heartbeats per epoch from which its steps are drawn too
HEIGHT_PX = 320
FEW_EPOCHS = 10
MEASURES = {
    "val_loss": "Validation loss",
    "val_accuracy": "Validation accuracy",
    "val_auc": "Validation AUC",
    "loss": "Training loss",
    "accuracy": "Training accuracy",
    "rate": "Learning rate",
    "films_s": "Images per second",
}
_LINES = {"loss": ("loss", "val_loss"), "accuracy": ("accuracy", "val_accuracy", "val_auc")}


def loss_curves(history: History, steps: Steps = (), best_epoch: int | None = None) -> Chart:
    """Training and validation loss by epoch, and by step in long epochs; the best epoch may be marked."""
    return _curves("loss", "Loss", history, steps, best_epoch)


def accuracy_curves(history: History, steps: Steps = (), best_epoch: int | None = None) -> Chart:
    """Training and validation accuracy and validation AUC by epoch, and by step in long epochs."""
    return _curves("accuracy", "Accuracy and AUC", history, steps, best_epoch)


def rate_curve(history: History) -> Chart:
    """The learning rate at the end of each epoch; its data table is the whole history."""
    names = {"rate": MEASURES["rate"]}
    figure = _figure("Learning rate")
    _line(figure, history, "rate", names["rate"], colors(["rate"])["rate"], "solid")
    figure.update_yaxes(exponentformat="power", rangemode="tozero")
    _mark_epochs(figure, len(history))
    return Chart(figure, _alt("Learning rate by epoch", history, names), pd.DataFrame(list(history), dtype=float))


def compare_runs(histories: Mapping[str, History], measure: str) -> Chart:
    """One metric of several runs by epoch, each with a color and a dash."""
    runs = list(histories)
    color, dash = colors(runs), dashes(runs)
    figure = _figure(MEASURES[measure])
    columns = {}
    ends = []
    for run, history in histories.items():
        _line(figure, history, measure, run, color[run], dash[run])
        columns[run] = pd.Series({_epoch(row): _value(row, measure) for row in history}, dtype=float)
        if history:
            ends.append(f"{run} {_value(history[-1], measure):.4g} after {counted(len(history), 'epoch')}")
    _mark_epochs(figure, max(map(len, histories.values()), default=0))
    table = pd.DataFrame(columns).rename_axis("epoch").reset_index()
    words = "; ".join(ends) or "no run has finished an epoch"
    return Chart(figure, f"{MEASURES[measure]} of {counted(len(runs), 'run')} by epoch: {words}.", table)


def _curves(kind: str, title: str, history: History, steps: Steps, best_epoch: int | None) -> Chart:
    color, dash = colors(_LINES[kind]), dashes(_LINES[kind])
    names = {name: MEASURES[name] for name in _LINES[kind] if any(name in row for row in history) or not history}
    figure = _figure(title)
    if len(steps) >= LONG_EPOCH * max(row["epoch"] for row in steps or [{"epoch": 1}]):
        figure.add_scatter(
            x=[row["epoch"] - 1 + row["step"] / row["steps"] for row in steps],
            y=[row[kind] for row in steps],
            name=f"{MEASURES[kind]}, current epoch",
            mode="lines",
            line={"color": NEUTRAL, "width": 1},
        )
    for name in names:
        _line(figure, history, name, names[name], color[name], dash[name])
    _mark_epochs(figure, len(history) + 1)
    alt = _alt(f"{title} by epoch", history, names)
    if best_epoch is not None:
        figure.add_vline(x=best_epoch, line=MARK_LINE)
        alt += f" The best epoch is {best_epoch}."
    return Chart(figure, alt, _table(history, names))


def _line(figure: go.Figure, history: History, column: str, name: str, color: str, dash: str) -> None:
    figure.add_scatter(
        x=[row["epoch"] for row in history],
        y=[_value(row, column) for row in history],
        name=name,
        mode="lines+markers" if len(history) < 40 else "lines",
        line={"color": color, "dash": dash, "width": 2},
        marker={"size": 5},
    )


def _figure(title: str) -> Any:
    import plotly.graph_objects as go  # late: a page without a run does not load it

    figure = go.Figure()
    figure.update_layout(
        height=HEIGHT_PX,
        margin={"l": 8, "r": 8, "t": 32, "b": 8},
        title={"text": title, "font": {"size": 14}, "y": 0.98, "yanchor": "top"},
        legend={"orientation": "h", "y": -0.36, "yanchor": "top", "x": 0},
        hovermode="x unified",
        uirevision=title,  # a zoom survives the next heartbeat
        showlegend=True,
    )
    figure.update_xaxes(title="Epoch", rangemode="tozero", tickformat="d")
    return figure


def _mark_epochs(figure: go.Figure, epochs: int) -> None:
    """Marks every epoch while they are few: between them, Plotly would write the same number twice."""
    if epochs < FEW_EPOCHS:
        figure.update_xaxes(tick0=0, dtick=1)


def _epoch(row: Row) -> int:
    return int(row["epoch"] or 0)


def _value(row: Row, measure: str) -> float:
    value = row.get(measure)
    return math.nan if value is None else value


def _alt(title: str, history: History, names: Mapping[str, str]) -> str:
    if not history:
        return f"{title}: no epoch has finished yet."
    last = {label[:1].lower() + label[1:]: _value(history[-1], name) for name, label in names.items()}
    words = ", ".join(f"{label} {'unknown' if math.isnan(value) else f'{value:.4g}'}" for label, value in last.items())
    return f"{title} after {counted(len(history), 'epoch')}: {words}."


def _table(history: History, names: Mapping[str, str]) -> pd.DataFrame:
    rows = [{"epoch": _epoch(row)} | {name: _value(row, name) for name in names} for row in history]
    return pd.DataFrame(rows, columns=["epoch", *names])
