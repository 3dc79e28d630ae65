"""Numbers are written one way everywhere."""

from math import inf, nan

import pytest

from cxr.core import number_format as fmt


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "<0.1%"), (0.034, "3.4%"), (0.5, "50%"), (0.68, "68%"), (0.934, "93.4%"), (1, ">99.9%")],
)
def test_a_probability_is_a_percentage_that_is_never_certain(share: float, text: str) -> None:
    assert fmt.probability(share) == text


def test_an_interval_is_two_numbers_and_an_en_dash() -> None:
    assert fmt.with_interval(0.9124, 0.8871, 0.9342) == "0.912 (0.887–0.934)"
    assert fmt.with_interval(0.91, 0.88, 0.93, places=2) == "0.91 (0.88–0.93)"
    assert fmt.percent_with_interval(0.91, 0.88, 0.93) == "91% (88–93%)"


def test_bounds_that_are_negative_are_not_joined_by_a_dash() -> None:
    assert fmt.interval_range(-0.02, 0.01) == "-0.020 to 0.010"


@pytest.mark.parametrize("low", [None, nan])
def test_an_interval_that_is_not_known_leaves_the_number_alone(low: float | None) -> None:
    assert fmt.with_interval(0.9, low, 0.95) == "0.900"
    assert fmt.interval_range(low, 0.95) == fmt.UNKNOWN


def test_a_ratio_may_have_no_upper_end() -> None:
    assert fmt.with_interval(12.5, 4, inf) == "12.500 (4.000 or more)"
    assert fmt.decimal(inf) == "∞"
    assert fmt.decimal(None) == fmt.UNKNOWN


@pytest.mark.parametrize(("seconds", "text"), [(8.2, "8 s"), (300, "5 min"), (7800, "2 h 10 min")])
def test_a_duration_is_in_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert fmt.duration(seconds) == text


def test_counts_and_lists_read_as_in_a_sentence() -> None:
    assert fmt.counted(1, "film") == "1 film"
    assert fmt.counted(1200, "class", "classes") == "1,200 classes"
    assert fmt.joined(["a"]) == "a"
    assert fmt.joined(["a", "b", "c"]) == "a, b and c"
    assert fmt.joined([]) == ""


@pytest.mark.parametrize(
    ("share", "threshold", "texts"),
    [
        (0.68, 0.54, ("68%", "54%")),
        (0.7496, 0.7504, ("74.96%", "75.04%")),
        (0.7494, 0.7506, ("74.9%", "75.1%")),
        (0.74999, 0.75, ("74.999%", "75.000%")),
        (0.75, 0.75, ("75%", "75%")),
        (0.99951, 0.9996, ("99.95%", "99.96%")),
    ],
)
def test_a_probability_and_its_threshold_read_differently_where_they_differ(
    share: float, threshold: float, texts: tuple[str, str]
) -> None:
    assert fmt.probability_beside(share, threshold) == texts
