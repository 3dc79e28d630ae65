import numpy as np
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.learning import history as training_history
from cxr.learning.history import StopReason, best_epoch, stop_reason, validation_auc
from cxr.registry.recipe_sections import TrainingSettings

NAN = float("nan")
FOUR = LabelSpace(("normal", "bacterial", "viral", "covid19"), {"pneumonia": ("bacterial", "viral", "covid19")})


def rows(metric, *values):
    return [{metric: value, "accuracy": 0.5} for value in values]


# The best epoch


def test_the_best_epoch_has_the_lowest_loss():
    assert best_epoch(rows("val_loss", 3, 1, 2), "val_loss") == 1


@pytest.mark.parametrize("metric", ["val_accuracy", "val_auc"])
def test_the_best_epoch_has_the_highest_of_other_metrics(metric):
    assert best_epoch(rows(metric, 0.3, 0.9, 0.5), metric) == 1


def test_of_equal_epochs_the_first_is_best():
    assert best_epoch(rows("val_loss", 2, 1, 1), "val_loss") == 1
    assert best_epoch(rows("val_auc", 0.5, 0.9, 0.9), "val_auc") == 1


def test_the_last_epoch_is_best_where_that_is_asked_for():
    assert best_epoch(rows("val_loss", 1, 2, 3), "last") == 2


def test_an_undefined_value_is_never_best_unless_all_are():
    assert best_epoch(rows("val_auc", NAN, 0.2, NAN), "val_auc") == 1
    assert best_epoch(rows("val_loss", NAN, 5.0, NAN), "val_loss") == 1
    assert best_epoch(rows("val_auc", NAN, NAN), "val_auc") == 0


# The end


def test_a_training_ends_after_its_epochs_and_not_before():
    settings = TrainingSettings(epochs=3)
    assert stop_reason([], settings) is None
    assert stop_reason(rows("val_loss", 1, 1), settings) is None
    assert stop_reason(rows("val_loss", 1, 1, 1), settings) == StopReason("all-epochs", "all epochs done")


def test_a_training_ends_at_the_training_accuracy_of_its_last_epoch():
    settings = TrainingSettings(epochs=10, stop_at_accuracy=0.9)
    assert stop_reason([{"accuracy": 0.95}, {"accuracy": 0.89}], settings) is None
    reason = stop_reason([{"accuracy": 0.5}, {"accuracy": 0.9}], settings)
    assert reason is not None
    assert reason.code == "target-accuracy"
    assert "0.9" in reason.sentence


def test_it_stops_early_after_so_many_epochs_without_improvement():
    settings = TrainingSettings(epochs=99, early_stopping="val_loss", patience=2)
    assert stop_reason(rows("val_loss", 1.0, 1.1), settings) is None
    assert stop_reason(rows("val_loss", 1.0, 1.1, 0.9, 1.1), settings) is None
    reason = stop_reason(rows("val_loss", 1.0, 1.1, 1.0), settings)
    assert reason is not None
    assert reason.code == "early-stopping"


def test_early_stopping_of_an_accuracy_looks_upwards():
    settings = TrainingSettings(epochs=99, early_stopping="val_accuracy", patience=2)
    assert stop_reason(rows("val_accuracy", 0.5, 0.6, 0.7), settings) is None
    assert stop_reason(rows("val_accuracy", 0.7, 0.6, 0.6), settings) is not None


def test_a_change_below_the_least_is_no_improvement():
    settings = TrainingSettings(epochs=99, early_stopping="val_accuracy", patience=3, min_delta=0.01)
    creeping = rows("val_accuracy", 0.5, 0.505, 0.509, 0.5095)
    assert stop_reason(creeping, settings) is not None
    assert stop_reason(creeping, settings.model_copy(update={"min_delta": 0.0})) is None
    assert stop_reason(rows("val_accuracy", 0.5, 0.505, 0.509, 0.52), settings) is None


def test_improvement_is_measured_from_the_best_and_not_from_the_last():
    settings = TrainingSettings(epochs=99, early_stopping="val_loss", patience=2)
    assert stop_reason(rows("val_loss", 1.0, 3.0, 2.0), settings) is not None


