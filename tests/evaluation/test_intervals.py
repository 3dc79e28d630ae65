"""Intervals against published worked examples, and against slow implementations written here."""

import json
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, norm
from sklearn.metrics import accuracy_score, roc_auc_score

from cxr.core.errors import DatasetError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.evaluation import evaluate
from cxr.evaluation.intervals import (
    Interval,
    bootstrap_weights,
    delong_covariance,
    delong_interval,
    metric_intervals,
    percentile_interval,
    wilson_interval,
)
from tests.support.score_tables import binary_metrics

TWO = LabelSpace(("normal", "covid19"))
FOUR = LabelSpace(("normal", "bacterial", "viral", "covid19"), {"pneumonia": ("bacterial", "viral", "covid19")})

# DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837: ovarian cancer with obstruction; albumin, total protein,
# K-G score, whether surgery helped. As printed in the SAS/STAT User's Guide, PROC LOGISTIC, "Comparing Receiver
# Operating Characteristic Curves", whose results are those below.
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""


@pytest.fixture(scope="module")
def ovarian():
    table = np.array(OVARIAN.split(), float).reshape(-1, 4)
    return table[:, 3] == 1, np.stack([table[:, 0], table[:, 1], 10 - table[:, 2]])


def test_delong_gives_the_areas_and_errors_of_the_published_example(ovarian):
    areas, covariance = delong_covariance(*ovarian)
    assert areas == pytest.approx([0.7366, 0.6478, 0.7258], abs=5e-5)
    assert np.sqrt(np.diag(covariance)) == pytest.approx([0.0927, 0.1000, 0.1028], abs=5e-5)


def test_delong_gives_the_contrasts_of_the_published_example(ovarian):
    areas, covariance = delong_covariance(*ovarian)
    for score, difference, error, p in [(0, 0.0108, 0.0953, 0.9102), (1, -0.0780, 0.1046, 0.4561)]:
        contrast = np.array([score == 0, score == 1, -1])
        found, spread = contrast @ areas, np.sqrt(contrast @ covariance @ contrast)
        assert (found, spread) == (pytest.approx(difference, abs=5e-5), pytest.approx(error, abs=5e-5))
        assert 2 * norm.sf(abs(found / spread)) == pytest.approx(p, abs=5e-5)
    contrasts = np.array([[1, 0, -1], [0, 1, -1]])
    differences = contrasts @ areas
    statistic = differences @ np.linalg.solve(contrasts @ covariance @ contrasts.T, differences)
    assert statistic == pytest.approx(2.5340, abs=5e-5)
    assert chi2.sf(statistic, 2) == pytest.approx(0.2817, abs=5e-5)


def slow_delong(truth, scores):
    """By the definition: every pair of a positive and a negative film."""
    of_ones, of_zeros = [], []
    for score in scores:
        pairs = np.array([[1.0 if x > y else 0.5 if x == y else 0.0 for y in score[~truth]] for x in score[truth]])
        of_ones.append(pairs.mean(axis=1))
        of_zeros.append(pairs.mean(axis=0))
    return np.mean(of_ones, axis=1), np.cov(of_ones) / truth.sum() + np.cov(of_zeros) / (~truth).sum()


@pytest.mark.parametrize("seed", range(5))
def test_delong_agrees_with_its_definition_with_ties(seed):
    rng = np.random.default_rng(seed)
    truth, scores = rng.random(40) < 0.4, rng.integers(0, 8, (3, 40)) / 8
    areas, covariance = delong_covariance(truth, scores)
    expected, spread = slow_delong(truth, scores)
    np.testing.assert_allclose(areas, expected)
    np.testing.assert_allclose(covariance, spread)
    np.testing.assert_allclose(areas, [roc_auc_score(truth, score) for score in scores])


@pytest.mark.parametrize("truth", [[True], [True, True], [False, False], [True, False], []])
def test_delong_of_too_few_films_is_not_a_number_without_a_warning(truth):
    truth = np.array(truth, bool)
    areas, covariance = delong_covariance(truth, np.linspace(1, 0, len(truth))[None])
    assert np.isnan(covariance).all()
    assert np.isnan(areas).all() or areas == [1.0]
    assert np.isnan(delong_interval(truth, np.linspace(1, 0, len(truth))).low)


