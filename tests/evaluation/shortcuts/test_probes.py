"""Light heads: what they can tell of patients that they have not seen, and how sure that is."""

import numpy as np
import pytest

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


def truth_of(kinds, patients=None, names=("a", "b", "c")):
    kinds = np.array(kinds)
    return ProbeTarget(
        names[: kinds.max() + 1], kinds, np.arange(len(kinds)) if patients is None else np.array(patients)
    )


def test_a_truth_has_the_names_that_there_are_in_their_order():
    truth = ProbeTarget.from_values(["b", "a", "b"], np.array([0, 0, 1]), ("c", "a", "b"))
    assert truth.classes == ("a", "b")
    assert truth.class_index.tolist() == [1, 0, 1]
    assert truth.patients.tolist() == [1, 2]


def test_a_part_of_a_truth_numbers_its_patients_anew():
    part = truth_of([0, 1, 0, 1], [0, 5, 7, 7]).subset(np.array([False, True, True, True]))
    assert part.patient.tolist() == [0, 1, 1]
    assert part.class_index.tolist() == [1, 0, 1]


def test_what_separates_the_classes_is_told_and_noise_is_not():
    rng = np.random.default_rng(0)
    truth = truth_of(rng.integers(0, 2, 200))
    noise = rng.normal(size=(200, 6))
    told = auc_intervals(cross_validated_probabilities(noise + 3 * truth.class_index[:, None], truth), truth, 200)[
        MACRO
    ]
    chance = auc_intervals(cross_validated_probabilities(noise, truth), truth, 200)[MACRO]
    assert told.low > 0.95
    assert chance.low < 0.5 < chance.high + 0.05


def test_a_head_never_saw_the_patient_that_it_is_asked_about():
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(40), 5)  # five films each, known by a mark of their own; labels by lot
    truth = truth_of(rng.integers(0, 2, 40)[person], person)
    marks = np.eye(40)[person] * 10
    assert auc_intervals(cross_validated_probabilities(marks, truth), truth, 200)[MACRO].value < 0.65
    alone = truth_of(truth.class_index)  # as if films were patients, the marks give them away
    assert auc_intervals(cross_validated_probabilities(marks, alone), alone, 200)[MACRO].value > 0.95


def test_every_class_weighs_the_same_however_few_films_it_has():
    kinds = np.array([0] * 95 + [1] * 5)
    flat = probe_probabilities(np.random.default_rng(0).normal(size=(100, 1)) * 1e-3, kinds, np.zeros((1, 1)), 2)
    assert flat[0, 1] == pytest.approx(0.5, abs=0.2)


def test_a_head_that_knows_one_class_says_that_one():
    assert probe_probabilities(np.zeros((3, 2)), np.array([1, 1, 1]), np.zeros((2, 2)), 3).tolist() == [[0, 1, 0]] * 2


def test_areas_are_those_of_each_class_against_the_rest_and_their_mean():
    rng = np.random.default_rng(0)
    truth = truth_of(rng.integers(0, 3, 60))
    scores = rng.random((60, 3))
    found = auc_intervals(scores, truth, 50)
    each = [ranking_metrics(scores[:, k], truth.class_index == k, np.ones((60, 1)))[0][0] for k in range(3)]
    assert [found[name].value for name in "abc"] == pytest.approx(each)
    assert found[MACRO].value == pytest.approx(np.mean(each))


def test_of_two_classes_there_is_one_question():
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]])
    found = auc_intervals(scores, truth_of([0, 0, 1, 1]), 50)
    assert list(found) == [MACRO]
    assert found[MACRO].value == 0.75


def test_no_bound_is_surer_than_the_patients_of_the_smaller_side_allow():
    truth = truth_of([0] * 30 + [1] * 10)
    perfect = np.eye(2)[truth.class_index]
    found = auc_intervals(perfect, truth, 100)[MACRO]
    assert (found.value, found.low, found.high) == (1, wilson_interval(10, 10).low, 1)


def test_resamples_are_of_patients():
    truth = truth_of([0, 0, 1, 1], [0, 0, 1, 1])
    drawn = auc_resamples(np.eye(2)[truth.class_index], truth, 200)[MACRO]
    assert np.isnan(drawn).mean() == pytest.approx(0.5, abs=0.1)  # two patients: half of the draws have one class


def test_the_kept_share_is_counted_from_chance():
    truth = truth_of([0] * 4 + [1] * 4)
    whole = np.stack([np.zeros(8), [0, 0, 0, 0, 1, 1, 1, 1]], axis=1)
    part = np.stack([np.zeros(8), [0, 0, 1, 1, 1, 1, 1, 1]], axis=1)  # 8 pairs right and 8 equal of 16: 0.75 of score b
    part[:, 0], whole[:, 0] = -part[:, 1], -whole[:, 1]
    assert retained_share(part, whole, truth, 50).value == pytest.approx(0.5)
    assert np.isnan(retained_share(whole, 1 - whole, truth, 50).value)  # of nothing above chance, nothing can be kept
