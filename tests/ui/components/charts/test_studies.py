"""The charts of a study: parallel coordinates as plain lines, importances, values in order, a range test."""

from __future__ import annotations

import pytest

from cxr.studies.rate_range import RateRange, rates_of_test
from cxr.studies.space import Space
from cxr.studies.trials import Trial, TrialState
from cxr.ui.components.charts.parallel import parallel_coordinates
from cxr.ui.components.charts.studies import history_chart, importance_chart, rate_range_chart

SPACE = Space.from_toml(
    """
optimiser.rate = { low = 1e-4, high = 1e-1, scale = "log" }
head.dropout = { low = 0.0, high = 0.5 }
head.dense = { choices = [[], [8], [16]] }
training.batch = { low = 8, high = 16 }
"""
)


def trial(number: int, value: float, rate: float, dropout: float, dense: str, state=TrialState.COMPLETE) -> Trial:
    values: dict[str, str | float] = {
        "optimiser.rate": rate,
        "head.dropout": dropout,
        "head.dense": dense,
        "training.batch": 8,
    }
    return Trial(number, values, state, value, 0.5, (value,), 1)


TRIALS = [
    trial(1, 0.7, 1e-3, 0.0, "none"),
    trial(2, 0.9, 1e-2, 0.25, "16"),
    trial(3, 0.95, 1e-1, 0.5, "8", TrialState.PRUNED),
    trial(4, 0.8, 1e-4, 0.5, "8"),
]


def test_each_complete_trial_is_a_line_through_what_was_varied() -> None:
    figure = parallel_coordinates(SPACE, TRIALS, "val_auc").figure
    titles = list(figure.layout.xaxis.ticktext)
    assert titles == ["Validation AUC", "Hidden units", "Dropout", "Learning rate"]  # the batch size was not varied
    lines = [trace for trace in figure.data if trace.hoverinfo == "text"]
    heights = [height for trace in lines for height in trace.y if height is not None]
    assert len(heights) == 3 * len(titles)
    best = next(trace for trace in figure.data if trace.name == "Best")
    assert list(best.y) == pytest.approx([1.0, 1.0, 0.5, 2 / 3])


def test_the_lowest_loss_is_the_best_line() -> None:
    best = next(trace for trace in parallel_coordinates(SPACE, TRIALS, "val_loss").figure.data if trace.name == "Best")
    assert best.y[0] == 0.0
    assert parallel_coordinates(SPACE, [], "val_auc").table.empty


def test_importances_are_bars_with_the_largest_on_top() -> None:
    chart = importance_chart(SPACE, {"head.dense": 0.6, "head.dropout": 0.4}, "val_auc")
    assert list(chart.figure.data[0].y) == ["Hidden units", "Dropout"]
    assert chart.figure.layout.yaxis.autorange == "reversed"


def test_the_best_so_far_counts_complete_trials_alone() -> None:
    chart = history_chart(TRIALS, "val_auc")
    assert chart.table["best"].tolist() == [0.7, 0.9, 0.9, 0.9]
    assert history_chart(TRIALS, "val_loss").table["best"].tolist() == [0.7, 0.7, 0.7, 0.7]


def test_a_range_test_marks_the_suggested_rate() -> None:
    rates = tuple(map(float, rates_of_test()[:20]))
    found = RateRange(rates, tuple(abs(n - 12) / 12 for n in range(20)))
    chart = rate_range_chart(found)
    assert chart.figure.layout.shapes[0].x0 == found.suggested
    assert chart.table["loss"].tolist() == list(found.losses)
