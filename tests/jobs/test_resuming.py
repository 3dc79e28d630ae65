"""A training that is stopped or killed keeps what it has, and goes on as if it had not been."""

import numpy as np
import pytest

from cxr.core.errors import CxrError, RunError
from tests.support.short_trainings import FROZEN, VIEWS, Notes, assert_same_weights, two_classes, weights

RESUMED = {
    "dropout and schedule": {
        "head": {"dropout": 0.4},
        "optimiser": {"rate": 3e-3, "schedule": "cosine", "warmup_epochs": 1},
    },
    "fresh views": {"augmentation": VIEWS, "head": {"dropout": 0.2}, "trunk": {"train": "head"}},
    "averaged weights": {"training": {"epochs": 3, "average": 0.8}},
    "kept views": {"augmentation": VIEWS, "trunk": FROZEN, "training": {"epochs": 3, "views": 2}},
}


@pytest.mark.parametrize("kind", RESUMED)
def test_a_run_that_was_interrupted_and_resumed_is_as_one_that_was_not(learn, kind):
    recipe = two_classes(**RESUMED[kind])
    unbroken = Notes()
    whole = learn(recipe, unbroken)
    steps = unbroken.steps[0][2]
    journal = Notes(stop_at=steps + 1)  # in the middle of the second epoch
    learn(recipe, journal)
    assert [row["epoch"] for row in journal.rows[-1]] == [1]
    journal.stop_at = None
    resumed = learn(recipe, journal)
    assert "Resumed after epoch 1." in journal.notes
    assert [row["epoch"] for row in resumed.history] == [1, 2, 3]
    assert_same_weights(whole, resumed)
    for a, b in zip(whole.history, resumed.history, strict=True):
        for name in ("loss", "val_loss", "rate"):
            assert a[name] == pytest.approx(b[name], abs=1e-5)


def test_a_run_that_has_ended_is_not_trained_again(learn):
    journal, recipe = Notes(), two_classes(training={"epochs": 2})
    first = learn(recipe, journal)
    steps = len(journal.steps)
    again = learn(recipe, journal)
    assert len(journal.steps) == steps
    assert again.history == first.history
    assert_same_weights(first, again, atol=0)


def test_a_stop_in_the_middle_of_an_epoch_keeps_the_best_so_far(learn):
    recipe = two_classes(training={"epochs": 9})
    journal = Notes(stop_at=7)  # two steps an epoch: in the middle of the fourth
    result = learn(recipe, journal)
    assert len(journal.steps) == 7
    assert len(result.history) == 7 // journal.steps[0][2]
    assert journal.notes[-1] == f"Ended after epoch {len(result.history)}: stopped."
    kept = journal.saved[f"best-{result.best_epoch}"]
    assert all(np.array_equal(weights(result)[name], array) for name, array in kept.items())


@pytest.mark.parametrize("stop_at", [0, 1])
def test_a_stop_before_the_first_epoch_ends_keeps_nothing(learn, stop_at):
    with pytest.raises(RunError, match="stopped before its first epoch ended"):
        learn(two_classes(), Notes(stop_at=stop_at))


def test_a_checkpoint_of_another_network_is_refused(learn):
    journal = Notes()
    learn(two_classes(training={"epochs": 1}), journal)
    with pytest.raises(CxrError, match="do not fit"):
        learn(two_classes(training={"epochs": 2}, head={"dense": [5]}), journal)


def test_best_weights_that_went_missing_are_told(learn):
    journal, recipe = Notes(), two_classes(training={"epochs": 1})
    learn(recipe, journal)
    del journal.saved["best-1"]
    with pytest.raises(RunError, match="best epoch's weights are missing"):
        learn(recipe, journal)


def test_a_training_ends_at_its_training_accuracy(learn):
    journal = Notes()
    result = learn(two_classes(training={"epochs": 9, "stop_at_accuracy": 0.01}), journal)
    assert len(result.history) == 1
    assert journal.notes[-1] == "Ended after epoch 1: training accuracy reached 0.01."


def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence(learn):
    recipe = two_classes(
        training={"epochs": 4, "batch": 2}, optimiser={"name": "sgd", "rate": 10}, head={"l2": 1}, trunk=FROZEN
    )
    with pytest.raises(RunError, match=r"The loss became (nan|inf) in epoch \d. Lower the learning rate"):
        learn(recipe)
