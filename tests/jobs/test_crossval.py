"""Cross-validation: one job of a training per fold or per left-out source, and what it stores."""

import json
import math
import shutil
from dataclasses import fields
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from cxr.cli.crossval_text import print_result
from cxr.core.errors import RunError
from cxr.datasets.dataset import open_datasets
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.evaluation import BinaryMetrics, Evaluation
from cxr.evaluation.intervals import Interval
from cxr.evaluation.operating_point import choose_threshold
from cxr.evaluation.scores import read_scores
from cxr.jobs import run_store
from cxr.jobs.crossval import crossval_job
from cxr.jobs.crossval import run as crossval_run
from cxr.jobs.crossval_result import (
    RESULT,
    CrossvalResult,
    LeftOutSource,
    evaluate_run,
    mean_and_spread,
    store_result,
    stored_result,
)
from cxr.jobs.kinds import execute
from cxr.jobs.parameters import JobKind
from cxr.jobs.run import FILMS, SCORES
from cxr.jobs.training_plan import plan
from cxr.registry import registry
from tests.support.broken_jobs import Killed, carry_out_of, dying
from tests.support.datasets import raises_code
from tests.support.training import WITHOUT_INPUT_CHECK, execute_training, tiny_recipe


def crossval(recipe, folder, **how):
    """A cross-validation carried out in this process, and its result."""
    run = run_store.create(crossval_job(recipe, [str(folder)], **how), "crossval-tiny")
    execute(run)
    return run, stored_result(run)


def test_a_failing_fold_ends_the_cross_validation_with_its_reason(home, phantoms):
    def fail(job, journal):
        raise RunError("The loss became nan.", code="diverged")

    run = run_store.create(crossval_job(tiny_recipe(), [str(phantoms)], 3), "crossval-tiny")
    with raises_code("run.diverged"):
        execute(run, partial(crossval_run, carry_out=fail))
    assert (run.status.state, run.status.sentence) == ("failed", "The loss became nan.")
    assert stored_result(run) is None


def test_the_folds_of_one_job_hold_out_every_film_once_and_leave_their_scores(home, phantoms):
    run, result = crossval(tiny_recipe(training={"epochs": 1}), phantoms, folds=2)
    assert run.status.state == "finished"
    assert registry.names() == []
    scores = pd.read_csv(run.result_folder / SCORES)
    assert not scores["path"].duplicated().any()
    assert set(scores["role"]) == {"test"}
    assert [int((scores["part"] == n).sum()) for n in (1, 2)] == [fold["n"] for fold in result.folds]
    assert not list(run.folder.rglob("*.npz"))


def test_folds_of_one_process_are_those_of_trainings_on_their_own(home, phantoms):
    recipe = tiny_recipe(training={"epochs": 1})
    run, result = crossval(recipe, phantoms, folds=2)
    job = plan(recipe, [str(phantoms)], None, (1, 2))
    alone = run_store.create(job, "tiny")
    execute_training(alone, WITHOUT_INPUT_CHECK)
    labels = LabelSpace(("normal", "bacterial", "viral", "covid19"), {})
    own = json.loads(json.dumps(evaluate_run(alone, labels).as_dict()))
    assert own["confusion"] == result.folds[1]["confusion"]
    assert own["macro_auc"] == pytest.approx(result.folds[1]["macro_auc"], abs=1e-6)


