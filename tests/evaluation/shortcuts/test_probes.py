"""Probes: what they predict for patients that they were not trained on, and with which intervals."""

import numpy as np
import pytest
from numpy.typing import ArrayLike

from cxr.evaluation.intervals import wilson_interval
from cxr.evaluation.metrics import ranking_metrics
from cxr.evaluation.shortcuts.probes import (
    MACRO,
    ProbeTarget,
    auc_intervals,
    auc_resamples,
    cross_validated_probabilities,
    probe_probabilities,
    retained_share,
)


def target_of(
    classes: ArrayLike, patients: ArrayLike | None = None, names: tuple[str, ...] = ("a", "b", "c")
) -> ProbeTarget:
    index = np.array(classes)
    return ProbeTarget(
        names[: index.max() + 1], index, np.arange(len(index)) if patients is None else np.array(patients)
    )


def test_a_target_has_the_classes_that_occur_in_order() -> None:
    target = ProbeTarget.from_values(["b", "a", "b"], np.array([0, 0, 1]), ("c", "a", "b"))
    assert target.classes == ("a", "b")
    assert target.class_index.tolist() == [1, 0, 1]
    assert target.patients.tolist() == [1, 2]


def test_a_subset_of_a_target_numbers_its_patients_anew() -> None:
    part = target_of([0, 1, 0, 1], [0, 5, 7, 7]).subset(np.array([False, True, True, True]))
    assert part.patient.tolist() == [0, 1, 1]
    assert part.class_index.tolist() == [1, 0, 1]


def test_a_probe_predicts_from_separating_features_and_not_from_noise() -> None:
    rng = np.random.default_rng(0)
    target = target_of(rng.integers(0, 2, 200))
    noise = rng.normal(size=(200, 6))
    told = auc_intervals(cross_validated_probabilities(noise + 3 * target.class_index[:, None], target), target, 200)[
        MACRO
    ]
    chance = auc_intervals(cross_validated_probabilities(noise, target), target, 200)[MACRO]
    assert told.low > 0.95
    assert chance.low < 0.5 < chance.high + 0.05


def test_a_probe_is_not_trained_on_the_patient_that_it_is_tested_on() -> None:
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(40), 5)  # five films each, known by a mark of their own; labels by lot
    target = target_of(rng.integers(0, 2, 40)[person], person)
    marks = np.eye(40)[person] * 10
    assert auc_intervals(cross_validated_probabilities(marks, target), target, 200)[MACRO].value < 0.65
    alone = target_of(target.class_index)  # as if films were patients, the marks give them away
    assert auc_intervals(cross_validated_probabilities(marks, alone), alone, 200)[MACRO].value > 0.95


def test_every_class_weighs_the_same_however_few_films_it_has() -> None:
    kinds = np.array([0] * 95 + [1] * 5)
    flat = probe_probabilities(np.random.default_rng(0).normal(size=(100, 1)) * 1e-3, kinds, np.zeros((1, 1)), 2)
    assert flat[0, 1] == pytest.approx(0.5, abs=0.2)


def test_a_probe_trained_on_one_class_predicts_that_class() -> None:
    assert probe_probabilities(np.zeros((3, 2)), np.array([1, 1, 1]), np.zeros((2, 2)), 3).tolist() == [[0, 1, 0]] * 2


def test_aucs_are_those_of_each_class_against_the_rest_and_their_mean() -> None:
    rng = np.random.default_rng(0)
    target = target_of(rng.integers(0, 3, 60))
    scores = rng.random((60, 3))
    found = auc_intervals(scores, target, 50)
    each = [ranking_metrics(scores[:, k], target.class_index == k, np.ones((60, 1)))[0][0] for k in range(3)]
    assert [found[name].value for name in "abc"] == pytest.approx(each)
    assert found[MACRO].value == pytest.approx(np.mean(each))


def test_of_two_classes_there_is_one_question() -> None:
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]])
    found = auc_intervals(scores, target_of([0, 0, 1, 1]), 50)
    assert list(found) == [MACRO]
    assert found[MACRO].value == 0.75


def test_no_bound_is_tighter_than_the_patients_of_the_smaller_side_allow() -> None:
    target = target_of([0] * 30 + [1] * 10)
    perfect = np.eye(2)[target.class_index]
    found = auc_intervals(perfect, target, 100)[MACRO]
    assert (found.value, found.low, found.high) == (1, wilson_interval(30, 30).low, 1)  # three times its patients


def test_resamples_are_of_patients() -> None:
    target = target_of([0, 0, 1, 1], [0, 0, 1, 1])
    drawn = auc_resamples(np.eye(2)[target.class_index], target, 200)[MACRO]
    assert np.isnan(drawn).mean() == pytest.approx(0.5, abs=0.1)  # two patients: half of the draws have one class


def test_the_retained_share_is_counted_from_chance() -> None:
    target = target_of([0] * 4 + [1] * 4)
    whole = np.stack([np.zeros(8), [0, 0, 0, 0, 1, 1, 1, 1]], axis=1)
    part = np.stack([np.zeros(8), [0, 0, 1, 1, 1, 1, 1, 1]], axis=1)  # 8 pairs right and 8 equal of 16: 0.75 of score b
    part[:, 0], whole[:, 0] = -part[:, 1], -whole[:, 1]
    assert retained_share(part, whole, target, 50).value == pytest.approx(0.5)
    assert np.isnan(retained_share(whole, 1 - whole, target, 50).value)  # of nothing above chance, nothing can be kept
