"""A run's folder as its readers see it, whatever became of its process."""

import json
import math
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace

import psutil
import pytest

from cxr.core.errors import RunError
from cxr.core.paths import runs_dir
from cxr.jobs import runs
from cxr.jobs.runs import Job, Status

JOB = Job("name = 'tiny'\n", ("/films/one", "/films/two"), "tiny")


@pytest.fixture
def run(home):
    return runs.create(JOB, "tiny")


def alive(**changes):
    """The status that this very process would write."""
    now = time.time()
    own = Status("working", pid=os.getpid(), born=psutil.Process().create_time(), started=now, heartbeat=now)
    return replace(own, **changes)


def named_run(name):
    run = runs.Run(runs_dir() / name)
    run.folder.mkdir(parents=True)
    (run.folder / "job.json").write_text(json.dumps(asdict(JOB)))
    run.write_status(Status("finished"))
    return run


@pytest.mark.parametrize("fold", [None, (1, 5)])
def test_a_new_run_keeps_its_job(home, fold):
    job = replace(JOB, fold=fold, model=None if fold else "tiny")
    run = runs.create(job, "tiny")
    assert runs.find(run.id).job == job
    assert (run.folder / "recipe.toml").read_text() == JOB.recipe_toml
    assert run.id.split("-")[2] == "tiny"
    assert run.history() == [] and run.log_tail() == []


def test_a_run_is_starting_until_the_first_word_is_overdue(run):
    assert run.status.state == "starting" and run.status.alive
    overdue = time.time() - runs.STARTING_S - 1
    run.write_status(Status(heartbeat=overdue, started=overdue))
    assert run.status.state == "interrupted" and not run.status.alive
    assert "resumed" in run.status.sentence


@pytest.mark.parametrize("state", ["starting", "waiting", "working"])
def test_a_run_whose_process_lives_is_what_it_says(run, state):
    run.write_status(alive(state=state, heartbeat=time.time() - 3600))
    assert run.status.state == state and run.status.alive


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_a_last_word_stands_when_the_process_is_gone(run, state):
    run.write_status(Status(state, sentence="So it ended.", pid=2**22 + 1, born=1.0))
    assert run.status.state == state and run.status.sentence == "So it ended."


def test_a_run_whose_process_is_gone_is_interrupted(run):
    child = subprocess.Popen([sys.executable, "-c", ""])
    born = psutil.Process(child.pid).create_time()
    child.wait()
    run.write_status(alive(pid=child.pid, born=born, epoch=3))
    assert run.status.state == "interrupted"
    assert run.status.epoch == 3


def test_another_process_with_the_same_number_is_not_the_runs(run):
    run.write_status(alive(born=psutil.Process().create_time() - 60, heartbeat=time.time() - 60))
    assert run.status.state == "interrupted"


def test_a_run_whose_heart_beats_lives_though_the_clock_was_set(run):
    run.write_status(alive(born=psutil.Process().create_time() - 60, heartbeat=time.time()))
    assert run.status.state == "working"


@pytest.mark.parametrize("jump_s", [-1e8, -3600, -11, 11, 3600, 1e8])
@pytest.mark.parametrize("first_word", [True, False])
def test_a_dead_run_is_never_called_alive_however_the_clock_jumps(run, monkeypatch, jump_s, first_word):
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    born = psutil.Process(gone.pid).create_time()
    gone.wait()
    now = time.time()
    (run.folder / runs.PROCESS).write_text(json.dumps([gone.pid, born]))
    run.write_status(alive(pid=gone.pid, born=born) if first_word else Status(heartbeat=now, started=now))
    monkeypatch.setattr(runs.time, "time", lambda: now + jump_s)
    assert run.status.state == "interrupted"


def test_a_process_that_dies_before_its_first_word_is_missed_at_once(home, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    run = runs.start(JOB, "tiny")
    deadline = time.monotonic() + 5
    while run.status.alive and time.monotonic() < deadline:
        time.sleep(0.05)
    assert run.status.state == "interrupted"


def test_a_process_that_takes_long_for_its_first_word_is_starting(run):
    (run.folder / runs.PROCESS).write_text(json.dumps([os.getpid(), psutil.Process().create_time()]))
    run.write_status(Status(heartbeat=time.time() - 1000, started=time.time() - 1000))
    assert run.status.state == "starting"


def test_a_process_that_nobody_has_waited_for_is_gone(run):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = psutil.Process(child.pid)
    run.write_status(alive(pid=child.pid, born=process.create_time()))
    assert run.status.alive
    child.kill()
    deadline = time.monotonic() + 10
    while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.status() == psutil.STATUS_ZOMBIE
    assert run.status.state == "interrupted"
    child.communicate()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"unheard": 1}', '{"pid": "x"}', '{"heartbeat": null}'])
