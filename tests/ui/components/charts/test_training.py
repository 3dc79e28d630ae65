"""Charts of training histories hold their numbers, in a sentence too."""

import math

import pytest

from cxr.ui.components.charts.training import accuracy_curves, compare_runs, loss_curves, rate_curve


def rows(count: int, start: float = 1.0) -> list[dict[str, float]]:
    return [
        {"epoch": e, "loss": start / e, "accuracy": 0.5, "rate": 1e-3, "val_loss": 1.2 / e, "val_accuracy": 0.6,
         "val_auc": 0.7}
        for e in range(1, count + 1)
    ]  # fmt: skip


def lines(chart):
    return {trace.name: list(trace.y) for trace in chart.figure.data}


def test_the_loss_chart_has_training_and_validation():
    chart = loss_curves(rows(3))
    assert lines(chart) == {"Training loss": [1.0, 0.5, 1 / 3], "Validation loss": [1.2, 0.6, pytest.approx(0.4)]}
    assert chart.alt == "Loss by epoch after 3 epochs: training loss 0.3333, validation loss 0.4."
    assert list(chart.table["val_loss"]) == pytest.approx([1.2, 0.6, 0.4])


@pytest.mark.parametrize("chart", [loss_curves([]), accuracy_curves([]), rate_curve([])])
def test_a_run_without_a_finished_epoch_has_empty_charts(chart):
    assert chart.table.empty
    assert not any(len(trace.x) for trace in chart.figure.data)


def steps(count, epochs=1):
    return [
        {"epoch": e, "step": s, "steps": 10, "loss": 0.5, "accuracy": 0.5}
        for e in range(1, epochs + 1)
        for s in range(1, count + 1)
    ]


def test_long_epochs_have_their_steps_drawn():
    chart = loss_curves([], steps(5))
    assert list(chart.figure.data[0].x) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert len(loss_curves(rows(9), steps(1, epochs=9)).figure.data) == 2


def test_runs_differ_in_dash_as_well_as_in_color():
    chart = compare_runs({"a": rows(2), "b": rows(3, 2.0), "c": []}, "loss")
    assert lines(chart) == {"a": [1.0, 0.5], "b": [2.0, 1.0, pytest.approx(2 / 3)], "c": []}
    assert len({trace.line.dash for trace in chart.figure.data}) == 3
    assert "a 0.5 after 2 epochs; b 0.6667 after 3 epochs" in chart.alt
    assert math.isnan(chart.table["a"].iloc[2])


def test_a_metric_missing_from_an_older_run_is_blank():
    assert all(math.isnan(y) for y in lines(compare_runs({"old": rows(2)}, "films_s"))["old"])


def test_the_best_epoch_is_marked():
    chart = loss_curves(rows(3), best_epoch=2)
    assert {shape.x0 for shape in chart.figure.layout.shapes} == {2}
    assert chart.alt.endswith(" The best epoch is 2.")


def test_a_history_without_validation_is_drawn():
    assert list(lines(loss_curves([{"epoch": 1.0, "loss": 0.9}]))) == ["Training loss"]


def test_a_history_may_hold_missing_numbers():
    chart = accuracy_curves([{"epoch": 1.0, "accuracy": 0.9, "val_auc": None}], best_epoch=1)
    assert math.isnan(lines(chart)["Validation AUC"][0])
    assert "validation AUC unknown" in chart.alt


def test_the_data_of_the_learning_rate_are_the_whole_history():
    history = [row | {"seconds": 3.0} for row in rows(2)]
    assert rate_curve(history).table.to_dict("records") == history


@pytest.mark.parametrize(
    "drawn", [rate_curve, loss_curves, accuracy_curves, lambda history: compare_runs({"a": history}, "loss")]
)
def test_each_of_a_few_epochs_has_one_mark(drawn):
    few, many = (drawn(rows(epochs)).figure.layout.xaxis for epochs in (2, 40))
    assert few.dtick == 1
    assert many.dtick is None
