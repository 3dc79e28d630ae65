from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from cxr.core.ranking import midranks, roc_auc


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    values = np.random.default_rng(0).integers(0, 20, 200)
    np.testing.assert_array_equal(midranks(values), rankdata(values))


@pytest.mark.parametrize("seed", range(20))
def test_the_area_is_that_of_scikit_learn_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random(150) < 0.3
    score = np.round(rng.random(150) + 0.4 * truth, 1)
    assert roc_auc(truth, score) == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
    assert roc_auc(truth.astype(int), score.astype(np.float32)) == pytest.approx(roc_auc(truth, score), abs=1e-12)


def test_separated_scores_have_1_equal_scores_one_half() -> None:
    truth = np.array([False, False, True, True])
    assert roc_auc(truth, np.array([0.1, 0.2, 0.3, 0.4])) == 1
    assert roc_auc(truth, np.full(4, 0.5)) == 0.5


def test_a_score_that_is_not_a_number_has_no_rank() -> None:
    assert np.isnan(roc_auc(np.array([True, False]), np.array([0.1, np.nan])))


@pytest.mark.parametrize("truth", [[True, True], [False, False], []])
def test_without_both_sides_there_is_no_area(truth: list[bool]) -> None:
    assert np.isnan(roc_auc(np.array(truth, bool), np.full(len(truth), 0.5)))


def test_scores_that_do_not_fit_the_truth_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        roc_auc(np.array([True, False]), np.array([0.1]))


def test_the_module_needs_neither_scipy_nor_scikit_learn() -> None:
    code = "import sys, cxr.core.ranking; sys.exit(bool({'scipy', 'sklearn', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