def test_a_cross_validation_does_not_go_on_with_other_films(home, phantoms, tmp_path):
    folder = shutil.copytree(phantoms, tmp_path / "films")
    run = run_store.create(crossval_job(tiny_recipe(training={"epochs": 1}), [str(folder)], 2), "crossval-tiny")
    with pytest.raises(Killed):
        execute(run, dying(carry_out_of(JobKind.CROSSVAL), 6))
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",viral,", ",normal,"))
    with raises_code("dataset.changed-since"):
        execute(run)


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
    run, result = crossval(tiny_recipe(training={"epochs": 1}), two_hospitals, by_source=True)
    assert {row.source for row in result.sources} == {"even", "odd"}
    assert list(result.impossible) == ["only-viral"]
    table = open_datasets([str(two_hospitals)]).table
    for row, folder in zip(result.sources, sorted((run.folder / "folds").iterdir()), strict=True):
        own = table[table["source"] == row.source]
        assert (row.normal, row.finding) == ((own["label"] == "normal").sum(), (own["label"] != "normal").sum())
        films = pd.read_csv(folder / FILMS).merge(table[["path", "source"]], on="path")
        assert set(films["role"][films["source"] == row.source]) == {"test"}
        assert set(films["role"][films["source"] != row.source]) == {"train", "val"}
        assert 0 <= row.specificity.low <= row.specificity.value <= row.specificity.high <= 1
    first, labels = result.sources[0], LabelSpace(("normal", "bacterial", "viral", "covid19"), {})
    scores = read_scores(run.folder / "folds" / "01" / SCORES)
    threshold = choose_threshold(scores[scores["role"] == "val"], labels)
    test = scores[scores["role"] == "test"]
    called_ill, ill = 1 - test["p_normal"] >= threshold, test["label"] != "normal"
    assert first.sensitivity.value == pytest.approx(called_ill[ill].mean())
    assert first.specificity.value == pytest.approx(1 - called_ill[~ill].mean())
    assert first.auc == pytest.approx(roc_auc_score(ill, 1 - test["p_normal"]))


def test_a_source_is_left_out_with_the_other_films_of_its_patients(home, two_hospitals):
    table = pd.read_csv(two_hospitals / "manifest.csv", dtype=str, keep_default_na=False)
    even, odd = (np.flatnonzero(table["source"] == name)[:8] for name in ("even", "odd"))
    table.loc[even, "patient_id"] = [f"both{n}" for n in range(8)]
    table.loc[odd, "patient_id"] = [f"both{n}" for n in range(8)]
    table.to_csv(two_hospitals / "manifest.csv", index=False)
    run, result = crossval(tiny_recipe(training={"epochs": 1}), two_hospitals, by_source=True)
    patients = {name: set(films["patient_id"]) for name, films in table.groupby("source")}
    table = table[table["split"] != "test"]
    for row, folder in zip(result.sources, sorted((run.folder / "folds").iterdir()), strict=True):
        elsewhere = table[(table["source"] != row.source) & table["patient_id"].isin(patients[row.source])]
        assert row.same_patients == len(elsewhere) >= 8
        assert not set(elsewhere["path"]) & set(pd.read_csv(folder / FILMS)["path"])


def test_sources_that_hold_all_films_of_a_class_are_refused(home, phantoms):
    with raises_code("dataset.no-source"):
        crossval_job(tiny_recipe(), [str(phantoms)], by_source=True)


def test_classes_without_a_negative_one_are_refused_before_a_source_is_left_out(home, two_hospitals):
    recipe = tiny_recipe(data={"classes": ["bacterial", "viral", "covid19"]})
    with raises_code("dataset.no-negative-class"):
        crossval_job(recipe, [str(two_hospitals)], by_source=True)


def test_the_result_by_source_is_printed_and_read_back(home, phantoms, capsys):
    row = LeftOutSource("even", 20, 30, Interval(0.9, 0.7, 0.97), Interval(0.5, math.nan, math.nan), None, 7)
    run = run_store.create(crossval_job(tiny_recipe(), [str(phantoms)]), "crossval-tiny")
    result = CrossvalResult(sources=(row,), impossible={"odd": "all films of a class"})
    store_result(run, result, pd.DataFrame({"path": ["a.png"]}))
    print_result(run)
    out = capsys.readouterr().out
    assert "0.900 (0.700–0.970)" in out
    assert "all films of a class" in out
    assert "7 X-rays" in out
    print_result(run, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["sources"][0]["specificity"] == {"value": 0.9, "low": 0.7, "high": 0.97}
    assert told["sources"][0]["sensitivity"] == {"value": 0.5, "low": None, "high": None}
    assert told["sources"][0]["auc"] is None
    assert list(told["impossible"]) == ["odd"]
    assert math.isnan(stored_result(run).sources[0].sensitivity.low)


def test_a_damaged_result_is_none(home, phantoms):
    run = run_store.create(crossval_job(tiny_recipe(), [str(phantoms)]), "crossval-tiny")
    run.result_folder.mkdir()
    (run.result_folder / RESULT).write_text("{")
    assert stored_result(run) is None
    with raises_code("run.no-result"):
        print_result(run)
