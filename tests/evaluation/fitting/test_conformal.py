"""Conformal prediction sets: against MAPIE, and their coverage by simulation."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.fitting.conformal import SetQuestion, lowest_probabilities, sets
from cxr.evaluation.fitting.figures import prediction_sets
from cxr.evaluation.fitting.fit import cross_fit, fit
from cxr.registry.local_fit import FINDING
from tests.evaluation.fitting.test_fit import LAYER, SPECIFIC, hospital
from tests.support.datasets import raises_code

REFERENCE = json.loads((Path(__file__).parents[2] / "data" / "conformal-mapie.json").read_text())


@pytest.mark.parametrize("coverage", ["0.8", "0.9"])
def test_limits_and_sets_are_those_of_mapie(coverage):
    known, label = np.array(REFERENCE["probabilities"]), np.array(REFERENCE["label"])
    limits = lowest_probabilities(known, label, np.arange(len(label)), float(coverage))
    np.testing.assert_allclose(1 - limits, REFERENCE["quantiles"][coverage], atol=1e-9)
    found = sets(np.array(REFERENCE["new"]), limits)
    np.testing.assert_array_equal(found, np.array(REFERENCE["sets"][coverage], bool))


def simulated(rng, patients, films_each):
    """Probabilities of two answers for X-rays of patients who differ, the answers, and the patients."""
    counts = 1 + rng.integers(films_each, size=patients)
    patient = np.repeat(np.arange(patients), counts)
    answer = (np.arange(patients) % 2)[patient]
    score = np.where(answer == 1, 0.6, -0.6) + rng.normal(0, 1, patients)[patient] + rng.normal(0, 0.5, len(patient))
    p = 1 / (1 + np.exp(-1.5 * score))
    return np.stack([1 - p, p], axis=1), answer, patient


@pytest.mark.parametrize("films_each", [1, 8])
def test_each_answer_is_covered_as_often_as_asked_over_new_patients(films_each):
    rng, covered = np.random.default_rng(0), []
    elsewhere, answer, patient = simulated(rng, 4000, films_each)
    per_film = 1 / np.bincount(patient)[patient]  # patients count, not X-rays
    for _ in range(300):
        known = simulated(rng, 60, films_each)
        limits = lowest_probabilities(known[0], known[1], known[2], 0.9)
        found = sets(elsewhere, limits)[np.arange(len(answer)), answer]
        covered.append([np.average(found[answer == k], weights=per_film[answer == k]) for k in (0, 1)])
    mean, error = np.mean(covered, axis=0), np.std(covered, axis=0) / np.sqrt(len(covered))
    assert (mean > 0.9 - 3 * error).all()
    assert (mean < 0.95).all()  # with 30 patients of each answer, at most 1/31 too much, and what steps cost


def test_with_too_few_patients_every_answer_is_in_every_set():
    probabilities, answer, patient = simulated(np.random.default_rng(1), 16, 1)  # 8 of each: 9 would do for 0.9
    assert (lowest_probabilities(probabilities, answer, patient, 0.9) == 0).all()
    assert (lowest_probabilities(probabilities, answer, patient, 0.8) > 0).all()
    assert sets(np.array([[0.0, 1.0]]), np.zeros(2)).all()


def test_sets_are_of_classes_only_where_each_label_is_a_class_of_enough_patients():
    assert SetQuestion.of(hospital(30, 60)).answers == ("normal", "bacterial", "viral")
    few = SetQuestion.of(hospital(30, 30))
    assert few.answers == ("normal", FINDING)
    films = hospital(30, 60)
    coarse = films.targets.copy()
    coarse[-1] = [False, True, True]
    mixed = SetQuestion.of(replace(films, targets=coarse))
    assert mixed.answers == ("normal", FINDING)
    np.testing.assert_array_equal(mixed.answer, films.has_finding)
    np.testing.assert_allclose(mixed.probabilities(np.array([[0.2, 0.5, 0.3]])), [[0.2, 0.8]])
    with raises_code("dataset.no-negative-class"):
        SetQuestion.of(replace(films, labels=LabelSpace(("bacterial", "viral", "covid19"))))


def test_the_coverage_that_a_fit_shows_is_that_on_new_patients():
    elsewhere, shown, true = hospital(2000, 2000, seed=99), [], []
    for draw in range(20):
        films = hospital(29, 29, seed=draw)  # too few for the last layer, so that this takes no time
        crossed, fitted = cross_fit(films, LAYER, SPECIFIC, 0.8), fit(films, LAYER, SPECIFIC)
        record = prediction_sets(films, crossed, fitted, 0.8)
        shown.append([figure.value or 0.0 for figure in record.covered.values()])
        question, limits = SetQuestion.of(films), np.array(list(record.lowest.values()))
        found = sets(question.probabilities(fitted.probabilities(elsewhere.features)), limits)
        true.append([found[elsewhere.has_finding == side, int(side)].mean() for side in (False, True)])
        shares = [figure.value or 0.0 for figure in (record.single, record.several, record.none)]
        assert sum(shares) == pytest.approx(1)
    np.testing.assert_allclose(np.mean(shown, axis=0), np.mean(true, axis=0), atol=0.04)
    np.testing.assert_allclose(np.mean(true, axis=0), 0.8, atol=0.04)
