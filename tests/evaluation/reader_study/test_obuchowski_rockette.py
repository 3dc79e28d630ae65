"""The multi-reader comparison gives what its authors' program gives, and a false alarm as often as it should."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from cxr.evaluation.reader_study.jackknife import Figure, JointEstimates, Readings, joint_estimates
from cxr.evaluation.reader_study.obuchowski_rockette import compare_conditions
from tests.support.van_dyke import AUCS, COV1, COV2, COV3, VARIANCE, van_dyke_readings

EIGHT, FIVE, FOUR = 5e-9, 5e-6, 5e-5  # half of the last digit that the program prints


@pytest.fixture(scope="module")
def estimates() -> JointEstimates:
    return joint_estimates(van_dyke_readings(), Figure.AUC)


def test_areas_and_covariances_are_those_of_the_published_output(estimates: JointEstimates) -> None:
    error = compare_conditions(estimates).error
    assert estimates.values.reshape(2, 5) == pytest.approx(np.array(AUCS), abs=EIGHT)
    found = (error.variance, error.same_reader, error.same_condition, error.neither)
    assert found == pytest.approx((VARIANCE, COV1, COV2, COV3), abs=EIGHT)


def test_the_test_for_all_readers_is_that_of_the_published_output(estimates: JointEstimates) -> None:
    comparison = compare_conditions(estimates)
    both = comparison.all_readers
    assert comparison.statistic == pytest.approx(4.46, abs=5e-3)
    assert both.degrees == pytest.approx(15.26, abs=5e-3)
    assert both.p == pytest.approx(0.0517, abs=FOUR)
    bounds = (both.interval.value, both.interval.low, both.interval.high)
    assert bounds == pytest.approx((0.04380, -0.00036, 0.08796), abs=FIVE)
    means = [(mean.value, mean.low, mean.high) for mean in comparison.means]
    assert means[0] == pytest.approx((0.89703704, 0.82522360, 0.96885048), abs=EIGHT)
    assert means[1] == pytest.approx((0.94083736, 0.89413783, 0.98753689), abs=EIGHT)


def test_the_tests_for_these_readers_are_those_of_the_published_output(estimates: JointEstimates) -> None:
    comparison = compare_conditions(estimates)
    these = comparison.these_readers
    assert these.p == pytest.approx(0.0193, abs=FOUR)
    assert (these.interval.low, these.interval.high) == pytest.approx((0.00711, 0.08049), abs=1e-5)
    assert [one.p for one in comparison.each_reader] == pytest.approx(
        [0.2693, 0.0768, 0.5668, 0.1290, 0.0230], abs=FOUR
    )
    fifth = comparison.each_reader[4].interval
    assert (fifth.value, fifth.low, fifth.high) == pytest.approx((0.10016, 0.01381, 0.18651), abs=FIVE)


def test_the_conditions_exchanged_give_the_opposite_difference(estimates: JointEstimates) -> None:
    order = np.roll(np.arange(10), 5)
    exchanged = JointEstimates(estimates.values[order], estimates.covariance[np.ix_(order, order)])
    before, after = compare_conditions(estimates).all_readers, compare_conditions(exchanged).all_readers
    assert after.p == pytest.approx(before.p)
    assert after.interval.value == pytest.approx(-before.interval.value)
    assert after.interval.low == pytest.approx(-before.interval.high)


def test_one_reader_says_nothing_about_others(estimates: JointEstimates) -> None:
    both = [0, 5]
    comparison = compare_conditions(JointEstimates(estimates.values[both], estimates.covariance[np.ix_(both, both)]))
    assert isnan(comparison.all_readers.p)
    assert isnan(comparison.means[0].low)
    assert comparison.these_readers.p == pytest.approx(0.2693, abs=FOUR)


def test_readers_who_never_change_have_no_test() -> None:
    readings = van_dyke_readings()
    same = replace(readings, ratings=np.tile(readings.ratings[:5], (2, 1)))
    comparison = compare_conditions(joint_estimates(same, Figure.AUC))
    assert comparison.all_readers.interval.value == 0
    assert isnan(comparison.these_readers.p)


def test_cases_of_one_patient_are_left_out_together() -> None:
    readings = van_dyke_readings()
    twice = Readings(
        np.tile(readings.reference, 2),
        np.tile(readings.ratings, 2),
        np.tile(readings.positive, 2),
        np.tile(readings.patient, 2),
    )
    once, doubled = joint_estimates(readings, Figure.AUC), joint_estimates(twice, Figure.AUC)
    assert doubled.values == pytest.approx(once.values)
    assert doubled.covariance == pytest.approx(once.covariance)


@pytest.mark.parametrize("figure", [Figure.SENSITIVITY, Figure.SPECIFICITY])
def test_shares_vary_as_binomial_ones_do(figure: Figure) -> None:
    readings = van_dyke_readings()
    own = readings.reference if figure is Figure.SENSITIVITY else ~readings.reference
    right = readings.positive if figure is Figure.SENSITIVITY else ~readings.positive
    shares = right[:, own].mean(axis=1)
    estimates = joint_estimates(readings, figure)
    assert estimates.values == pytest.approx(shares)
    assert np.diag(estimates.covariance) == pytest.approx(shares * (1 - shares) / own.sum(), rel=0.04, abs=1e-12)


def test_without_a_difference_a_false_alarm_is_about_as_rare_as_stated() -> None:
    from bench.reader_study import Design, simulated_readings

    design, sets = Design(readers=5, positives=40, negatives=40), 120
    alarms = sum(
        compare_conditions(joint_estimates(simulated_readings(design, seed), Figure.AUC)).all_readers.p < 0.05
        for seed in range(sets)
    )
    assert alarms <= 14  # of 120 at 5%, more than 13 have a probability of 0.2%; bench/reader_study.py has the long run
