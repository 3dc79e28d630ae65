"""Where jobs run, and which of them are running."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cxr.jobs import places, run_store, running
from cxr.jobs.job import Job, training_job
from cxr.jobs.parameters import EvaluateParameters
from cxr.jobs.places import MOST_BESIDE, Place, place_of, try_lock
from cxr.jobs.run import Run, Status
from cxr.jobs.run_journal import WAITING, open_journal
from cxr.learning.device import Device
from tests.support.waiting import wait_until

TRAINING = training_job("", ())
EVALUATION = Job(EvaluateParameters("first", "0" * 12))
pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.parametrize(
    ("job", "device", "place"),
    [
        (TRAINING, Device("CPU", "float32"), Place.DEVICE),
        (EVALUATION, Device("CPU", "float32"), Place.BESIDE),
        (EVALUATION, None, Place.DEVICE),  # there may be a GPU
    ],
)
def test_what_only_reads_runs_beside_trainings_where_there_is_no_gpu(
    job: Job, device: Device | None, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "device_without_tensorflow", lambda: device)
    assert place_of(job) is place


def test_a_job_without_a_place_waits_until_one_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "device_without_tensorflow", lambda: Device("CPU", "float32"))
    taken = Place.BESIDE.locks()
    assert len(taken) == MOST_BESIDE
    assert all(try_lock(lock) for lock in taken)
    run = run_store.create(EVALUATION, "evaluate-first")
    with open_journal(run_store.create(TRAINING, "tiny")) as training:  # the device is free for it
        training.finish("Done.")

    def work() -> None:
        with open_journal(run) as journal:
            journal.finish("Done.")

    worker = threading.Thread(target=work)
    worker.start()
    wait_until(lambda: run.status.state == "waiting")
    assert run.status.sentence == WAITING[Place.BESIDE]
    taken[0].release()
    worker.join(30)
    taken[1].release()
    assert run.status.state == "finished"


def test_of_two_jobs_that_wait_the_older_one_gets_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    (device,) = Place.DEVICE.locks()
    assert try_lock(device)
    older, younger = run_store.create(TRAINING, "tiny"), run_store.create(TRAINING, "tiny")
    order: list[str] = []

    def work(run: Run) -> None:
        with open_journal(run) as journal:
            order.append(run.id)
            journal.finish("Done.")

    threads = []
    for run in (younger, older):
        running.mark(run)
        threads.append(threading.Thread(target=work, args=(run,)))
        threads[-1].start()
        wait_until(lambda run=run: run.status.state == "waiting")  # type: ignore[misc]
    device.release()
    for thread in threads:
        thread.join(30)
    assert order == [older.id, younger.id]


def test_running_runs_are_those_with_a_mark_and_a_process() -> None:
    assert running.running_runs() == []
    alive, dead = run_store.create(TRAINING, "tiny"), run_store.create(TRAINING, "tiny")
    run_store.create(TRAINING, "tiny")  # that was never started
    for run in (alive, dead):
        running.mark(run)
    dead.write_status(replace(Status("working"), pid=2**22 - 1))
    assert running.running_runs() == [alive]
    assert [path.name for path in (run_store.runs_dir() / running.FOLDER).iterdir()] == [alive.id]
    running.unmark(alive)
    assert running.running_runs() == []


def test_a_run_that_ends_has_no_mark(tmp_path: Path) -> None:
    run = run_store.create(TRAINING, "tiny")
    running.mark(run)
    with pytest.raises(ZeroDivisionError), open_journal(run):
        _ = 1 / 0
    assert running.running_runs() == []
    assert not list((run_store.runs_dir() / running.FOLDER).iterdir())


def test_runs_are_listed_by_kind_and_by_model() -> None:
    training = run_store.create(TRAINING, "tiny")
    own, other = (
        run_store.create(EVALUATION, "evaluate-first"),
        run_store.create(Job(EvaluateParameters("first-2", "0" * 12)), "evaluate-first-2"),
    )
    assert run_store.of_kind(TRAINING.kind) == [training]
    assert run_store.of_kind(EVALUATION.kind) == [other, own]
    assert run_store.of_model(EVALUATION.kind, "first") == [own]
