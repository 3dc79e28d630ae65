"""Curves against scikit-learn's, with ties and at their ends."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.curves import calibration_curve, precision_recall_curve, roc_curve, score_histogram
from cxr.evaluation.decisions import BinaryQuestion, binary_questions
from cxr.evaluation.evaluation import evaluate
from tests.support.score_tables import binary_metrics


def question(truth, score, label=None, threshold=0.5):
    truth, score = np.array(truth, bool), np.array(score, float)
    label = np.where(truth, "ill", "normal") if label is None else np.array(label)
    return BinaryQuestion("ill", "normal", label, truth, score, score >= threshold)


@pytest.fixture(params=[1, 2, 6])
def drawn(request):
    """Scores with many ties, and with few."""
    rng = np.random.default_rng(request.param)
    truth = rng.random(300) < 0.3
    return question(truth, np.round(np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0, 1), request.param))


def test_roc_is_scikit_learns(drawn):
    curve = roc_curve(drawn)
    false_positives, sensitivity, threshold = sklearn_metrics.roc_curve(
        drawn.reference, drawn.scores, drop_intermediate=False
    )
    assert curve.false_positive_rate == pytest.approx(false_positives)
    assert curve.sensitivity == pytest.approx(sensitivity)
    assert curve.thresholds == pytest.approx(threshold)
    assert curve.auc == pytest.approx(roc_auc_score(drawn.reference, drawn.scores))


def test_precision_and_recall_are_scikit_learns(drawn):
    curve = precision_recall_curve(drawn)
    precision, recall, threshold = sklearn_metrics.precision_recall_curve(drawn.reference, drawn.scores)
    assert curve.precision[::-1] == pytest.approx(precision[:-1])
    assert curve.recall[::-1] == pytest.approx(recall[:-1])
    assert curve.thresholds[::-1] == pytest.approx(threshold)
    assert curve.average_precision == pytest.approx(average_precision_score(drawn.reference, drawn.scores))
    assert curve.prevalence == drawn.reference.mean()


def test_the_decisions_at_a_score_lie_on_the_curve(drawn):
    curve = roc_curve(drawn)
    place = int(np.searchsorted(-curve.thresholds, -curve.thresholds[len(curve.thresholds) // 2]))
    predicted = drawn.scores >= curve.thresholds[place]
    assert curve.sensitivity[place] == pytest.approx(predicted[drawn.reference].mean())
    assert curve.false_positive_rate[place] == pytest.approx(predicted[~drawn.reference].mean())


def test_no_curve_is_drawn_of_films_with_one_answer():
    lonely = question([1, 1], [0.2, 0.9])
    assert not lonely.answerable
    with pytest.raises(ValueError, match="ill vs normal"):
        roc_curve(lonely)


def test_scores_are_spread_by_label_with_none_lost():
    drawn = question([0, 0, 1, 1, 1], [0, 0.31, 0.9, 1, 1], ["normal", "normal", "viral", "bacterial", "viral"])
    found = score_histogram(drawn, bins=10)
    assert {name: int(films.sum()) for name, films in found.films.items()} == {"normal": 2, "viral": 2, "bacterial": 1}
    assert found.films["normal"][[0, 3]].tolist() == [1, 1]
    assert found.films["viral"][9] == 2


def test_calibration_is_that_worked_out_by_hand():
    bins = calibration_curve(question([0, 1, 0, 1, 1, 1], [0.08, 0.1, 0.12, 0.95, 0.96, 1.0]))
    assert bins.films.tolist() == [3, 3]
    assert bins.mean_predicted == pytest.approx([0.1, 0.97])
    assert bins.observed_frequency == pytest.approx([1 / 3, 1])
    assert bins.expected_error == pytest.approx((abs(1 / 3 - 0.1) + 0.03) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_calibration_differs_by_the_calibration_error_that_stands_among_the_figures(seed):
    rng = np.random.default_rng(seed)
    labels, score = LabelSpace(("normal", "ill")), np.round(rng.random(90), 1 + seed)  # many lie on edges of bins
    label = np.where(rng.random(90) < score, "ill", "normal")
    table = pd.DataFrame({"label": label, "p_normal": 1 - score, "p_ill": score})
    found = calibration_curve(binary_questions(labeled_cases(table, labels, 0.5))[0])
    assert found.expected_error == pytest.approx(binary_metrics(evaluate(labeled_cases(table, labels, 0.5))).ece)


def test_the_brier_score_is_scikit_learns(drawn):
    assert calibration_curve(drawn).brier == pytest.approx(brier_score_loss(drawn.reference, drawn.scores))
    assert calibration_curve(drawn).films.sum() == 300
