"""The ages that a model knows, and what is said of a patient of another."""

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.dataset import Dataset
from cxr.inference.input_check.ages import FEWEST, age_range, age_warning
from cxr.registry.card import AgeRange


def films(ages, role="train"):
    return Dataset("some", pd.DataFrame({"age": ages, "role": role}))


def test_the_range_is_that_of_nine_in_ten_training_films_of_known_age():
    ages = age_range(films([str(age) for age in range(101)] + [""] * 9))
    assert ages == AgeRange(youngest=5, oldest=95, known=101, films=110)


def test_films_of_other_roles_do_not_count():
    both = pd.concat([films(["40"] * 30).table, films(["90"] * 30, "test").table], ignore_index=True)
    assert age_range(Dataset("some", both)) == AgeRange(youngest=40, oldest=40, known=30, films=30)


@pytest.mark.parametrize("known", [0, FEWEST - 1])
def test_too_few_known_ages_are_no_range(known):
    assert age_range(films(["50"] * known + [""] * 40)) is None


def test_known_ages_of_a_few_say_nothing_of_the_many_others():
    assert age_range(films(["50"] * 60 + [""] * 50)) is not None
    assert age_range(films(["50"] * 60 + [""] * 100)) is None


@pytest.mark.parametrize("age", [18, 40.5, 83])
def test_an_age_within_the_range_is_no_reason(age):
    assert age_warning(AgeRange(youngest=18, oldest=83, known=50, films=50), age) is None


@pytest.mark.parametrize("age", [18, 83])
def test_an_age_is_not_said_to_be_outside_a_range_that_reads_as_if_it_held_it(age):
    assert age_warning(AgeRange(youngest=18.4, oldest=82.6, known=50, films=50), age) is None


def test_another_age_is_a_reason_with_the_numbers_in_it():
    reason = age_warning(AgeRange(youngest=18.4, oldest=83, known=50, films=90), 4)
    assert reason.kind == "age"
    for part in ("4 years", "18 to 83", "known for 50 of 90"):
        assert part in reason.sentence
    assert "known for" not in age_warning(AgeRange(youngest=18, oldest=83, known=9, films=9), np.float64(90)).sentence


def test_without_known_ages_nothing_is_said():
    assert age_warning(None, 4) is None
