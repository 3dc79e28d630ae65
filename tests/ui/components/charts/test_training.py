"""Charts of runs show what the histories say, in words and numbers too."""

import math

import pytest

from cxr.ui.components.charts.training import accuracy_curves, compare_runs, loss_curves, rate_curve


def rows(count, start=1.0):
    return [
        {"epoch": e, "loss": start / e, "accuracy": 0.5, "rate": 1e-3, "val_loss": 1.2 / e, "val_accuracy": 0.6,
         "val_auc": 0.7}
        for e in range(1, count + 1)
    ]  # fmt: skip


def lines(chart):
    return {trace.name: list(trace.y) for trace in chart.figure.data}


def test_loss_is_drawn_of_training_and_validation():
    chart = loss_curves(rows(3))
    assert lines(chart) == {"Training loss": [1.0, 0.5, 1 / 3], "Validation loss": [1.2, 0.6, pytest.approx(0.4)]}
    assert chart.alt == "Loss by epoch, 3 so far; at the last, training loss 0.3333, validation loss 0.4."
    assert list(chart.table["val_loss"]) == pytest.approx([1.2, 0.6, 0.4])


@pytest.mark.parametrize("chart", [loss_curves([]), accuracy_curves([]), rate_curve([])])
def test_a_run_that_ended_no_epoch_has_empty_charts_that_say_so(chart):
    assert "no epoch has ended yet" in chart.alt and chart.table.empty


def steps(count, epochs=1):
    return [
        {"epoch": e, "step": s, "steps": 10, "loss": 0.5, "accuracy": 0.5}
        for e in range(1, epochs + 1)
        for s in range(1, count + 1)
    ]


def test_steps_are_drawn_where_epochs_are_long():
    chart = loss_curves([], steps(5))
    assert list(chart.figure.data[0].x) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert len(loss_curves(rows(9), steps(1, epochs=9)).figure.data) == 2


def test_runs_are_told_apart_without_colour_too():
    chart = compare_runs({"a": rows(2), "b": rows(3, 2.0), "c": []}, "loss")
    assert lines(chart) == {"a": [1.0, 0.5], "b": [2.0, 1.0, pytest.approx(2 / 3)], "c": []}
    assert len({trace.line.dash for trace in chart.figure.data}) == 3
    assert "a 0.5 after 2 epochs; b 0.6667 after 3 epochs" in chart.alt
    assert math.isnan(chart.table["a"].iloc[2])


def test_what_an_older_run_did_not_say_is_left_blank():
    assert all(math.isnan(y) for y in lines(compare_runs({"old": rows(2)}, "films_s"))["old"])


def test_the_best_epoch_is_marked_and_said():
    chart = loss_curves(rows(3), best_epoch=2)
    assert {shape.x0 for shape in chart.figure.layout.shapes} == {2}
    assert chart.alt.endswith(" The best epoch is 2.")


def test_a_history_of_less_is_drawn_with_what_there_is():
    assert list(lines(loss_curves([{"epoch": 1.0, "loss": 0.9}]))) == ["Training loss"]


def test_a_history_may_hold_what_is_not_a_number():
    chart = accuracy_curves([{"epoch": 1.0, "accuracy": 0.9, "val_auc": None}], best_epoch=1)
    assert math.isnan(lines(chart)["Validation AUC"][0])
    assert "validation AUC unknown" in chart.alt


def test_the_numbers_of_the_rate_are_the_whole_history():
    history = [row | {"seconds": 3.0} for row in rows(2)]
    assert rate_curve(history).table.to_dict("records") == history
