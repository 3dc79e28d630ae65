"""The age range of a model, and the warning for a patient outside it."""

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.dataset import Dataset
from cxr.inference.input_check.ages import MIN_FILMS, age_range, age_warning
from cxr.registry.card import AgeRange


def films(ages, role="train"):
    return Dataset("some", pd.DataFrame({"age": ages, "role": role}))


def test_the_range_is_that_of_nine_in_ten_training_films_of_known_age():
    ages = age_range(films([str(age) for age in range(101)] + [""] * 9))
    assert ages == AgeRange(youngest=5, oldest=95, known=101, films=110)


def test_films_of_other_roles_do_not_count():
    both = pd.concat([films(["40"] * 30).table, films(["90"] * 30, "test").table], ignore_index=True)
    assert age_range(Dataset("some", both)) == AgeRange(youngest=40, oldest=40, known=30, films=30)


@pytest.mark.parametrize("known", [0, MIN_FILMS - 1])
def test_too_few_known_ages_are_no_range(known):
    assert age_range(films(["50"] * known + [""] * 40)) is None


def test_few_known_ages_are_no_sample_of_many_unknown_ones():
    assert age_range(films(["50"] * 60 + [""] * 50)) is not None
    assert age_range(films(["50"] * 60 + [""] * 100)) is None


@pytest.mark.parametrize("age", [18, 40.5, 83])
def test_an_age_within_the_range_gives_no_warning(age):
    assert age_warning(AgeRange(youngest=18, oldest=83, known=50, films=50), age) is None


@pytest.mark.parametrize("age", [18, 83])
def test_ages_are_compared_in_whole_years(age):
    assert age_warning(AgeRange(youngest=18.4, oldest=82.6, known=50, films=50), age) is None


def test_another_age_gives_a_warning_with_the_numbers_in_it():
    reason = age_warning(AgeRange(youngest=18.4, oldest=83, known=50, films=90), 4)
    assert reason
    assert reason.code == "age"
    for part in ("4 years", "18–83", "known for 50 of 90"):
        assert part in reason.sentence
    all_known = age_warning(AgeRange(youngest=18, oldest=83, known=9, films=9), np.float64(90))
    assert all_known
    assert "known for" not in all_known.sentence


def test_without_known_ages_there_is_no_warning():
    assert age_warning(None, 4) is None
