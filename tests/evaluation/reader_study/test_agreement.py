"""Kappas agree with their textbook examples and with scikit-learn; their intervals with a published formula."""

from math import isnan, sqrt

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from cxr.evaluation.reader_study.agreement import cohen_kappa, fleiss_kappa

# 14 raters put 10 subjects into 5 groups: the worked example of Fleiss' kappa, 0.210.
COUNTS = (
    (0, 0, 0, 0, 14),
    (0, 2, 6, 4, 2),
    (0, 0, 3, 5, 6),
    (0, 3, 9, 2, 0),
    (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0),
    (3, 2, 6, 3, 0),
    (2, 5, 3, 2, 2),
    (6, 5, 2, 1, 0),
    (0, 2, 2, 3, 7),
)


def test_fleiss_kappa_of_the_worked_example() -> None:
    answers = np.array([np.repeat(list("abcde"), row) for row in COUNTS]).T
    kappa = fleiss_kappa(answers)
    assert kappa.value == pytest.approx(0.210, abs=5e-4)
    assert kappa.low < kappa.value < kappa.high


def test_cohen_kappa_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    first = rng.choice(["normal", "bacterial", "viral"], 80)
    second = np.where(rng.random(80) < 0.7, first, rng.choice(["normal", "bacterial", "viral"], 80))
    assert cohen_kappa(first, second).value == pytest.approx(cohen_kappa_score(first, second))


def test_the_interval_of_cohen_kappa_is_near_that_of_the_published_formula() -> None:
    # Fleiss, Cohen and Everitt (1969), for two answers: variance from the four cells.
    cells = np.array([[40, 9], [6, 45]])
    first = np.repeat(["a", "b"], cells.sum(axis=1))
    second = np.concatenate([np.repeat(["a", "b"], row) for row in cells])
    shares = cells / cells.sum()
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    observed, expected = np.trace(shares), rows @ columns
    kappa = (observed - expected) / (1 - expected)
    agreed = sum(shares[i, i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in range(2))
    differing = (1 - kappa) ** 2 * sum(shares[i, j] * (columns[i] + rows[j]) ** 2 for i, j in ((0, 1), (1, 0)))
    variance = (agreed + differing - (kappa - expected * (1 - kappa)) ** 2) / (1 - expected) ** 2 / cells.sum()
    found = cohen_kappa(first, second)
    assert found.value == pytest.approx(kappa)
    assert found.high - found.low == pytest.approx(2 * 1.959964 * sqrt(variance), rel=0.03)


def test_kappa_of_two_raters_is_almost_the_same_by_both() -> None:
    rng = np.random.default_rng(5)
    first = rng.choice(["a", "b"], 400)
    second = np.where(rng.random(400) < 0.8, first, rng.choice(["a", "b"], 400))
    assert fleiss_kappa(np.stack([first, second])).value == pytest.approx(cohen_kappa(first, second).value, abs=0.01)


def test_without_two_answers_or_two_raters_there_is_no_kappa() -> None:
    same = np.array(["a"] * 5)
    assert isnan(cohen_kappa(same, same).value)
    assert isnan(fleiss_kappa(same[None]).value)
    assert isnan(cohen_kappa(same[:0], same[:0]).value)


def test_perfect_agreement_is_one() -> None:
    answers = np.array(["a", "b", "a", "b", "b"])
    assert cohen_kappa(answers, answers).value == 1
    assert fleiss_kappa(np.stack([answers] * 3)).value == 1
