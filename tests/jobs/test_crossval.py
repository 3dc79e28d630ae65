"""Cross-validation: a run per fold, and the mean and spread over folds."""

import math
import shutil
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from cxr.core.errors import RunError
from cxr.datasets.dataset import open_datasets
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.evaluation import BinaryMetrics, Evaluation
from cxr.evaluation.intervals import Interval
from cxr.evaluation.operating_point import choose_threshold
from cxr.evaluation.scores import read_scores
from cxr.jobs import crossval, run_store
from cxr.jobs.crossval import LeftOutSource, cross_validate, leave_sources_out, mean_and_spread
from cxr.jobs.run import FILMS, SCORES, Status
from tests.support.datasets import raises_code
from tests.support.training import WITHOUT_INPUT_CHECK, execute_training, tiny_recipe


def test_a_failing_fold_ends_the_cross_validation_with_its_reason(home, phantoms, monkeypatch):
    monkeypatch.setattr(run_store, "start", run_store.create)  # no process: what it would say is said below
    with pytest.raises(RunError, match="Fold 1 of 3 .* The loss became nan"):
        cross_validate(tiny_recipe(), [str(phantoms)], 3, lambda run: Status("failed", sentence="The loss became nan."))


def evaluation(accuracy, auc):
    rest = {field.name: 0.5 for field in fields(BinaryMetrics)} | {"n": 10, "accuracy": accuracy, "auc": auc}
    return Evaluation(
        n=10,
        patients=10,
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


def in_process(job, name):
    run = run_store.create(job, name)
    execute_training(run, WITHOUT_INPUT_CHECK)
    return run


@pytest.fixture
def two_hospitals(phantoms, tmp_path):
    """The drawn films as those of two hospitals, and a third with all films of one class."""
    folder = shutil.copytree(phantoms, tmp_path / "hospitals")
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    hospitals = np.where(np.arange(len(table)) // 4 % 2 == 0, "even", "odd")  # each has all four classes
    table["source"] = np.where(table["label"] == "viral", "only-viral", hospitals)
    table.to_csv(folder / "manifest.csv", index=False)
    return folder


def test_each_source_is_read_by_a_model_that_has_not_seen_it(home, two_hospitals):
    recipe = tiny_recipe(training={"epochs": 1})
    rows, impossible = leave_sources_out(recipe, [str(two_hospitals)], lambda run: run.status, in_process)
    assert {row.source for row in rows} == {"even", "odd"}
    assert list(impossible) == ["only-viral"]
    table = open_datasets([str(two_hospitals)]).table
    for row, run in zip(rows, sorted(run_store.all_runs(), key=lambda run: run.id), strict=True):
        own = table[table["source"] == row.source]
        assert (row.normal, row.finding) == ((own["label"] == "normal").sum(), (own["label"] != "normal").sum())
        films = pd.read_csv(run.folder / FILMS).merge(table[["path", "source"]], on="path")
        assert set(films["role"][films["source"] == row.source]) == {"test"}
        assert set(films["role"][films["source"] != row.source]) == {"train", "val"}
        assert 0 <= row.specificity.low <= row.specificity.value <= row.specificity.high <= 1
        assert run.job.training.left_out == row.source


def test_a_left_out_source_has_the_figures_of_its_stored_scores(home, two_hospitals):
    recipe = tiny_recipe(training={"epochs": 1})
    (row, *_), _ = leave_sources_out(recipe, [str(two_hospitals)], lambda run: run.status, in_process)
    run = min(run_store.all_runs(), key=lambda run: run.id)
    scores = read_scores(run.folder / SCORES)
    labels = LabelSpace(("normal", "bacterial", "viral", "covid19"), {})
    threshold = choose_threshold(scores[scores["role"] == "val"], labels)
    test = scores[scores["role"] == "test"]
    called_ill, ill = 1 - test["p_normal"] >= threshold, test["label"] != "normal"
    assert row.sensitivity.value == pytest.approx(called_ill[ill].mean())
    assert row.specificity.value == pytest.approx(1 - called_ill[~ill].mean())
    assert row.auc == pytest.approx(roc_auc_score(ill, 1 - test["p_normal"]))


def test_sources_that_hold_all_films_of_a_class_are_refused(home, phantoms):
    with raises_code("dataset.no-source"):
        leave_sources_out(tiny_recipe(), [str(phantoms)], lambda run: run.status, in_process)


def test_the_command_prints_each_left_out_source_and_why_one_cannot_be(home, cxr, answer, monkeypatch):
    row = LeftOutSource("even", 20, 30, Interval(0.9, 0.7, 0.97), Interval(0.5, 0.3, 0.7), float("nan"))
    monkeypatch.setattr(crossval, "leave_sources_out", lambda *_: ([row], {"odd": "all films of a class"}))
    words = ("crossval", "vgg16-default", "--data", home, "--leave-out", "source")
    code, out, _ = cxr(*words)
    assert code == 0
    assert "0.900 (0.700–0.970)" in out
    assert "all films of a class" in out
    told = answer(*words)
    assert told["sources"][0]["specificity"] == {"value": 0.9, "low": 0.7, "high": 0.97}
    assert told["sources"][0]["auc"] is None
    assert list(told["impossible"]) == ["odd"]
