"""A run's folder as its readers see it, whatever happens to its process."""

import json
import math
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from cxr.core.errors import RunError
from cxr.jobs import run_store
from cxr.jobs.job import training_job
from cxr.jobs.run import INTERRUPTED, PROCESS, STARTING_S, STATUS_UNREADABLE, STEPS, Run, Status
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


def test_a_run_is_starting_until_its_first_status_is_overdue(run):
    assert run.status.state == "starting"
    assert run.status.alive
    overdue = time.time() - STARTING_S - 1
    run.write_status(Status(heartbeat=overdue, started=overdue))
    assert run.status.state == "interrupted"
    assert not run.status.alive
    assert run.status.sentence == INTERRUPTED


@pytest.mark.parametrize("state", ["starting", "waiting", "working"])
def test_a_living_process_has_the_state_that_it_writes(run, state):
    run.write_status(alive(state=state, heartbeat=time.time() - 3600))
    assert run.status.state == state
    assert run.status.alive


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_a_final_state_stays_when_the_process_is_gone(run, state):
    run.write_status(Status(state, sentence="The end.", pid=2**22 + 1, born=1.0))
    assert run.status.state == state
    assert run.status.sentence == "The end."


def test_a_run_whose_process_is_gone_is_interrupted(run):
    child = subprocess.Popen([sys.executable, "-c", ""])
    born = psutil.Process(child.pid).create_time()
    child.wait()
    run.write_status(alive(pid=child.pid, born=born, epoch=3))
    assert run.status.state == "interrupted"
    assert run.status.epoch == 3


def test_another_process_with_the_same_id_is_not_the_runs(run):
    run.write_status(alive(born=psutil.Process().create_time() - 60, heartbeat=time.time() - 60))
    assert run.status.state == "interrupted"


def test_a_fresh_heartbeat_counts_although_the_clock_was_set(run):
    run.write_status(alive(born=psutil.Process().create_time() - 60, heartbeat=time.time()))
    assert run.status.state == "working"


@pytest.mark.parametrize("jump_s", [-1e8, -3600, -11, 11, 3600, 1e8])
@pytest.mark.parametrize("has_status", [True, False])
def test_a_dead_run_is_interrupted_however_the_clock_jumps(run, monkeypatch, jump_s, has_status):
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    born = psutil.Process(gone.pid).create_time()
    gone.wait()
    now = time.time()
    (run.folder / PROCESS).write_text(json.dumps([gone.pid, born]))
    run.write_status(alive(pid=gone.pid, born=born) if has_status else Status(heartbeat=now, started=now))
    monkeypatch.setattr(time, "time", lambda: now + jump_s)
    assert run.status.state == "interrupted"


def test_a_process_that_takes_long_for_its_first_status_is_starting(run):
    (run.folder / PROCESS).write_text(json.dumps([os.getpid(), psutil.Process().create_time()]))
    run.write_status(Status(heartbeat=time.time() - 1000, started=time.time() - 1000))
    assert run.status.state == "starting"


def test_a_zombie_process_counts_as_gone(run):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = psutil.Process(child.pid)
    run.write_status(alive(pid=child.pid, born=process.create_time()))
    assert run.status.alive
    child.kill()
    wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)
    assert run.status.state == "interrupted"
    child.communicate()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"unheard": 1}', '{"pid": "x"}', '{"heartbeat": null}'])
def test_a_damaged_status_reads_as_failed(run, text):
    (run.folder / "status.json").write_text(text)
    assert (run.status.state, run.status.sentence) == ("failed", STATUS_UNREADABLE)


def test_a_missing_status_reads_as_failed(run):
    (run.folder / "status.json").unlink()
    assert run.status.state == "failed"


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"recipe_toml": "", "datasets": 3, "fold": null}'])
def test_a_damaged_job_is_a_run_error(run, text):
    (run.folder / "job.json").write_text(text)
    with pytest.raises(RunError) as error:
        _ = run.job
    assert error.value.code == "run.damaged"


def test_steps_that_a_resumed_run_repeats_count_once(run):
    assert run.steps() == []
    for epoch, step in ((1, 4), (1, 9), (2, 3), (2, 8), (2, 2), (2, 7), (3, 1)):
        run.add_step((epoch, step, 10, 0.5, float("nan")))
    with (run.folder / STEPS).open("a") as file:
        file.write("3,5,10,0.")  # caught while it is being written
    places = [(row["epoch"], row["step"]) for row in run.steps()]
    assert places == [(1, 4), (1, 9), (2, 2), (2, 7), (3, 1)]


def test_steps_that_cannot_be_read_count_as_none(run):
    (run.folder / STEPS).write_text("torn\n")
    assert run.steps() == []


def test_history_columns_that_an_older_version_lacked_are_nan(run):
    run.write_history([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.4, "films_s": 9.5}])
    first, second = run.history()
    assert first["loss"] == 0.5
    assert math.isnan(first["films_s"])
    assert second["films_s"] == 9.5


def test_a_status_of_an_older_version_is_read(run):
    old = {"state": "finished", "sentence": "Done.", "pid": 1, "started": 1.0, "heartbeat": 2.0}
    (run.folder / "status.json").write_text(json.dumps(old))
    assert run.status.state == "finished"
    assert run.status.memory_bytes == 0


def test_history_can_be_read_at_any_moment_while_it_is_written(run):
    rows = [{"epoch": float(n), "loss": 1 / n, "val_auc": float("nan")} for n in range(1, 200)]
    run.write_history(rows[:1])
    run.write_status(alive())
    ended = threading.Event()

    def write():
        for n in range(1, len(rows) + 1):
            run.write_history(rows[:n])
            run.write_status(alive(epoch=n))
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not ended.is_set():
        seen.append(len(run.history()))
        assert run.status.state == "working"
    writer.join()
    assert seen == sorted(seen)
    assert seen[0] >= 1
    assert [row["loss"] for row in run.history()] == [row["loss"] for row in rows]  # to the last digit
    leftovers = [path.name for path in run.folder.iterdir() if path.name.startswith(".")]
    assert leftovers == []


def test_the_log_is_read_from_its_end(run):
    (run.folder / "log.txt").write_bytes(b"\xff" + b"".join(b"line %d\n" % n for n in range(100)))
    assert run.log_tail(2) == ["line 98", "line 99"]