def test_undefined_values_are_no_improvement():
    settings = TrainingSettings(epochs=99, early_stopping="val_auc", patience=2)
    assert stop_reason(rows("val_auc", 0.5, NAN, NAN), settings) is not None
    assert stop_reason(rows("val_auc", NAN, NAN, 0.5), settings) is None


def test_without_early_stopping_no_staleness_ends_it():
    assert stop_reason(rows("val_loss", *range(1, 50)), TrainingSettings(epochs=99, patience=1)) is None


# Validation


def test_a_history_returns_from_its_array_as_it_was():
    history = [{"epoch": 1, "loss": 0.1 + 0.2, "val_auc": NAN}, {"epoch": 2, "loss": 1e-9, "val_auc": 0.5}]
    array = training_history.to_array(history)
    assert array.dtype == np.uint8
    assert repr(training_history.from_array(array)) == repr(history)
    assert training_history.from_array(training_history.to_array([])) == []


def test_loss_and_accuracy_count_a_film_of_several_classes_by_their_sum():
    p = np.array([[0.7, 0.1, 0.1, 0.1], [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.6, 0.1]], np.float32)
    targets = FOUR.targets(["normal", "pneumonia", "pneumonia"])
    row = training_history.validation_metrics(np.log(p), targets, FOUR)
    assert row["val_loss"] == pytest.approx(-np.log([0.7, 0.6, 0.9]).mean(), rel=1e-6)
    assert row["val_accuracy"] == pytest.approx(2 / 3)
    assert row["val_auc"] == 1.0


def test_an_impossible_film_costs_much_but_not_without_end():
    with np.errstate(divide="ignore"):
        log_p = np.log(np.array([[1, 0], [0, 1]], np.float32))
    row = training_history.validation_metrics(
        log_p, np.array([[0, 1], [1, 0]], np.float32), LabelSpace(("normal", "viral"))
    )
    assert np.isfinite(row["val_loss"])
    assert row["val_loss"] > 10
    assert (row["val_accuracy"], row["val_auc"]) == (0, 0)


def test_auc_is_of_everything_else_against_the_negative_class():
    p = np.array([[0.9, 0.1, 0, 0], [0.5, 0, 0.5, 0], [0.6, 0.4, 0, 0], [0.2, 0, 0, 0.8]])
    targets = FOUR.targets(["normal", "normal", "viral", "covid19"])
    assert validation_auc(p, targets, FOUR) == pytest.approx(3 / 4)


def test_auc_counts_a_group_that_excludes_the_negative_class_and_no_other():
    space = LabelSpace(("normal", "viral", "covid19"), {"ill": ("viral", "covid19"), "unclear": ("normal", "viral")})
    p = np.array([[0.9, 0.1, 0], [0.3, 0.3, 0.4], [0.95, 0.05, 0.0]])
    assert validation_auc(p, space.targets(["normal", "ill", "unclear"]), space) == 1.0
    assert validation_auc(p, space.targets(["normal", "unclear", "ill"]), space) == 0.0


def test_without_a_negative_class_auc_is_the_mean_of_each_class_against_the_rest():
    space = LabelSpace(("bacterial", "viral", "covid19"))
    p = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    targets = space.targets(["bacterial", "viral", "viral", "covid19"])
    assert validation_auc(p, targets, space) == pytest.approx(1.0)
    swapped = p[[1, 0, 2, 3]]
    assert validation_auc(swapped, targets, space) == pytest.approx(np.mean([0.0, 0.25, 1.0]))


def test_auc_of_films_of_one_kind_is_undefined():
    targets = FOUR.targets(["viral", "covid19"])
    assert np.isnan(validation_auc(np.full((2, 4), 0.25), targets, FOUR))


def test_auc_of_films_that_are_of_several_classes_alone_is_undefined_without_a_warning():
    space = LabelSpace(("a", "b", "c", "d"), {"ab": ("a", "b"), "cd": ("c", "d")})
    assert np.isnan(validation_auc(np.full((2, 4), 0.25), space.targets(["ab", "cd"]), space))
