"""A study as charts: what mattered, the best value so far, and the loss of a range test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from cxr.core.number_format import counted, decimal, percent
from cxr.presentation.study_tables import importances_table
from cxr.studies.rate_range import RateRange
from cxr.studies.space import Space
from cxr.studies.trials import LOWER_IS_BETTER, METRICS, Trial, TrialState
from cxr.ui.components.charts.chart import MARK_LINE, NEUTRAL, Chart, blank_figure, colors

HEIGHT_PX, BAR_PX = 420, 34
_SYMBOLS = {TrialState.COMPLETE: "circle", TrialState.PRUNED: "x-thin-open"}


def importance_chart(space: Space, importances: Mapping[str, float], metric: str) -> Chart:
    """A bar for each hyperparameter: its share in the variance of the metric."""
    table = importances_table(space, importances)
    title, height = f"Share of the variance in {METRICS[metric]} (fANOVA)", 120 + BAR_PX * max(len(table), 1)
    figure = blank_figure(title, "", height)
    figure.update_layout(showlegend=False)
    figure.add_bar(
        x=table["importance"],
        y=table["hyperparameter"],
        orientation="h",
        marker={"color": colors(["importance"])["importance"]},
        text=[percent(share) for share in table["importance"]],
        textposition="outside",
        cliponaxis=False,
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(range=[0, 1.1], tickformat=".0%")
    words = ", ".join(
        f"{name} {percent(share)}" for name, share in zip(table["hyperparameter"], table["importance"], strict=True)
    )
    return Chart(figure, f"Importance of hyperparameters: {words}.", table)


def history_chart(trials: Sequence[Trial], metric: str) -> Chart:
    """The value of each trial in their order, and the best so far."""
    figure = blank_figure("Trial", METRICS[metric], HEIGHT_PX)
    hues = colors(["best", *TrialState])
    sign = -1 if metric == LOWER_IS_BETTER else 1
    best, so_far = -math.inf, []
    for trial in trials:
        if trial.state is TrialState.COMPLETE and trial.value is not None:
            best = max(best, sign * trial.value)
        so_far.append(sign * best if math.isfinite(best) else math.nan)
    for state, symbol in _SYMBOLS.items():
        some = [trial for trial in trials if trial.state is state and trial.value is not None]
        figure.add_scatter(
            x=[trial.number for trial in some],
            y=[trial.value for trial in some],
            name=state.capitalize(),
            mode="markers",
            marker={"symbol": symbol, "size": 9, "color": hues[state], "line": {"color": hues[state], "width": 2}},
        )
    numbers = [trial.number for trial in trials]
    figure.add_scatter(
        x=numbers, y=so_far, name="Best so far", mode="lines", line={"color": hues["best"], "width": 2, "shape": "hv"}
    )
    figure.update_xaxes(tickformat="d")
    known = [value for value in so_far if not math.isnan(value)]
    words = f"the best is {decimal(known[-1])}" if known else "none is complete"
    values = [math.nan if trial.value is None else trial.value for trial in trials]
    table = pd.DataFrame({"trial": numbers, "state": [str(t.state) for t in trials], metric: values, "best": so_far})
    return Chart(figure, f"{METRICS[metric]} of {counted(len(trials), 'trial')} in their order: {words}.", table)


def rate_range_chart(found: RateRange) -> Chart:
    """The loss at rising learning rates, smoothed, with the suggested rate."""
    figure = blank_figure("Learning rate", "Training loss", HEIGHT_PX)
    smoothed = found.smoothed
    figure.add_scatter(
        x=found.rates, y=found.losses, name="Loss of each step", mode="lines", line={"color": NEUTRAL, "width": 1}
    )
    line = {"color": colors(["loss"])["loss"], "width": 2}
    figure.add_scatter(x=found.rates, y=smoothed, name="Smoothed loss", mode="lines", line=line)
    if found.suggested is not None:
        figure.add_vline(x=found.suggested, line=MARK_LINE, annotation_text=f"Suggested: {found.suggested:g}")
    figure.update_xaxes(type="log", exponentformat="power")
    table = pd.DataFrame({"learning rate": found.rates, "loss": found.losses, "smoothed loss": smoothed})
    return Chart(figure, f"Training loss at rising learning rates. {found.sentence}", table)
