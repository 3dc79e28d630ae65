"""The journal of a run's process: alone on its run, one at a time on the device, with a final status in any case."""

import errno
import json
import threading
import time

import numpy as np
import pytest

from cxr.core.atomic_files import write_atomically
from cxr.core.errors import CxrError, RunError
from cxr.jobs import run as run_module
from cxr.jobs import run_journal as journal_module
from cxr.jobs import run_store
from cxr.jobs.job import training_job
from cxr.jobs.places import Place
from cxr.jobs.run_journal import DISK_FULL, OUT_OF_MEMORY, WAITING, RunJournal, open_journal
from cxr.learning.journal import Phase, StepProgress
from tests.support.waiting import wait_until

WEIGHTS = {"kernel": np.ones(3, np.float32)}


@pytest.fixture
def run(home):
    return new_run()


def new_run():
    return run_store.create(training_job("", (), None), "tiny")


def test_a_run_is_working_while_its_process_works_on_it(run):
    with open_journal(run) as journal:
        assert run.status.state == "working"
        assert run.status.alive
        journal.phase(Phase.READING_IMAGES, 3, 9)
        assert run.status.phase == Phase.READING_IMAGES
        journal.update(state="finished", sentence="Done.")
    assert run.status.state == "finished"
    assert run.status.sentence == "Done."


def test_steps_are_written_at_the_next_heartbeat(run):
    with open_journal(run) as journal:
        journal.step(StepProgress(1, 1, 20, 0.7, 0.5, 0.0))
        journal.step(StepProgress(1, 2, 20, float("nan"), float("nan"), 12.5))
        assert (run.status.phase, run.status.done) == (Phase.TRAINING, 1)  # one file a heartbeat, not one a step
        journal.write_heartbeat()
        assert (run.status.epoch, run.status.done, run.status.total, run.status.loss) == (1, 2, 20, None)
        json.loads((run.folder / "status.json").read_text(), parse_constant=pytest.fail)
        journal.update(state="finished")


def test_a_heartbeat_writes_speed_memory_and_the_step(run):
    with open_journal(run) as journal:
        journal.step(StepProgress(1, 5, 20, 0.7, 0.5, 12.5))
        journal.write_heartbeat()
        journal.write_heartbeat()  # no step further: no row more
        status = run.status
        assert (status.accuracy, status.films_s) == (0.5, 12.5)
        assert 10_000_000 < status.memory_bytes < 100_000_000_000
        assert status.gpu_bytes == 0
        journal.step(StepProgress(1, 9, 20, 0.6, 0.75, 13.0))
        journal.write_heartbeat()
        assert [(row["epoch"], row["step"], row["loss"]) for row in run.steps()] == [(1, 5, 0.7), (1, 9, 0.6)]
        journal.update(state="finished")


def test_a_phase_has_the_time_of_its_start(run):
    with open_journal(run) as journal:
        journal.phase(Phase.READING_IMAGES, 1, 9)
        first = run.status.phase_started
        assert time.time() - first < 5
        journal.phase(Phase.READING_IMAGES, 2, 9)
        journal.write_heartbeat()
        assert run.status.phase_started == first
        journal.phase(Phase.COMPUTING_FEATURES, 0, 9)
        assert run.status.phase_started > first
        journal.update(state="finished")


def test_heartbeats_are_written_in_the_background(run):
    with open_journal(run) as journal:
        journal.note("A sentence.")
        first = run.status.heartbeat
        wait_until(lambda: run.status.heartbeat > first)
        assert run.status.sentence == "A sentence."
        journal.update(state="finished")


def test_two_processes_cannot_work_on_one_run(run):
    with open_journal(run) as journal:
        with pytest.raises(RunError) as error, open_journal(run):
            pytest.fail("both work")
        assert error.value.code == "run.in-progress"
        assert run.status.state == "working"  # the second left no word in the first one's status
        journal.update(state="stopped")
    with open_journal(run) as journal:
        journal.update(state="finished")


def test_a_finished_run_is_not_executed_again(run):
    with open_journal(run) as journal:
        journal.finish("Done.")
    for _ in range(2):
        with pytest.raises(RunError) as error, open_journal(run):
            pytest.fail("it is done again")
        assert error.value.code == "run.finished"
    assert run.status.sentence == "Done."


def test_a_second_run_waits_for_the_device_and_continues(run):
    second, said = new_run(), []

    def work():
        with open_journal(second) as journal:
            said.append(second.status)
            journal.update(state="finished", sentence="Done.")

    thread = threading.Thread(target=work)
    with open_journal(run) as journal:
        thread.start()
        wait_until(lambda: second.status.state == "waiting")
        assert second.status.alive
        assert (second.status.phase, second.status.sentence) == (Phase.WAITING, WAITING[Place.DEVICE])
        assert said == []
        journal.update(state="finished")
    thread.join(10)
    assert [(one.state, one.phase, one.sentence) for one in said] == [("working", "", "")]
    assert second.status.state == "finished"