def test_a_delong_interval_stays_between_0_and_1(ovarian):
    truth, scores = ovarian
    found = delong_interval(truth, scores[0])
    assert (found.low, found.high) == (pytest.approx(0.5549, abs=5e-5), pytest.approx(0.9182, abs=5e-5))
    near = delong_interval(np.array([0, 0, 0, 1, 1, 1], bool), np.array([0.1, 0.2, 0.4, 0.3, 0.8, 0.9]))
    assert near.high == 1
    assert 0 < near.low < near.value
    apart = delong_interval(np.array([0, 0, 1, 1], bool), np.array([0.1, 0.2, 0.8, 0.9]))
    assert apart.value == 1
    assert np.isnan(apart.low)


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


def slow_bootstrap(table, figure, resamples, seed):
    """Patients drawn one resample after the other, their films put together."""
    rng, values = np.random.default_rng(seed), []
    films = {patient: table[table["patient"] == patient] for patient in table["patient"].unique()}
    for _ in range(resamples):
        drawn = rng.choice(list(films), len(films))
        values.append(figure(pd.concat([films[one] for one in drawn])))
    return np.quantile(values, [0.025, 0.975])


def test_intervals_agree_with_a_bootstrap_in_a_loop(drawn):
    table = drawn(TWO, films=150, patients=50)
    found = metric_intervals(labeled_cases(table, TWO, 0.5), resamples=4000)

    def accuracy(films):
        return accuracy_score(films["label"] == "covid19", 1 - films["p_normal"] >= 0.5)

    def area(films):
        return roc_auc_score(films["label"] == "covid19", 1 - films["p_normal"])

    for name, figure in (("accuracy", accuracy), ("binary.auc", area)):
        low, high = slow_bootstrap(table, figure, 500, seed=7)
        assert (found[name].low, found[name].high) == (pytest.approx(low, abs=0.025), pytest.approx(high, abs=0.025))


def test_every_figure_of_an_evaluation_is_there_with_its_value_inside_its_bounds(drawn):
    table = drawn(films=400)
    found, evaluation = (
        metric_intervals(labeled_cases(table, FOUR, 0.7), resamples=300),
        evaluate(labeled_cases(table, FOUR, 0.7)),
    )
    for name, interval in found.items():
        head, _, tail = name.partition(".")
        if head == "binary":
            value = getattr(evaluation.binary, tail)
        else:
            value = getattr(evaluation, head)[tail] if tail else getattr(evaluation, head)
        assert interval.value == pytest.approx(value), name
        assert name.endswith("ece") or interval.low < interval.value < interval.high, name
    named = {"accuracy", "auc.normal", "average_precision.covid19", "recall.viral", "macro_auc", "micro_auc", "brier"}
    named |= {"precision.viral", "f1.viral", "binary.f1", "binary.lr_negative"}
    assert named | {"binary.sensitivity", "binary.lr_positive", "mcc"} <= set(found)


def test_classes_without_a_negative_one_have_the_figures_of_classes_alone(drawn):
    labels = LabelSpace(("bacterial", "viral", "covid19"))
    found = metric_intervals(labeled_cases(drawn(labels), labels, None), 100)
    assert found["accuracy"].low < found["accuracy"].value
    assert not [name for name in found if "binary" in name]


def test_one_seed_gives_one_answer(drawn):
    table = drawn()
    assert metric_intervals(labeled_cases(table, FOUR, 0.7), 100, seed=1) == metric_intervals(
        labeled_cases(table, FOUR, 0.7), 100, seed=1
    )
    assert metric_intervals(labeled_cases(table, FOUR, 0.7), 100, seed=1) != metric_intervals(
        labeled_cases(table, FOUR, 0.7), 100, seed=2
    )


def test_many_films_of_few_patients_are_less_sure_than_films_of_many(drawn):
    once = drawn(TWO, films=60)
    ten_times = pd.concat([once] * 10, ignore_index=True)
    one, copies = metric_intervals(labeled_cases(once, TWO, 0.5)), metric_intervals(labeled_cases(ten_times, TWO, 0.5))
    assert copies["accuracy"] == one["accuracy"]  # the same patients: ten copies say no more
    strangers = metric_intervals(labeled_cases(ten_times.assign(patient=np.arange(600)), TWO, 0.5))
    assert strangers["accuracy"].high - strangers["accuracy"].low < 0.5 * (one["accuracy"].high - one["accuracy"].low)


def test_the_bounds_hold_the_truth_about_as_often_as_they_say(drawn):
    truth = evaluate(labeled_cases(drawn(TWO, films=40_000, decimals=6), TWO, 0.5))
    held = []
    for seed in range(100):
        found = metric_intervals(
            labeled_cases(drawn(TWO, films=120, seed=1000 + seed, decimals=6), TWO, 0.5), resamples=300
        )
        held.append(
            [
                found[name].low <= value <= found[name].high
                for name, value in (("accuracy", truth.accuracy), ("binary.auc", binary_metrics(truth).auc))
            ]
        )
    assert (np.mean(held, axis=0) > 0.88).all()


