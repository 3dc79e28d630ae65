"""Weighted metrics against scikit-learn, which counts each film as often as its weight says."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.evaluation import evaluate
from cxr.evaluation.metrics import calibration_error, metric_values, predictive_values, ranking_metrics
from tests.support.score_tables import binary_metrics

TWO = LabelSpace(("normal", "covid19"))
FOUR = LabelSpace(("normal", "bacterial", "viral", "covid19"), {"pneumonia": ("bacterial", "viral", "covid19")})


def by_scikit_learn(cases, w):
    """The same figures, one after the other, of films weighted by w."""
    truth, decided, p, names = cases.targets.argmax(axis=1), cases.predicted, cases.probabilities, cases.labels.classes
    one_hot = cases.targets.astype(int)
    areas = [sk.roc_auc_score(one_hot[:, k], p[:, k], sample_weight=w) for k in range(len(names))]
    precisions = [sk.average_precision_score(one_hot[:, k], p[:, k], sample_weight=w) for k in range(len(names))]
    recalls = sk.recall_score(truth, decided, average=None, sample_weight=w)
    correct = sk.precision_score(truth, decided, average=None, sample_weight=w)
    f1s = sk.f1_score(truth, decided, average=None, sample_weight=w)
    positive, called, score = truth != 0, decided != 0, 1 - p[:, 0]
    sensitivity = sk.recall_score(positive, called, sample_weight=w)
    specificity = sk.recall_score(positive, called, sample_weight=w, pos_label=False)
    lr_positive, lr_negative = sensitivity / (1 - specificity), (1 - sensitivity) / specificity
    return {
        "accuracy": sk.accuracy_score(truth, decided, sample_weight=w),
        "macro_f1": sk.f1_score(truth, decided, average="macro", sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, decided, sample_weight=w),
        "mcc": sk.matthews_corrcoef(truth, decided, sample_weight=w),
        "macro_auc": np.mean(areas),
        "micro_auc": sk.roc_auc_score(one_hot.ravel(), p.ravel(), sample_weight=np.repeat(w, len(names))),
        "brier": np.average(((p - one_hot) ** 2).sum(axis=1), weights=w),
        "binary.accuracy": sk.accuracy_score(positive, called, sample_weight=w),
        "binary.sensitivity": sensitivity,
        "binary.specificity": specificity,
        "binary.auc": sk.roc_auc_score(positive, score, sample_weight=w),
        "binary.ppv": sk.precision_score(positive, called, sample_weight=w),
        "binary.npv": sk.precision_score(positive, called, sample_weight=w, pos_label=False),
        "binary.f1": sk.f1_score(positive, called, sample_weight=w),
        "binary.lr_positive": lr_positive,
        "binary.lr_negative": lr_negative,
        "binary.average_precision": sk.average_precision_score(positive, score, sample_weight=w),
        "binary.calibration_bias": np.average(score - positive, weights=w),
        "binary.brier": sk.brier_score_loss(positive, score, sample_weight=w),
        **{f"auc.{name}": area for name, area in zip(names, areas, strict=True)},
        **{f"average_precision.{name}": value for name, value in zip(names, precisions, strict=True)},
        **{f"recall.{name}": value for name, value in zip(names, recalls, strict=True)},
        **{f"precision.{name}": value for name, value in zip(names, correct, strict=True)},
        **{f"f1.{name}": value for name, value in zip(names, f1s, strict=True)},
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("decimals", [1, 6])
@pytest.mark.parametrize("labels", [TWO, FOUR], ids=["two", "four"])
def test_every_metric_agrees_with_scikit_learn_for_any_weights_and_ties(drawn, labels, decimals, seed):
    cases = labeled_cases(drawn(labels, seed=seed, decimals=decimals), labels, 0.7)
    weights = np.random.default_rng(seed).poisson(1.0, (len(cases.probabilities), 3)).astype(float)
    found = metric_values(cases, weights)
    for column, w in enumerate(weights.T):
        expected = by_scikit_learn(cases, w)
        assert set(found) == set(expected) | {"ece", "binary.ece"}
        for name, value in expected.items():
            assert found[name][column] == pytest.approx(value), name


def test_the_figures_of_a_small_test_are_those_worked_out_by_hand():
    # 100 ill films, 90 of them called so; 100 healthy ones, 20 called ill; scores of 0.8 where it was called, else 0.2
    cells = (("covid19", 0.8, 90), ("covid19", 0.2, 10), ("normal", 0.8, 20), ("normal", 0.2, 80))
    rows = [(label, round(1 - p, 1), p) for label, p, films in cells for _ in range(films)]
    cases = labeled_cases(pd.DataFrame(rows, columns=["label", "p_normal", "p_covid19"]), TWO, 0.5)
    found = {name: float(value[0]) for name, value in metric_values(cases, np.ones((200, 1))).items()}
    assert found["binary.lr_positive"] == pytest.approx(0.9 / 0.2)
    assert found["binary.lr_negative"] == pytest.approx(0.1 / 0.8)
    assert found["binary.f1"] == found["f1.covid19"] == pytest.approx(180 / (180 + 20 + 10))
    assert found["precision.covid19"] == pytest.approx(90 / 110)
    assert found["precision.normal"] == pytest.approx(80 / 90)
    assert found["f1.normal"] == pytest.approx(160 / (160 + 10 + 20))
    assert found["balanced_accuracy"] == pytest.approx((0.9 + 0.8) / 2)
    assert found["mcc"] == pytest.approx((90 * 80 - 20 * 10) / (110 * 100 * 100 * 90) ** 0.5)
    assert found["binary.brier"] == pytest.approx(((90 + 80) * 0.2**2 + (10 + 20) * 0.8**2) / 200)
    assert found["brier"] == pytest.approx(2 * found["binary.brier"])  # both classes count
    assert found["binary.ece"] == pytest.approx((abs(90 * 0.2 - 10) + abs(110 * 0.8 - 90)) / 200)
    assert found["binary.average_precision"] == pytest.approx(0.9 * 90 / 110 + 0.1 * 100 / 200)
    area = 0.9 * 0.8 + (0.9 * 0.2 + 0.1 * 0.8) / 2
    assert (found["macro_auc"], found["binary.auc"]) == (pytest.approx(area), pytest.approx(area))


def test_weights_of_half_the_precision_give_the_same_figures(drawn):
    cases = labeled_cases(drawn(films=3000), FOUR, 0.7)
    weights = np.random.default_rng(0).poisson(1.0, (3000, 4))
    exact, rough = metric_values(cases, weights.astype(float)), metric_values(cases, weights.astype(np.float32))
    for name, value in exact.items():
        assert rough[name] == pytest.approx(value, rel=1e-4), name


def test_a_class_that_no_drawn_film_has_is_not_a_number_and_not_in_the_means():
    table = pd.DataFrame({"label": ["normal", "viral", "viral"], "p_normal": [0.8, 0.3, 0.6]})
    table = table.assign(p_bacterial=0.1, p_viral=0.9 - table["p_normal"], p_covid19=0.0)
    found = metric_values(labeled_cases(table, FOUR, None), np.ones((3, 1)))
    assert np.isnan(found["auc.bacterial"])
    assert np.isnan(found["recall.bacterial"])
    assert np.isnan(found["average_precision.bacterial"])
    assert np.isnan(found["f1.bacterial"])
    assert np.isnan(found["precision.bacterial"])  # and was never decided
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["macro_auc"] == pytest.approx(1.0)


def test_films_that_are_all_of_one_class_or_all_called_one_make_no_noise():
    table = pd.DataFrame({"label": ["normal"] * 3, "p_normal": [0.9, 0.8, 0.7], "p_covid19": [0.1, 0.2, 0.3]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metric_values(labeled_cases(table, TWO, 0.5), np.array([[1.0, 0], [1, 0], [1, 0]]))
    assert found["binary.specificity"][0] == 1
    assert np.isnan(found["binary.specificity"][1])
    for name in ("mcc", "binary.auc", "binary.sensitivity", "binary.ppv", "binary.lr_positive", "macro_auc"):
        assert name == "binary.lr_positive" or np.isnan(found[name]).all(), name


def test_a_test_without_false_alarms_has_an_infinite_likelihood_ratio_which_json_has_as_null():
    table = pd.DataFrame({"label": ["normal", "covid19"], "p_normal": [0.9, 0.2], "p_covid19": [0.1, 0.8]})
    found = evaluate(labeled_cases(table, TWO, 0.5))
    assert binary_metrics(found).lr_positive == np.inf
    assert binary_metrics(found).lr_negative == 0
    assert found.as_dict()["binary"]["lr_positive"] is None


def test_equal_scores_count_half():
    area, precision = ranking_metrics(np.array([0.5, 0.5]), np.array([True, False]), np.ones((2, 1)))
    assert area == [0.5]
    assert precision == [0.5]


def test_predictive_values_at_a_prevalence_are_those_of_bayes():
    # Altman and Bland (1994), BMJ 309:102: sensitivity 0.90, specificity 0.63; at a prevalence of 0.25 the
    # predictive values are 0.45 and 0.95
    ppv, npv = predictive_values(231 / 258, 54 / 86, 0.25)
    assert ppv == pytest.approx(0.45, abs=0.005)
    assert npv == pytest.approx(0.95, abs=0.005)
    own = predictive_values(231 / 258, 54 / 86, 258 / 344)  # at that of the films: the shares themselves
    assert own == (pytest.approx(231 / 263), pytest.approx(54 / 81))


def test_the_predictive_values_of_the_films_are_those_at_their_own_prevalence(drawn):
    cases, ones = labeled_cases(drawn(TWO), TWO, 0.5), np.ones((200, 1))
    prevalence = float((cases.binary_reference == 1).mean())
    own, same = metric_values(cases, ones), metric_values(cases, ones, prevalence)
    assert same["binary.ppv"] == pytest.approx(own["binary.ppv"])
    assert metric_values(cases, ones, 0.01)["binary.ppv"] < own["binary.ppv"]


def test_the_calibration_error_is_that_worked_out_by_hand():
    probability = np.array([0.05, 0.05, 0.95, 0.95, 0.5])
    happened = np.array([False, True, True, True, True])
    # bins: two of 0.05 of which one came true, two of 0.95 that did, one of 0.5 that did
    by_hand = (2 * abs(0.05 - 0.5) + 2 * abs(0.95 - 1) + abs(0.5 - 1)) / 5
    assert calibration_error(probability, happened, np.ones((5, 1))) == pytest.approx(by_hand)
    assert calibration_error(probability, happened, np.array([[0.0], [0], [3], [1], [0]])) == pytest.approx(0.05)


def test_certain_and_impossible_have_a_bin():
    assert calibration_error(np.array([0.0, 1.0]), np.array([False, True]), np.ones((2, 1))) == 0


def test_a_film_of_a_coarse_label_counts_for_accuracy_and_the_binary_question_alone(drawn):
    table = drawn()
    coarse = table.iloc[:1].assign(label="pneumonia", p_normal=0.0, p_viral=1.0, p_bacterial=0.0, p_covid19=0.0)
    alone, both = (evaluate(labeled_cases(one, FOUR, 0.7)) for one in (table, pd.concat([table, coarse])))
    assert both.n == alone.n + 1
    assert binary_metrics(both).n == binary_metrics(alone).n + 1
    for name in ("macro_f1", "mcc", "brier", "ece", "micro_auc"):
        assert getattr(both, name) == getattr(alone, name)