def test_a_run_can_be_stopped_while_it_waits_for_the_device(run):
    second, raised = new_run(), []

    def work():
        try:
            with open_journal(second):
                pytest.fail("it went on")
        except RunError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    with open_journal(run) as journal:
        thread.start()
        wait_until(lambda: second.status.state == "waiting")
        run_store.stop(second)
        thread.join(10)
        assert [error.code for error in raised] == ["run.stopped"]
        assert (second.status.state, second.status.sentence) == ("stopped", str(raised[0]))
        journal.update(state="finished")


class ResourceExhaustedError(Exception):
    """Named as TensorFlow names it."""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (CxrError("There are not enough films."), "There are not enough films."),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (MemoryError(), OUT_OF_MEMORY),
        (ResourceExhaustedError(), OUT_OF_MEMORY),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_a_failure_is_written_and_releases_run_and_device(run, error, sentence):
    with pytest.raises(type(error)), open_journal(run):
        raise error
    assert run.status.state == "failed"
    assert sentence in run.status.sentence
    with open_journal(run) as journal:  # both locks are free again
        journal.update(state="finished")


def test_an_unexpected_failure_leaves_its_traceback_in_the_log(run, caplog):
    with pytest.raises(ZeroDivisionError), open_journal(run):
        _ = 1 / 0
    assert "1 / 0" in caplog.text


def test_an_error_after_a_request_to_stop_ends_as_stopped(run):
    def work():
        with open_journal(run) as journal:
            assert not journal.should_stop()
            run_store.stop(run)
            assert journal.should_stop()
            raise RunError("stopped")

    with pytest.raises(RunError, match="stopped"):
        work()
    assert run.status.state == "stopped"


def bests(run):
    return sorted(path.name for path in run.folder.glob("best-*.npz"))


def test_older_best_weights_stay_until_a_checkpoint_refers_to_newer_ones(run):
    journal = RunJournal(run)
    journal.save("best-9", WEIGHTS)
    journal.save("checkpoint", WEIGHTS)
    journal.save("best-10", WEIGHTS)
    assert bests(run) == ["best-10.npz", "best-9.npz"]  # a kill here resumes from a checkpoint that needs the 9th
    journal.save("checkpoint", WEIGHTS)
    assert bests(run) == ["best-10.npz"]
    journal.save("checkpoint", WEIGHTS)
    assert bests(run) == ["best-10.npz"]


def test_best_weights_without_a_checkpoint_do_not_delete_those_of_a_resumed_run(run):
    killed = RunJournal(run)
    killed.save("best-3", WEIGHTS)
    killed.save("checkpoint", WEIGHTS)
    killed.save("best-5", WEIGHTS)  # and killed before the checkpoint of epoch 5
    resumed = RunJournal(run)
    resumed.save("checkpoint", WEIGHTS)  # the 5th epoch again, this time no better than the 3rd
    assert resumed.load("best-3") is not None
    resumed.save("best-6", WEIGHTS)
    resumed.save("checkpoint", WEIGHTS)
    assert bests(run) == ["best-6.npz"]


def test_saved_arrays_are_loaded_and_missing_ones_are_none(run):
    journal = RunJournal(run)
    journal.save("checkpoint", WEIGHTS)
    saved = journal.load("checkpoint")
    assert saved is not None
    np.testing.assert_array_equal(saved["kernel"], WEIGHTS["kernel"])
    assert journal.load("best-1") is None


def test_a_damaged_checkpoint_is_a_cxr_error(run):
    (run.folder / "checkpoint.npz").write_bytes(b"PK half a file")
    with pytest.raises(CxrError, match="damaged"):
        RunJournal(run).load("checkpoint")


def test_a_full_disk_is_reported_although_the_disk_is_full(run, monkeypatch):
    def no_room(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def work():
        with open_journal(run) as journal:
            monkeypatch.setattr(run_module, "write_atomically", no_room)
            journal.phase(Phase.EVALUATING)

    with pytest.raises(OSError, match="No space left"):
        work()
    assert (run.status.state, run.status.sentence) == ("failed", DISK_FULL)


def test_heartbeats_continue_when_the_disk_has_room_again(run, monkeypatch):
    monkeypatch.setattr(journal_module, "HEARTBEAT_S", 0.01)
    asked = []

    def no_room(path, text):
        asked.append(text)
        if len(asked) < 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_atomically(path, text)

    with open_journal(run) as journal:
        journal.update(epoch=7)
        monkeypatch.setattr(run_module, "write_atomically", no_room)
        wait_until(lambda: run.status.epoch == 7)
        journal.update(state="finished")
    assert len(asked) >= 4
