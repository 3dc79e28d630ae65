"""Standard errors from influence against numerical derivatives, and against a bootstrap of many patients."""

import numpy as np
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation import subgroups
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.intervals import bootstrap_weights
from cxr.evaluation.metric_intervals import BIASED, metric_intervals, proportions
from cxr.evaluation.metrics import metric_values, ranking_metrics, score_metrics
from cxr.evaluation.standard_errors import MANY_PATIENTS, decision_errors, ranking, score_estimates
from cxr.evaluation.subgroups import worst_gap

TWO = LabelSpace(("normal", "covid19"))
FOUR = LabelSpace(("normal", "bacterial", "viral", "covid19"), {"pneumonia": ("bacterial", "viral", "covid19")})


def standard_errors(cases):
    of_scores = {name: estimate.error for name, estimate in score_estimates(cases).items() if name not in BIASED}
    return of_scores | decision_errors(cases)


@pytest.mark.parametrize("decimals", [1, 6])
@pytest.mark.parametrize("labels", [TWO, FOUR], ids=["two", "four"])
def test_every_standard_error_is_made_of_the_derivatives_by_each_patient_s_weight(drawn, labels, decimals):
    table = drawn(labels, films=90, decimals=decimals)
    cases = labeled_cases(table.assign(patient=np.arange(90) // 2), labels, 0.6)
    step = 1e-5
    weights = np.ones((cases.n, 2 * cases.patients))
    for patient in range(cases.patients):
        weights[cases.patient == patient, 2 * patient : 2 * patient + 2] += (step, -step)
    found = metric_values(cases, weights)
    errors = standard_errors(cases)
    assert set(errors) == set(found) - {"accuracy", *BIASED}
    for name, error in errors.items():
        slopes = (found[name][0::2] - found[name][1::2]) / (2 * step)
        assert error == pytest.approx(np.sqrt((slopes**2).sum()), rel=1e-3, abs=1e-7), name


@pytest.mark.parametrize("share", [0.4, 0.008], ids=["common", "rare"])
def test_for_many_patients_they_are_those_of_a_bootstrap(drawn, share):
    many = drawn(TWO, films=2500)
    ill = many["label"] == "covid19"
    kept = ~ill | (np.cumsum(ill) <= share * len(many))
    table = many[kept].reset_index(drop=True)
    cases = labeled_cases(table.assign(patient=np.arange(len(table))), TWO, 0.6)
    errors = standard_errors(cases)
    drawn_values = [metric_values(cases, weights) for weights in bootstrap_weights(cases.patient, 640, seed=0)]
    for name in set(errors) - set(proportions(cases)) - {"binary.lr_positive", "binary.lr_negative"}:
        by_bootstrap = np.concatenate([block[name] for block in drawn_values]).std()
        assert errors[name] == pytest.approx(by_bootstrap, rel=0.12), name  # 640 resamples: 2.8% by themselves


@pytest.mark.parametrize("decimals", [1, 6])
@pytest.mark.parametrize("labels", [TWO, FOUR], ids=["two", "four"])
def test_estimates_are_the_metrics_of_scores(drawn, labels, decimals):
    cases = labeled_cases(drawn(labels, films=90, decimals=decimals), labels, 0.6)
    estimates = {name: estimate.value for name, estimate in score_estimates(cases).items()}
    once = {name: float(value[0]) for name, value in score_metrics(cases, np.ones((cases.n, 1))).items()}
    assert estimates == pytest.approx(once, abs=1e-12)


def test_an_auc_of_one_side_is_not_defined():
    scores = np.array([0.1, 0.5, 0.9])
    for truth in (np.ones(3, bool), np.zeros(3, bool)):
        found, (_, precision) = ranking(scores, truth), ranking_metrics(scores, truth, np.ones((3, 1)))
        assert np.isnan([found.auc, *found.of_auc, *found.of_precision]).all()
        assert found.average_precision == pytest.approx(float(precision[0]), nan_ok=True)


def test_intervals_of_many_patients_draw_nothing(drawn):
    cases = labeled_cases(drawn(TWO, films=MANY_PATIENTS), TWO, 0.6)
    found = metric_intervals(cases, resamples=0)
    assert {name for name, interval in found.items() if not interval.known} == set(BIASED)
    for interval in found.values():
        assert not interval.known or interval.low <= interval.value <= interval.high


def test_the_gap_of_the_worst_of_many_is_that_of_a_bootstrap(drawn, monkeypatch):
    table = drawn(TWO, films=2000)
    cases = labeled_cases(table.assign(patient=np.arange(2000) // 2), TWO, 0.6)
    groups = [np.arange(2000) % 3 == k for k in range(3)]
    by_bootstrap = worst_gap(cases, groups, 1, "accuracy", 4000, seed=0)
    monkeypatch.setattr(subgroups, "MANY_PATIENTS", 1000)
    found = worst_gap(cases, groups, 1, "accuracy", 4000, seed=0)
    assert found.value == by_bootstrap.value
    assert found.high - found.low == pytest.approx(by_bootstrap.high - by_bootstrap.low, rel=0.05)
