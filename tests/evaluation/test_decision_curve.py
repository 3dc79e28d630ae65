"""Net benefit, by hand and against its definition."""

import warnings

import numpy as np
import pandas as pd
import pytest

from cxr.core.errors import DatasetError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.decision_curve import decision_curve

TWO = LabelSpace(("normal", "covid19"))
TABLE = pd.DataFrame(
    {"label": ["covid19", "covid19", "normal", "normal", "normal"], "p_normal": [0.1, 0.7, 0.8, 0.4, 0.95]}
)
TABLE["p_covid19"] = 1 - TABLE["p_normal"]


def test_net_benefit_is_that_worked_out_by_hand():
    curve = decision_curve(labeled_cases(TABLE, TWO, None), np.array([0.25, 0.5]))
    # from 0.25: both hits and one false alarm; from 0.5: one hit, one false alarm; of five films
    assert curve.model == pytest.approx([(2 - 1 / 3) / 5, (1 - 1) / 5])
    assert curve.treat_all == pytest.approx([(2 - 3 / 3) / 5, (2 - 3) / 5])


def test_a_score_at_the_threshold_is_treated():
    curve = decision_curve(labeled_cases(TABLE, TWO, None), np.array([0.3, 0.300001]))
    assert curve.model[0] > curve.model[1]


def test_it_agrees_with_the_definition_at_every_threshold(drawn):
    table = drawn(TWO, films=300, decimals=6)
    curve, score = decision_curve(labeled_cases(table, TWO, None)), 1 - table["p_normal"]
    sick = table["label"] == "covid19"
    for threshold, benefit in zip(curve.thresholds, curve.model, strict=True):
        called = score >= threshold
        assert benefit == pytest.approx((called & sick).mean() - (called & ~sick).mean() * threshold / (1 - threshold))
    assert curve.thresholds[0] == 0.01
    assert curve.thresholds[-1] == 0.99
    assert list(curve.table()) == ["threshold", "model", "treat_all", "none"]
    assert len(curve.table()) == 99


def test_a_model_that_calls_everything_is_worth_what_treating_all_is():
    curve = decision_curve(labeled_cases(TABLE.assign(p_normal=0.0, p_covid19=1.0), TWO, None))
    np.testing.assert_allclose(curve.model, curve.treat_all)


def test_at_another_prevalence_the_same_sensitivity_is_worth_something_else():
    rare = decision_curve(labeled_cases(TABLE, TWO, None), np.array([0.25]), prevalence=0.1)
    assert rare.model == pytest.approx([0.1 * 1 - 0.9 * (1 / 3) / 3])
    assert rare.treat_all == pytest.approx([0.1 - 0.9 / 3])


@pytest.mark.parametrize("label", ["normal", "covid19"])
def test_one_side_alone_has_no_curve(label):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DatasetError) as refused:
            decision_curve(labeled_cases(TABLE.assign(label=label), TWO, None))
        assert refused.value.code == "dataset.one-sided"


def test_classes_without_normal_have_no_curve(drawn):
    labels = LabelSpace(("bacterial", "viral", "covid19"))
    with pytest.raises(DatasetError) as refused:
        decision_curve(labeled_cases(drawn(labels), labels, None))
    assert refused.value.code == "dataset.no-negative-class"
