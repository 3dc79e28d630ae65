"""Runs are created, started, found, stopped, resumed and deleted."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from cxr.core.errors import RunError
from cxr.core.paths import runs_dir
from cxr.jobs import run_store
from cxr.jobs.job import training_job
from cxr.jobs.run import Run, Status
from tests.support.waiting import wait_until

JOB = training_job("name = 'tiny'\n", ("/films/one", "/films/two"), "tiny")


@pytest.fixture
def run(home: Path) -> Run:
    return run_store.create(JOB, "tiny")


def alive(**changes: Any) -> Status:
    """The status that this process would write."""
    now = time.time()
    own = Status("working", pid=os.getpid(), born=psutil.Process().create_time(), started=now, heartbeat=now)
    return replace(own, **changes)


def named_run(name: str) -> Run:
    run = Run(runs_dir() / name)
    run.folder.mkdir(parents=True)
    (run.folder / "job.json").write_text(JOB.to_json())
    run.write_status(Status("finished"))
    return run


@pytest.mark.parametrize("fold", [None, (1, 5)])
def test_a_new_run_stores_its_job(home, fold):
    job = training_job("name = 'tiny'\n", JOB.inputs, None if fold else "tiny", fold)
    run = run_store.create(job, "tiny")
    assert run_store.find(run.id).job == job
    assert (run.folder / "recipe.toml").read_text() == JOB.training.recipe_toml
    assert run.id.split("-")[2] == "tiny"
    assert run.history() == []
    assert run.log_tail() == []


def test_a_process_that_dies_before_its_first_status_makes_the_run_interrupted(home, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    run = run_store.start(JOB, "tiny")
    wait_until(lambda: not run.status.alive)
    assert run.status.state == "interrupted"


def test_a_run_in_progress_can_be_stopped_but_not_resumed_or_deleted(run):
    run.write_status(alive())
    for refused in (run_store.resume, run_store.delete):
        with pytest.raises(RunError) as error:
            refused(run)
        assert error.value.code == "run.in-progress"
    run_store.stop(run)
    assert (run.folder / "stop").exists()


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_an_ended_run_can_be_deleted_but_not_stopped(run, state):
    run.write_status(Status(state))
    with pytest.raises(RunError) as error:
        run_store.stop(run)
    assert error.value.code == "run.not-in-progress"
    assert not (run.folder / "stop").exists()
    run_store.delete(run)
    assert run_store.all_runs() == []


def test_a_finished_run_is_not_resumed(run):
    run.write_status(Status("finished"))
    with pytest.raises(RunError) as error:
        run_store.resume(run)
    assert error.value.code == "run.finished"


def test_a_run_is_found_by_its_id_or_by_a_prefix_that_only_one_run_has(home):
    first, second = named_run("20250101-120000-tiny-aaaa"), named_run("20250102-120000-tiny-bbbb")
    longer = named_run("20250102-120000-tiny-bbbb-2")
    assert run_store.find(first.id) == first
    assert run_store.find("20250101") == first
    assert run_store.find(second.id) == second  # although another id begins with it
    assert run_store.find(longer.id) == longer
    for nothing in ("", "2024", "tiny", "../runs"):
        with pytest.raises(RunError) as error:
            run_store.find(nothing)
        assert error.value.code == "run.not-found"
    with pytest.raises(RunError) as error:
        run_store.find("2025")
    assert error.value.code == "run.ambiguous"


def test_runs_are_listed_newest_first_and_other_files_are_not(home):
    assert run_store.all_runs() == []
    older, newer = named_run("20250101-120000-tiny-aaaa"), named_run("20250103-120000-tiny-0000")
    (runs_dir() / "notes").mkdir()
    (runs_dir() / "device.lock").touch()
    assert run_store.all_runs() == [newer, older]


def test_runs_of_the_same_second_are_listed_in_the_order_of_their_creation(home):
    made = [run_store.create(JOB, "tiny") for _ in range(8)]
    assert run_store.all_runs() == made[::-1]
