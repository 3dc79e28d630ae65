"""`cxr labels` and `cxr learning-curve`: the whole way from a doubt to a comparison, and what each prints as JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cxr.datasets.dataset import Dataset
from cxr.datasets.manifest import write_manifest
from cxr.evaluation.label_review.review import find_review, save_answer
from cxr.jobs import run_store
from cxr.jobs.crossval import crossval_job
from cxr.jobs.crossval_result import CrossvalResult, store_result
from cxr.jobs.job import Job
from cxr.jobs.kinds import execute
from cxr.jobs.learning_curve import learning_curve_job
from cxr.jobs.parameters import JobKind, RankParameters
from cxr.jobs.rank import rank_job, summary_of
from cxr.jobs.review_comparison import REPORT, RESULT, ReviewComparison
from cxr.jobs.run import Run, Status
from tests.evaluation.label_review.test_given_scores import scores_of
from tests.support.command_line import Answer, Cxr
from tests.support.datasets import raises_code
from tests.support.training import tiny_recipe

CLASSES = ("normal", "bacterial", "viral", "covid19")


@pytest.fixture
def films(phantoms: Path, tmp_path: Path) -> Path:
    """The drawn X-rays, in a folder that a review may revise."""
    return shutil.copytree(phantoms, tmp_path / "films")


def cross_validated(folder: Path) -> Run:
    """A finished cross-validation of these X-rays, whose scores are made."""
    run = run_store.create(crossval_job(tiny_recipe(), [str(folder)], 2), "crossval-tiny")
    store_result(run, CrossvalResult(), scores_of(Dataset.open(folder), CLASSES))
    run.write_status(Status("finished"))
    return run


def test_the_scores_of_a_cross_validation_are_ranked_without_features_here_and_as_a_job(
    home: Path, films: Path, answer: Answer, cxr: Cxr
) -> None:
    run = cross_validated(films)
    found = answer("labels", "rank", films, "--scores", run.id[:15])
    assert (found["scores"], found["backbone"]) == (run.id, "")
    dataset = Dataset.open(films)
    assert found["films"] == int((dataset.table["split"] != "test").sum()) == len(dataset) - found["not_scored"]
    job = rank_job(str(films), "imagenet", scores=run.id)
    assert job.parameters_as(RankParameters).scores == run.id
    assert Job.from_json(job.to_json().encode()) == job
    ranked = run_store.create(job, "rank-imagenet")
    execute(ranked)
    summary = summary_of(ranked)
    assert summary
    assert summary == found | {"ranking": []}
    code, out, _ = cxr("labels", "rank", films, "--scores", run.id)
    assert code == 0
    assert run.id in out


def test_scores_that_are_none_and_scores_beside_features_are_refused(home: Path, films: Path) -> None:
    run = cross_validated(films)
    with raises_code("run.scores-need-no-features"):
        rank_job(str(films), "imagenet", [str(films)], scores=run.id)
    with raises_code("run.not-found"):
        rank_job(str(films), "imagenet", scores="20200101")
    run.write_status(Status("stopped"))
    with raises_code("run.no-scores"):
        rank_job(str(films), "imagenet", scores=run.id)


def test_a_review_is_started_applied_retrained_and_compared_by_commands(
    trained: Path, films: Path, answer: Answer, cxr: Cxr, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ReviewComparison(("Better.",), 3, {"first": "second", "n": 20})

    def start(job: Job, name: str) -> Run:
        """A training that has ended, as tests/jobs/test_review_comparison.py carries out."""
        run = run_store.create(job, name)
        run.result_folder.mkdir()
        (run.result_folder / RESULT).write_text(json.dumps(vars(found)))
        (run.result_folder / REPORT).write_text("<html></html>")
        run.write_status(Status("finished", model=str(job.model)))
        return run

    started = answer("labels", "review", films, "--features", "first", "--suspects", 8, "--controls", 2)
    assert started["films"] == 10
    review = find_review(started["review"])
    assert cxr("labels", "retrain", review.id, "--model", "first")[0] != 0  # nothing has been revised
    for item in review.items:
        save_answer(review, "Reader 1", item.film, "viral" if item.label == "normal" else "normal")
    assert len(answer("labels", "outcome", review.id)["edits"]) == 10
    assert answer("labels", "apply", review.id)["number"] == 1
    monkeypatch.setattr(run_store, "start", start)  # in this process
    retrained = answer("labels", "retrain", review.id, "--model", "first", "--name", "second")
    run = run_store.of_kind(JobKind.TRAIN)[0]
    assert (retrained["run"], retrained["state"], retrained["model"]) == (run.id, "finished", "second")
    assert retrained["comparison"] == {"verdict": ["Better."], "touched": 3, "comparison": found.comparison}
    assert (run.job.training.review, run.job.training.before) == (review.id, "first")
    code, out, _ = cxr("labels", "retrain", review.id, "--model", "first", "--name", "third")
    assert code == 0
    assert REPORT in out
    monkeypatch.setattr(run_store, "start", run_store.create)  # no process
    waiting = answer("labels", "retrain", review.id, "--model", "first", "--detach")
    assert run_store.find(waiting["run"]).job.model == "first-revised"


def test_a_learning_curve_is_printed_with_what_twice_as_many_would_bring(
    trained: Path, films: Path, answer: Answer, cxr: Cxr, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset.open(films)
    people = [f"p{i:03d}" for i in range(len(dataset))]
    label = np.where(dataset.labels.isin(("normal", "viral")), "normal", "pneumonia")
    label[np.flatnonzero(dataset.labels == "viral")[:20]] = "viral"  # too few for a class
    write_manifest(films / "manifest.csv", dataset.with_column("label", label).with_column("patient_id", people))
    found = answer("learning-curve", "--data", films, "--features", "first")
    assert found["classes"] == ["normal", "pneumonia"]
    assert found["left_out"] == {"viral": 20}
    assert found["backbone"].startswith("first@")
    assert found["patients"] == sorted(found["patients"])
    assert len(found["auc"]) == len(found["patients"])
    assert found["gain"]["low"] <= found["gain"]["value"] <= found["gain"]["high"]
    assert found["doubled"]["value"] >= found["at_all"]
    code, out, _ = cxr("learning-curve", "--data", films, "--features", "first")
    assert code == 0
    assert "Left out, of too few patients: 20 X-rays labeled viral pneumonia." in out
    assert "Twice as many patients are expected to change the AUC by" in out
    monkeypatch.setattr(run_store, "start", run_store.create)  # no process
    waiting = answer("learning-curve", "--data", films, "--features", "first", "--detach")
    assert run_store.find(waiting["run"]).job == learning_curve_job([str(films)], "first")
    write_manifest(films / "manifest.csv", dataset)  # 20 patients of each class
    assert cxr("learning-curve", "--data", films, "--features", "first")[0] != 0


def test_a_ranking_in_the_background_writes_no_table(phantoms: Path, tmp_path: Path, cxr: Cxr) -> None:
    code, _, err = cxr("labels", "rank", phantoms, "--detach", "--csv", tmp_path / "ranking.csv")
    assert code == 2
    assert "leave --csv out" in err
