"""Intervals against published worked examples, and against slow implementations written here."""

import numpy as np
import pytest

from cxr.evaluation.intervals import (
    Interval,
    bootstrap_weights,
    percentile_interval,
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
