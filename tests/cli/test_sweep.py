"""`cxr sweep`: a study from the command line, its trials as text and as JSON."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from cxr.cli import sweep as command
from cxr.jobs import run_store
from cxr.jobs.parameters import JobKind, SweepParameters
from cxr.studies.proposals import PRESETS, PresetName
from cxr.studies.space import Space
from cxr.studies.trials import read_trials

pytest.importorskip("optuna", reason="Optuna is not installed (requirements-studies.txt)")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, home: Path) -> list[SweepParameters]:
    """What was asked for by the jobs that were started; no process is."""
    asked: list[SweepParameters] = []

    def create(job, name, prepare=None):
        asked.append(job.parameters)
        return run_store.create(job, name)

    monkeypatch.setattr(run_store, "start", create)
    return asked


def test_a_preset_is_a_study_of_so_many_trials(cxr, started: list[SweepParameters], phantoms: Path) -> None:
    code, _, err = cxr("sweep", "vgg16-default", "--data", phantoms, "--preset", "balanced", "--detach")
    assert code == 0, err
    assert started[0].trials == PRESETS[PresetName.BALANCED].trials
    assert (started[0].preset, started[0].model, started[0].metric) == ("balanced", "vgg16-default", "val_auc")


def test_a_space_of_ones_own_is_searched(
    cxr, answer, started: list[SweepParameters], phantoms: Path, tmp_path: Path
) -> None:
    file = tmp_path / "space.toml"
    file.write_text("head.dropout = { low = 0.0, high = 0.4, step = 0.2 }")
    options = ["--space", file, "--trials", 3, "--metric", "val_loss", "--seed", 5, "--name", "mine", "--detach"]
    found = answer("sweep", "vgg16-default", "--data", phantoms, *options)
    assert run_store.find(found["run"]).kind is JobKind.SWEEP
    asked = started[0]
    assert (asked.trials, asked.metric, asked.seed, asked.model, asked.preset) == (3, "val_loss", 5, "mine", "")
    assert Space.from_toml(asked.space_toml).size == 3
    file.write_text("head.dropout = { low = 3 }")
    assert cxr("sweep", "vgg16-default", "--data", phantoms, "--space", file)[0] == 5


def test_the_ranges_of_a_preset_are_printed_as_a_file_to_edit(cxr, phantoms: Path, home: Path) -> None:
    code, out, _ = cxr("sweep", "vgg16-default", "--data", phantoms, "--show-space")
    assert code == 0
    assert tomllib.loads(out)["optimiser"]["rate"]["scale"] == "log"
    assert run_store.all_runs() == []


def test_a_study_is_told_as_text_and_as_data(study_home: Path, home: Path) -> None:
    shutil.copytree(study_home, home)
    (run,) = run_store.of_kind(JobKind.SWEEP)
    found = command.study_dict(run)
    assert len(found["trials"]) == 4
    assert found["best"] in {trial.number for trial in read_trials(run.folder)}
    assert sum(found["importances"].values()) == pytest.approx(1)
    lines = command.study_text(run).splitlines()
    assert lines[0] == run.status.sentence
    assert len([line for line in lines if "Complete" in line or "Pruned" in line]) == 4


def test_trials_are_added_to_a_finished_study(
    cxr, study_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(study_home, home)
    (run,) = run_store.of_kind(JobKind.SWEEP)
    monkeypatch.setattr(run_store, "executor", lambda: SimpleNamespace(start=lambda _: None))
    assert cxr("jobs", "extend", run.id, "--trials", "5", "--detach")[0] == 0
    assert run.job.parameters_as(SweepParameters).trials == 9
    assert cxr("jobs", "extend", run.id)[0] != 0  # it is in progress now


def test_the_presets_of_the_command_are_those_of_the_library() -> None:
    assert {option.value for option in command.PresetOption} == set(PresetName)
