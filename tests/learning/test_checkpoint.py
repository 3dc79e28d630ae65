"""A training that is stopped or killed resumes from its checkpoint as if it had not been interrupted."""

from typing import Any

import numpy as np
import pytest

from cxr.core.errors import CxrError, RunError
from cxr.learning.history import STOPPED
from tests.support.short_trainings import FROZEN, VIEWS, Notes, assert_same_weights, two_classes, weights

RESUMED: dict[str, Any] = {
    "dropout and schedule": {
        "head": {"dropout": 0.4},
        "optimiser": {"rate": 3e-3, "schedule": "cosine", "warmup_epochs": 1},
    },
    "fresh views": {"augmentation": VIEWS, "head": {"dropout": 0.2}, "trunk": {"train": "head"}},
    "averaged weights": {"training": {"epochs": 3, "average": 0.8}},
    "kept views": {"augmentation": VIEWS, "trunk": FROZEN, "training": {"epochs": 3, "views": 2}},
}


@pytest.mark.parametrize("kind", RESUMED)
def test_a_resumed_training_equals_an_uninterrupted_one(learn, kind):
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


def test_a_training_that_has_ended_is_not_repeated(learn):
    journal, recipe = Notes(), two_classes(training={"epochs": 2})
    first = learn(recipe, journal)
    steps = len(journal.steps)
    again = learn(recipe, journal)
    assert len(journal.steps) == steps
    assert again.history == first.history
    assert_same_weights(first, again, atol=0)


def test_a_stop_in_the_middle_of_an_epoch_gives_the_best_weights_so_far(learn):
    recipe = two_classes(training={"epochs": 9})
    journal = Notes(stop_at=7)  # two steps an epoch: in the middle of the fourth
    result = learn(recipe, journal)
    assert len(journal.steps) == 7
    assert len(result.history) == 7 // journal.steps[0][2]
    assert STOPPED.sentence in journal.notes[-1]
    kept = journal.saved[f"best-{result.best_epoch}"]
    assert all(np.array_equal(weights(result)[name], array) for name, array in kept.items())


@pytest.mark.parametrize("stop_at", [0, 1])
def test_a_stop_before_the_end_of_the_first_epoch_gives_no_model(learn, stop_at):
    with pytest.raises(RunError) as error:
        learn(two_classes(), Notes(stop_at=stop_at))
    assert error.value.code == "run.stopped"


def test_a_checkpoint_of_another_network_is_refused(learn):
    journal = Notes()
    learn(two_classes(training={"epochs": 1}), journal)
    with pytest.raises(CxrError, match="do not fit"):
        learn(two_classes(training={"epochs": 2}, head={"dense": [5]}), journal)


def test_missing_best_weights_are_a_run_error(learn):
    journal, recipe = Notes(), two_classes(training={"epochs": 1})
    learn(recipe, journal)
    del journal.saved["best-1"]
    with pytest.raises(RunError) as error:
        learn(recipe, journal)
    assert error.value.code == "run.no-weights"


def test_a_training_ends_at_its_training_accuracy(learn):
    journal = Notes()
    result = learn(two_classes(training={"epochs": 9, "stop_at_accuracy": 0.01}), journal)
    assert len(result.history) == 1
    assert "0.01" in journal.notes[-1]


def test_a_loss_that_is_not_finite_ends_the_training(learn):
    recipe = two_classes(
        training={"epochs": 4, "batch": 2}, optimiser={"name": "sgd", "rate": 10}, head={"l2": 1}, trunk=FROZEN
    )
    with pytest.raises(RunError) as error:
        learn(recipe)
    assert error.value.code == "run.diverged"
