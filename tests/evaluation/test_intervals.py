"""Intervals against published worked examples, and against slow implementations written here."""

import numpy as np
import pytest
from scipy.stats import t as student

from cxr.evaluation.intervals import (
    CERTAINTY,
    Interval,
    Support,
    bootstrap_weights,
    effective_patients,
    logit_interval,
    percentile_interval,
    proportion_interval,
    ratio_interval,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17:857, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(part, whole, low, high):
    found = wilson_interval(part, whole)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    other = wilson_interval(whole - part, whole)
    assert (1 - other.high, 1 - other.low) == (pytest.approx(found.low), pytest.approx(found.high))
    assert found.low <= found.value <= found.high


def test_a_proportion_of_nothing_is_not_a_number():
    assert np.isnan([wilson_interval(0, 0).value, wilson_interval(0, 0).low]).all()


def test_a_film_is_drawn_as_often_as_its_patient_and_as_many_patients_as_there_are():
    patient = np.array([0, 0, 1, 2, 2, 2])
    weights = np.concatenate(list(bootstrap_weights(patient, 100, seed=3)), axis=1)
    assert weights.shape == (6, 100)
    assert (weights[0] == weights[1]).all()
    assert (weights[3] == weights[5]).all()
    assert (weights[[0, 2, 3]].sum(axis=0) == 3).all()
    assert weights[0].var() == pytest.approx(2 / 3, abs=0.2)  # of a multinomial


def test_too_many_resamples_without_a_figure_leave_no_bounds():
    assert percentile_interval(0.5, np.array([0.4, 0.6] * 50)) == Interval(0.5, 0.4, 0.6)
    assert np.isnan(percentile_interval(0.5, np.array([0.4, 0.6, np.nan, np.nan])).low)


def test_a_proportion_of_independent_films_has_wilsons_interval():
    hits = np.arange(40) % 5 > 0
    assert proportion_interval(hits, np.arange(40)) == wilson_interval(32, 40)
    assert proportion_interval(np.ones(20, bool), np.arange(20)) == wilson_interval(20, 20)
    assert np.isnan(proportion_interval(np.zeros(0, bool), np.zeros(0, int)).low)


def test_copies_of_films_do_not_narrow_the_interval_of_a_proportion():
    hits, patient = np.arange(40) % 5 > 0, np.arange(40)
    found = proportion_interval(np.repeat(hits, 7), np.repeat(patient, 7))
    once = wilson_interval(32, 40)
    assert (found.low, found.high) == (pytest.approx(once.low), pytest.approx(once.high))
    assert proportion_interval(np.ones(60, bool), np.repeat(np.arange(20), 3)) == wilson_interval(20, 20)


def test_unequal_patients_count_by_kish():
    assert effective_patients(np.array([4, 4, 4, 9, 9, 9])) == 2
    assert effective_patients(np.array([0, 0, 0, 0, 0, 0, 1, 2])) == 64 / 38
    assert effective_patients(np.zeros(0, int)) == 0


def slow_effective_films(hits, patient):
    """As many independent films as would vary as much: the variance of a ratio of sums over patients, in a loop."""
    share, people = hits.mean(), sorted(set(patient))
    squares = sum((hits[patient == one] - share).sum() ** 2 for one in people)
    variance = len(people) / (len(people) - 1) * squares / len(hits) ** 2
    least = len(hits) ** 2 / sum((patient == one).sum() ** 2 for one in people)
    return min(max(share * (1 - share) / variance, least), len(hits))


@pytest.mark.parametrize("seed", range(5))
def test_films_of_a_patient_that_are_alike_widen_the_interval_as_much_as_they_vary(seed):
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, 30, 90)
    hits = rng.normal(size=30)[patient] + rng.normal(size=90) < 0.8
    found, films = proportion_interval(hits, patient), slow_effective_films(hits, patient)
    expected = wilson_interval(hits.mean() * films, films)
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_the_interval_of_a_proportion_holds_the_truth_with_several_films_a_patient():
    rng, held = np.random.default_rng(0), []
    for _ in range(400):
        patient = np.repeat(np.arange(60), 4)
        hits = 0.8 * rng.normal(size=60)[patient] + 0.6 * rng.normal(size=240) < 1.645  # 95 of 100
        bounds = (proportion_interval(hits, patient), wilson_interval(int(hits.sum()), 240))
        held.append([one.low <= 0.95 <= one.high for one in bounds])
    by_patient, by_film = np.mean(held, axis=0)
    assert by_patient > 0.91  # 95% and three standard errors
    assert by_film < 0.88  # as if every film were of another patient


def test_an_interval_on_the_logit_scale_is_symmetric_there_and_reaches_as_far_as_students_t():
    samples = np.random.default_rng(0).normal(0.8, 0.05, 4000)
    found = logit_interval(0.8, samples, Support(30))
    odds = [np.log(x / (1 - x)) for x in (found.low, 0.8, found.high)]
    assert odds[1] - odds[0] == pytest.approx(odds[2] - odds[1])
    assert odds[1] - odds[0] == pytest.approx(student.ppf(0.975, 29) * samples.std() / 0.16)
    wider = logit_interval(0.8, samples, Support(30, spread=1.3))
    corrected = logit_interval(0.8, samples, Support(30), level=0.99)
    assert wider.low < found.low < found.high < wider.high
    assert corrected.low < found.low < found.high < corrected.high


def test_no_bound_of_an_auc_is_tighter_than_its_patients_allow():
    for value in (1.0, 0.999):
        found = logit_interval(value, np.full(100, value), Support(10))
        limit = wilson_interval(value * CERTAINTY * 10, CERTAINTY * 10)
        assert (found.low, found.high) == (limit.low, limit.high)
    assert logit_interval(0.0, np.zeros(100), Support(10)).high == pytest.approx(1 - wilson_interval(30, 30).low)
    assert np.isnan(logit_interval(1.0, np.ones(100), Support(1)).low)
    assert np.isnan(logit_interval(0.5, np.array([0.4, np.nan]), Support(10)).low)


def test_a_ratio_of_proportions_solves_the_equation_of_donner_and_zou():
    above, below = wilson_interval(45, 50), wilson_interval(4, 60)
    found = ratio_interval(above, below)
    assert found.value == pytest.approx(0.9 / (4 / 60))
    for ratio, a, b in ((found.low, above.low, below.high), (found.high, above.high, below.low)):
        gap = above.value - ratio * below.value
        assert gap**2 == pytest.approx((above.value - a) ** 2 + ratio**2 * (below.value - b) ** 2)
    turned = ratio_interval(below, above)
    assert (turned.low, turned.high) == (pytest.approx(1 / found.high), pytest.approx(1 / found.low))


def test_a_ratio_to_nothing_has_no_upper_end():
    found = ratio_interval(wilson_interval(45, 50), wilson_interval(0, 60))
    assert (found.value, found.high) == (np.inf, np.inf)
    assert found.low == pytest.approx(
        ratio_interval(wilson_interval(45, 50), Interval(1e-9, 0, wilson_interval(0, 60).high)).low
    )
    assert ratio_interval(wilson_interval(0, 50), wilson_interval(4, 60)).low == 0
    assert np.isnan(ratio_interval(wilson_interval(0, 0), wilson_interval(4, 60)).low)
