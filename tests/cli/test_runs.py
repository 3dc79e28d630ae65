"""`cxr train`, `cxr crossval` and `cxr runs`: what runs leave, and how they are stopped, killed and resumed."""

from __future__ import annotations

import math
import shutil
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from cxr.cli.app import main
from cxr.core.number_format import counted
from cxr.jobs import run_store
from cxr.jobs.job import training_job
from cxr.jobs.run import Run, Status
from cxr.learning.film_selection import ExcludedFilms, ExclusionReason
from tests.support.command_line import Answer, Cxr
from tests.support.datasets import folder_of_films
from tests.support.files import rows_of
from tests.support.training import tiny_recipe
from tests.support.waiting import wait_until

CLASSES = ["normal", "bacterial", "viral", "covid19"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe file for two epochs of a tiny network."""
    path = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    path.write_text(tiny_recipe(head={"dense": [32]}, training={"epochs": 2}).to_toml())
    return path


@pytest.fixture(scope="module")
def trained_home(tmp_path_factory: pytest.TempPathFactory, phantoms: Path, recipe: Path) -> Path:
    """A home folder with one model, trained in a separate process; it must not be changed."""
    home = tmp_path_factory.mktemp("trained") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXR_HOME", str(home))
        patch.setattr(sys, "argv", ["cxr", "train", str(recipe), "--data", str(phantoms), "--name", "first"])
        with pytest.raises(SystemExit) as end:
            main()
    assert not end.value.code
    return home


@pytest.fixture
def trained(trained_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that home folder for this test alone."""
    home: Path = shutil.copytree(trained_home, tmp_path / "home")
    monkeypatch.setenv("CXR_HOME", str(home))
    return home


wait_for = partial(wait_until, timeout_s=90)


def ended_run(state: str = "stopped") -> Run:
    run = run_store.create(training_job("", (), None), "tiny")
    run.write_status(Status(state))
    return run


def start_long_run(answer: Answer, phantoms: Path, recipe: Path, epochs: int) -> Run:
    """A run in a separate process that is in its second epoch or later."""
    long = ("--set", f"training.epochs={epochs}", "--set", "training.steps_per_epoch=50")
    run = run_store.find(answer("train", recipe, "--data", phantoms, "--name", "long", "--detach", *long)["run"])
    wait_for(lambda: not run.status.alive or bool(run.history()))
    return run


def test_training_adds_a_model_to_the_registry_and_sets_it_as_default(trained: Path, answer: Answer, cxr: Cxr) -> None:
    listed = answer("models", "list")
    assert [(model["name"], model["default"]) for model in listed["models"]] == [("first", True)]
    card = answer("models", "show", "first")
    assert card["classes"] == CLASSES
    assert card["epochs"] == 2
    assert card["size_px"] == 32
    assert card["films"]["test"] == dict.fromkeys(CLASSES, 10)
    assert card["results"]["test"]["n"] == 40
    assert 0 < card["threshold"] < 1
    assert card["threshold_rule"]
    assert cxr("models", "list")[1].startswith("* first")
    assert "first" in cxr("models", "show", "first")[1]


def test_training_leaves_a_finished_run_with_its_history(trained: Path, answer: Answer, cxr: Cxr) -> None:
    (run,) = answer("runs", "list")
    assert run["state"] == "finished"
    assert run["model"] == "first"
    shown = answer("runs", "show", run["run"][:12])
    assert [row["epoch"] for row in shown["history"]] == [1, 2]
    assert any("epoch 2" in line for line in shown["log"])
    code, out, _ = cxr("runs", "show", run["run"])
    assert code == 0
    assert "finished" in out
    assert "'first'" in out
    assert "finished" in cxr("runs", "list")[1]


def test_before_a_run_starts_classes_and_what_is_left_out_are_printed(
    home: Path, tmp_path: Path, recipe: Path, cxr: Cxr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_store, "start", run_store.create)
    names = [f"{label}/{i}.png" for label in ("normal", "pneumonia", "covid19") for i in range(20)]
    folder = folder_of_films(tmp_path / "public", *names, *(f"other/{i}.png" for i in range(7)))
    code, out, err = cxr("train", recipe, "--data", folder, "--detach")
    assert code == 0
    assert out.startswith("Started run")
    assert "60 X-rays. Classes: Normal, COVID-19, Pneumonia." in err
    assert ExcludedFilms(ExclusionReason.LABEL, "other", 7).sentence in err


def test_a_name_in_use_is_an_error_before_a_run_starts(trained: Path, phantoms: Path, recipe: Path, cxr: Cxr) -> None:
    code, _, err = cxr("train", recipe, "--data", phantoms, "--name", "first")
    assert code == 7
    assert "'first'" in err
    assert len(run_store.all_runs()) == 1


def test_cross_validation_holds_out_every_training_film_once(
    home: Path, phantoms: Path, recipe: Path, answer: Answer
) -> None:
    found = answer("crossval", recipe, "--data", phantoms, "--folds", "2", "--set", "training.epochs=1")
    assert sum(fold["n"] for fold in found["folds"]) == sum(row["split"] == "train" for row in rows_of(phantoms))
    accuracies = [fold["accuracy"] for fold in found["folds"]]
    assert found["spread"]["accuracy"]["mean"] == pytest.approx(sum(accuracies) / 2)
    assert found["spread"]["accuracy"]["sd"] == pytest.approx(abs(accuracies[0] - accuracies[1]) / math.sqrt(2))
    assert answer("models", "list")["models"] == []
    (run,) = run_store.all_runs()
    assert (run.id, run.kind, run.status.state) == (found["run"], "crossval", "finished")
    shown = answer("jobs", "show", run.id)
    assert (shown["folds"], shown["spread"]) == (found["folds"], found["spread"])


def test_the_json_of_a_run_has_null_for_nan(home: Path, answer: Answer) -> None:
    run = ended_run()
    run.write_history([{"epoch": 1.0, "loss": 0.5, "val_auc": float("nan")}])
    (row,) = answer("runs", "show", run.id)["history"]
    assert (row["epoch"], row["loss"], row["val_auc"]) == (1.0, 0.5, None)
    assert {value for name, value in row.items() if name not in ("epoch", "loss")} == {None}


def test_runs_are_stopped_resumed_and_deleted_only_in_states_that_allow_it(home: Path, cxr: Cxr) -> None:
    finished = ended_run("finished")
    assert cxr("runs", "stop", finished.id)[0] == 6
    assert cxr("runs", "resume", finished.id)[0] == 6
    waiting = run_store.create(training_job("", (), None), "waiting")
    assert cxr("runs", "delete", waiting.id)[0] == 6
    assert cxr("runs", "stop", waiting.id)[0] == 0
    assert (waiting.folder / "stop").exists()
    assert cxr("runs", "delete", finished.id)[0] == 0
    assert run_store.all_runs() == [waiting]


def test_stopping_and_deleting_a_run_are_answered_in_json(home: Path, answer: Answer) -> None:
    waiting, ended = run_store.create(training_job("", (), None), "waiting"), ended_run("finished")
    assert answer("runs", "stop", waiting.id) == {"run": waiting.id}
    assert waiting.stop_requested
    assert answer("runs", "delete", ended.id) == {"run": ended.id}
    assert run_store.all_runs() == [waiting]


def test_a_run_that_was_killed_during_an_epoch_resumes_and_finishes(
    home: Path, phantoms: Path, recipe: Path, answer: Answer
) -> None:
    run = start_long_run(answer, phantoms, recipe, epochs=12)
    psutil.Process(run.status.pid).kill()
    wait_for(lambda: not run.status.alive)
    assert run.status.state == "interrupted"
    assert run.status.phase == "training"
    before = run.history()
    assert 1 <= len(before) < 12
    ended = answer("runs", "resume", run.id)
    assert ended["state"] == "finished"
    assert ended["model"] == "long"
    assert [row["epoch"] for row in run.history()] == list(range(1, 13))
    assert run.history()[: len(before)] == before  # finished epochs are not repeated


def test_a_run_that_is_stopped_leaves_its_best_weights_so_far(
    home: Path, phantoms: Path, recipe: Path, answer: Answer, cxr: Cxr
) -> None:
    run = start_long_run(answer, phantoms, recipe, epochs=1000)
    wait_for(lambda: run.status.epoch >= 2 and run.status.done > 0)  # written with a heartbeat
    assert run.status.state == "working"
    assert run.status.total == 50
    assert cxr("runs", "stop", run.id)[0] == 0
    wait_for(lambda: not run.status.alive)
    assert run.status.state == "stopped"
    assert run.status.model == "long"
    done = len(run.history())
    card = answer("models", "show", "long")
    best = min(run.history(), key=lambda row: row["val_loss"])
    assert 1 <= done < 1000
    assert (card["epochs"], card["best_epoch"]) == (done, best["epoch"])
    assert run.status.sentence.startswith(f"Stopped after {counted(done, 'epoch')}")
