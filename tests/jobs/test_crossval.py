"""Cross-validation: a run per fold, and the mean and spread over folds."""

import math
from dataclasses import fields

import pytest

from cxr.core.errors import RunError
from cxr.evaluation.evaluation import BinaryMetrics, Evaluation
from cxr.jobs import run_store
from cxr.jobs.crossval import cross_validate, mean_and_spread
from cxr.jobs.run import Status
from tests.support.training import tiny_recipe


def test_a_failing_fold_ends_the_cross_validation_with_its_reason(home, phantoms, monkeypatch):
    monkeypatch.setattr(run_store, "start", run_store.create)  # no process: what it would say is said below
    with pytest.raises(RunError, match="Fold 1 of 3 .* The loss became nan"):
        cross_validate(tiny_recipe(), [str(phantoms)], 3, lambda run: Status("failed", sentence="The loss became nan."))


def evaluation(accuracy, auc):
    rest = {field.name: 0.5 for field in fields(BinaryMetrics)} | {"n": 10, "accuracy": accuracy, "auc": auc}
    return Evaluation(
        n=10,
        classes=("normal", "covid19"),
        threshold=0.5,
        accuracy=accuracy,
        macro_f1=0.5,
        auc={"normal": auc, "covid19": auc},
        confusion=((5, 0), (0, 5)),
        recall={},
        negative="normal",
        binary=BinaryMetrics(**rest),
        left_out=0,
        balanced_accuracy=accuracy,
        mcc=0.5,
        macro_auc=auc,
        micro_auc=auc,
        average_precision={},
        brier=0.5,
        ece=0.5,
    )


def test_mean_and_spread_match_values_worked_out_by_hand():
    spread = mean_and_spread([evaluation(0.7, 0.8), evaluation(0.8, 0.9), evaluation(0.9, 1.0)])
    assert spread["accuracy"] == pytest.approx({"mean": 0.8, "sd": 0.1, "min": 0.7, "max": 0.9})
    assert spread["auc.covid19"] == pytest.approx({"mean": 0.9, "sd": 0.1, "min": 0.8, "max": 1.0})
    assert spread["macro_f1"]["sd"] == 0
    assert math.isnan(mean_and_spread([evaluation(0.7, float("nan"))] * 2)["binary.auc"]["mean"])
    assert set(spread) == {"accuracy", "macro_f1", "auc.normal", "auc.covid19", "binary.auc", "binary.accuracy"}
    assert mean_and_spread([evaluation(0.7, 0.8)])["accuracy"]["sd"] == 0