def test_a_damaged_status_is_a_failure_in_words(run, text):
    (run.folder / "status.json").write_text(text)
    assert run.status.state == "failed" and "cannot be read" in run.status.sentence


def test_a_missing_status_is_a_failure_in_words(run):
    (run.folder / "status.json").unlink()
    assert run.status.state == "failed"


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"recipe_toml": "", "datasets": 3, "fold": null}'])
def test_a_damaged_job_is_an_error_in_words(run, text):
    (run.folder / "job.json").write_text(text)
    with pytest.raises(RunError, match="damaged"):
        _ = run.job


def test_a_run_under_way_can_be_stopped_but_not_resumed_or_deleted(run):
    run.write_status(alive())
    for refused in (run.resume, run.delete):
        with pytest.raises(RunError, match="under way"):
            refused()
    run.stop()
    assert (run.folder / "stop").exists()


@pytest.mark.parametrize("state", ["finished", "stopped", "failed"])
def test_an_ended_run_cannot_be_stopped_but_deleted(run, state):
    run.write_status(Status(state))
    with pytest.raises(RunError, match="not under way"):
        run.stop()
    assert not (run.folder / "stop").exists()
    run.delete()
    assert runs.all_runs() == []


def test_a_finished_run_is_not_resumed(run):
    run.write_status(Status("finished"))
    with pytest.raises(RunError, match="nothing to resume"):
        run.resume()


def test_a_run_is_found_by_its_id_or_the_only_one_that_begins_so(home):
    first, second = named_run("20250101-120000-tiny-aaaa"), named_run("20250102-120000-tiny-bbbb")
    longer = named_run("20250102-120000-tiny-bbbb-2")
    assert runs.find(first.id) == first
    assert runs.find("20250101") == first
    assert runs.find(second.id) == second  # though another one begins so
    assert runs.find(longer.id) == longer
    for nothing in ("", "2024", "tiny", "../runs"):
        with pytest.raises(RunError, match="no run"):
            runs.find(nothing)
    with pytest.raises(RunError, match="more than one"):
        runs.find("2025")


def test_runs_are_listed_newest_first_and_strangers_are_not(home):
    assert runs.all_runs() == []
    older, newer = named_run("20250101-120000-tiny-aaaa"), named_run("20250103-120000-tiny-0000")
    (runs_dir() / "notes").mkdir()
    (runs_dir() / "device.lock").touch()
    assert runs.all_runs() == [newer, older]


def test_runs_of_one_second_are_listed_in_the_order_they_were_made(home):
    made = [runs.create(JOB, "tiny") for _ in range(8)]
    assert runs.all_runs() == made[::-1]


def test_steps_that_a_resumed_run_did_again_count_once(run):
    assert run.steps() == []
    for epoch, step in ((1, 4), (1, 9), (2, 3), (2, 8), (2, 2), (2, 7), (3, 1)):
        run.add_step((epoch, step, 10, 0.5, float("nan")))
    with (run.folder / runs.STEPS).open("a") as file:
        file.write("3,5,10,0.")  # caught while it is being written
    places = [(row["epoch"], row["step"]) for row in run.steps()]
    assert places == [(1, 4), (1, 9), (2, 2), (2, 7), (3, 1)]


def test_steps_that_cannot_be_read_count_as_none(run):
    (run.folder / runs.STEPS).write_text("torn\n")
    assert run.steps() == []


def test_a_run_that_an_older_version_began_goes_on_with_what_it_did_not_know(run):
    run.write_history([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.4, "films_s": 9.5}])
    first, second = run.history()
    assert first["loss"] == 0.5 and math.isnan(first["films_s"]) and second["films_s"] == 9.5


def test_a_status_of_an_older_version_is_read(run):
    old = {"state": "finished", "sentence": "Done.", "pid": 1, "started": 1.0, "heartbeat": 2.0}
    (run.folder / "status.json").write_text(json.dumps(old))
    assert run.status.state == "finished" and run.status.memory_bytes == 0


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
    assert seen == sorted(seen) and seen[0] >= 1
    assert [row["loss"] for row in run.history()] == [row["loss"] for row in rows]  # to the last digit
    leftovers = [path.name for path in run.folder.iterdir() if path.name.startswith(".")]
    assert leftovers == []


def test_the_log_is_read_from_its_end(run):
    (run.folder / "log.txt").write_bytes(b"\xff" + b"".join(b"line %d\n" % n for n in range(100)))
    assert run.log_tail(2) == ["line 98", "line 99"]
