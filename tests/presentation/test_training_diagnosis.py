"""The diagnosis of a training that has ended."""

from __future__ import annotations

from typing import Any

import pytest

from cxr.presentation.training_diagnosis import diagnosis
from cxr.registry.recipe import Recipe
from tests.support.predictions import TWO, card_of, results_of
from tests.support.training import tiny_recipe

USUAL = tiny_recipe(training={"epochs": 3}, optimiser={"rate": 1e-3})


def card_with(low: float) -> Any:
    (results,) = results_of(
        TWO, 20, 0.5, {"n": 20, "accuracy": 0.5, "auc": 0.6, "sensitivity": 0.5, "specificity": 0.5}
    ).values()
    results["intervals"] = {"binary.auc": {"value": 0.6, "low": low, "high": 0.8}}
    return card_of(TWO, results={"val": results})


def course(*losses: float) -> list[dict[str, float]]:
    return [{"epoch": epoch, "val_loss": loss} for epoch, loss in enumerate(losses, 1)]


def test_a_training_without_anything_odd_has_no_diagnosis() -> None:
    assert diagnosis(card_with(0.55), USUAL, USUAL, course(0.7, 0.5, 0.52)) == ""
    assert diagnosis(None, USUAL, None, []) == ""


def test_a_model_whose_interval_includes_one_half_is_at_chance() -> None:
    assert "0.600 (0.450–0.800)" in diagnosis(card_with(0.45), USUAL, USUAL, [])


@pytest.mark.parametrize(("rate", "number"), [(1e-4, "10 times below"), (0.1, "100 times"), (5e-3, "")])
def test_a_rate_far_from_the_recipes_is_named(rate: float, number: str) -> None:
    sentence = diagnosis(card_with(0.55), tiny_recipe(training={"epochs": 3}, optimiser={"rate": rate}), USUAL, [])
    assert number in sentence
    assert bool(sentence) == bool(number)


def test_the_course_tells_overfitting_from_a_training_that_was_cut_short() -> None:
    overfitted = diagnosis(None, USUAL, USUAL, course(0.5, 0.7, 0.9))
    cut_short = diagnosis(None, USUAL, USUAL, course(0.9, 0.7, 0.5))
    assert "epoch 1" in overfitted
    assert cut_short
    assert cut_short != overfitted
    stopped: Recipe = tiny_recipe(training={"epochs": 9}, optimiser={"rate": 1e-3})
    assert diagnosis(None, stopped, USUAL, course(0.9, 0.7, 0.5)) == ""