def test_no_error_is_not_certainty():
    table = pd.DataFrame({"label": ["normal"] * 20 + ["covid19"] * 20, "patient": np.repeat(np.arange(20), 2)})
    table = table.assign(p_normal=np.where(table["label"] == "normal", 0.9, 0.1))
    table["p_covid19"] = 1 - table["p_normal"]
    found = metric_intervals(labeled_cases(table, TWO, 0.5), 200)
    assert found["accuracy"] == wilson_interval(20, 20)
    assert (
        found["binary.sensitivity"] == found["recall.covid19"] == found["precision.normal"] == wilson_interval(10, 10)
    )
    assert found["binary.auc"].value == 1
    assert np.isnan(found["binary.auc"].low)


def test_a_class_of_two_patients_has_no_bounds():
    table = pd.DataFrame({"label": ["normal"] * 50 + ["covid19"] * 2})
    table["p_normal"] = np.linspace(1, 0.4, 52)
    found = metric_intervals(labeled_cases(table.assign(p_covid19=1 - table["p_normal"]), TWO, 0.5), 200)
    assert found["binary.auc"].value == 1
    assert np.isnan(found["binary.auc"].low)
    assert found["binary.specificity"].low < found["binary.specificity"].value


@pytest.mark.parametrize(
    "table",
    [
        {"label": ["normal"], "p_normal": [0.9], "p_covid19": [0.1]},
        {"label": ["covid19"], "p_normal": [0.9], "p_covid19": [0.1]},
        {"label": ["normal"] * 3, "p_normal": [0.9] * 3, "p_covid19": [0.1] * 3},
        {"label": ["normal", "covid19"], "patient": [7, 7], "p_normal": [0.9, 0.2], "p_covid19": [0.1, 0.8]},
    ],
    ids=["one", "one wrong", "one class", "one patient"],
)
def test_tiny_sets_have_answers_without_a_warning(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metric_intervals(labeled_cases(pd.DataFrame(table), TWO, 0.5), 50)
    assert found["accuracy"].low <= found["accuracy"].value <= found["accuracy"].high
    assert found["accuracy"].high - found["accuracy"].low > 0.3
    assert (
        np.isnan([found["binary.auc"].low, found["macro_f1"].low, found["brier"].low]).all() or len(table["label"]) > 2
    )
    json.dumps({name: interval.as_dict() for name, interval in found.items()}, allow_nan=False)


def test_an_empty_table_is_refused_in_a_sentence():
    with pytest.raises(DatasetError) as refused:
        metric_intervals(labeled_cases(pd.DataFrame({"label": [], "p_normal": [], "p_covid19": []}), TWO, 0.5))
    assert refused.value.code == "dataset.no-labels"


def test_patients_may_have_any_numbers(drawn):
    table = drawn(TWO, films=60, patients=20)
    odd = table.assign(patient=table["patient"] * 1000 + 7)
    assert labeled_cases(odd, TWO, 0.5).patients == table["patient"].nunique()
    assert metric_intervals(labeled_cases(odd, TWO, 0.5), 50) == metric_intervals(labeled_cases(table, TWO, 0.5), 50)


def test_predictive_values_have_intervals_at_a_chosen_prevalence(drawn):
    rare = metric_intervals(labeled_cases(drawn(TWO), TWO, 0.5), 200, prevalence=0.02)
    as_found = metric_intervals(labeled_cases(drawn(TWO), TWO, 0.5), 200)
    assert rare["binary.ppv"].high < as_found["binary.ppv"].low
    assert rare["binary.sensitivity"] == as_found["binary.sensitivity"]


def test_too_many_resamples_without_a_figure_leave_no_bounds():
    assert percentile_interval(0.5, np.array([0.4, 0.6] * 50)) == Interval(0.5, 0.4, 0.6)
    assert np.isnan(percentile_interval(0.5, np.array([0.4, 0.6, np.nan, np.nan])).low)


def test_two_thousand_resamples_of_five_thousand_films_are_a_matter_of_seconds(drawn):
    table = drawn(films=5000, patients=3000, decimals=6)
    started = time.process_time()
    metric_intervals(labeled_cases(table, FOUR, 0.7))
    assert time.process_time() - started < 4  # about 1 s of one core; elsewhere it may be a slower one
