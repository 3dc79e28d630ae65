"""The inside of a run's process: alone on its run, in line for the device, and with a last word in any case."""

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
from cxr.jobs.run import Job
from cxr.jobs.run_journal import RunJournal, run_journal
from cxr.learning.history import StepProgress
from tests.support.waiting import wait_until

WEIGHTS = {"kernel": np.ones(3, np.float32)}


@pytest.fixture
def run(home):
    return new_run()


def new_run():
    return run_store.create(Job("", (), None), "tiny")


def test_a_run_is_working_while_its_process_works_on_it(run):
    with run_journal(run) as worker:
        assert run.status.state == "working" and run.status.alive
        worker.phase("reading films", 3, 9)
        assert run.status.phase == "reading films"
        worker.update(state="finished", sentence="Done.")
    assert run.status.state == "finished" and run.status.sentence == "Done."


def test_steps_are_seen_at_the_next_heartbeat(run):
    with run_journal(run) as worker:
        worker.step(StepProgress(1, 1, 20, 0.7, 0.5, 0.0))
        worker.step(StepProgress(1, 2, 20, float("nan"), float("nan"), 12.5))
        assert (run.status.phase, run.status.done) == ("training", 1)  # one file a heartbeat, not one a step
        worker.write_heartbeat()
        assert (run.status.epoch, run.status.done, run.status.total, run.status.loss) == (1, 2, 20, None)
        json.loads((run.folder / "status.json").read_text(), parse_constant=pytest.fail)
        worker.update(state="finished")


def test_a_heartbeat_says_speed_and_memory_and_keeps_the_step_for_its_curve(run):
    with run_journal(run) as worker:
        worker.step(StepProgress(1, 5, 20, 0.7, 0.5, 12.5))
        worker.write_heartbeat()
        worker.write_heartbeat()  # no step further: no row more
        status = run.status
        assert (status.accuracy, status.films_s) == (0.5, 12.5)
        assert 10_000_000 < status.memory_bytes < 100_000_000_000 and status.gpu_bytes == 0
        worker.step(StepProgress(1, 9, 20, 0.6, 0.75, 13.0))
        worker.write_heartbeat()
        assert [(row["epoch"], row["step"], row["loss"]) for row in run.steps()] == [(1, 5, 0.7), (1, 9, 0.6)]
        worker.update(state="finished")


def test_a_phase_says_since_when_it_lasts(run):
    with run_journal(run) as worker:
        worker.phase("reading films", 1, 9)
        first = run.status.phase_started
        assert time.time() - first < 5
        worker.phase("reading films", 2, 9)
        worker.write_heartbeat()
        assert run.status.phase_started == first
        worker.phase("computing features", 0, 9)
        assert run.status.phase_started > first
        worker.update(state="finished")


def test_the_heart_beats_by_itself(run):
    with run_journal(run) as worker:
        worker.note("A sentence.")
        first = run.status.heartbeat
        wait_until(lambda: run.status.heartbeat > first)
        assert run.status.sentence == "A sentence."
        worker.update(state="finished")


def test_two_processes_cannot_work_on_one_run(run):
    with run_journal(run) as worker:
        with pytest.raises(RunError, match="under way in another process"), run_journal(run):
            pytest.fail("both work")
        assert run.status.state == "working"  # the second left no word in the first one's status
        worker.update(state="stopped")
    with run_journal(run) as worker:
        worker.update(state="finished")


def test_a_finished_run_is_not_carried_out_again_by_who_came_second(run):
    with run_journal(run) as worker:
        worker.finish("Done.")
    for _ in range(2):
        with pytest.raises(RunError, match="is finished"), run_journal(run):
            pytest.fail("it is done again")
    assert run.status.sentence == "Done."


def test_a_second_run_waits_for_the_device_says_so_and_goes_on(run):
    second, said = new_run(), []

    def work():
        with run_journal(second) as worker:
            said.append(second.status)
            worker.update(state="finished", sentence="Done.")

    thread = threading.Thread(target=work)
    with run_journal(run) as worker:
        thread.start()
        wait_until(lambda: second.status.state == "waiting")
        assert "in line" in second.status.sentence and second.status.alive
        assert said == []
        worker.update(state="finished")
    thread.join(10)
    assert [(one.state, one.phase, one.sentence) for one in said] == [("working", "", "")]
    assert second.status.state == "finished"


def test_a_run_can_be_stopped_while_it_waits_in_line(run):
    second, raised = new_run(), []

    def work():
        try:
            with run_journal(second):
                pytest.fail("it went on")
        except RunError as error:
            raised.append(str(error))

    thread = threading.Thread(target=work)
    with run_journal(run) as worker:
        thread.start()
        wait_until(lambda: second.status.state == "waiting")
        run_store.stop(second)
        thread.join(10)
        assert raised == ["The run was stopped while it waited in line."]
        assert second.status.state == "stopped" and second.status.sentence == raised[0]
        worker.update(state="finished")


class ResourceExhaustedError(Exception):
    """Named as TensorFlow names it."""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (CxrError("There are not enough films."), "There are not enough films."),
        (ZeroDivisionError("division by zero"), "It failed unexpectedly (ZeroDivisionError); the log has the details."),
        (KeyboardInterrupt(), "It failed unexpectedly (KeyboardInterrupt); the log has the details."),
        (MemoryError(), "The device's memory was not enough; train with a smaller batch."),
        (ResourceExhaustedError(), "The device's memory was not enough; train with a smaller batch."),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_a_failure_ends_with_a_sentence_and_frees_run_and_device(run, error, sentence):
    with pytest.raises(type(error)), run_journal(run):
        raise error
    assert run.status.state == "failed" and run.status.sentence == sentence
    with run_journal(run) as worker:  # both locks are free again
        worker.update(state="finished")


def test_an_unexpected_failure_leaves_its_traceback_in_the_log(run, caplog):
    with pytest.raises(ZeroDivisionError), run_journal(run):
        _ = 1 / 0
    assert "1 / 0" in caplog.text


def test_a_run_that_was_asked_to_stop_ends_as_stopped(run):
    with pytest.raises(RunError), run_journal(run) as worker:
        assert not worker.stopping()
        run_store.stop(run)
        assert worker.stopping()
        raise RunError("The run was stopped before its first epoch ended.")
    assert run.status.state == "stopped"


def bests(run):
    return sorted(path.name for path in run.folder.glob("best-*.npz"))


def test_an_older_best_is_kept_until_a_checkpoint_speaks_of_the_newer(run):
    worker = RunJournal(run)
    worker.save("best-9", WEIGHTS)
    worker.save("checkpoint", WEIGHTS)
    worker.save("best-10", WEIGHTS)
    assert bests(run) == ["best-10.npz", "best-9.npz"]  # a kill here resumes from a checkpoint that needs the 9th
    worker.save("checkpoint", WEIGHTS)
    assert bests(run) == ["best-10.npz"]
    worker.save("checkpoint", WEIGHTS)
    assert bests(run) == ["best-10.npz"]


def test_a_best_that_no_checkpoint_spoke_of_does_not_cost_a_resumed_run_its_own(run):
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


def test_what_was_saved_is_loaded_and_what_was_not_is_none(run):
    worker = RunJournal(run)
    worker.save("checkpoint", WEIGHTS)
    np.testing.assert_array_equal(worker.load("checkpoint")["kernel"], WEIGHTS["kernel"])
    assert worker.load("best-1") is None


def test_a_damaged_checkpoint_is_an_error_in_words(run):
    (run.folder / "checkpoint.npz").write_bytes(b"PK half a file")
    with pytest.raises(CxrError, match="damaged"):
        RunJournal(run).load("checkpoint")


def test_a_run_says_that_the_disk_is_full_where_it_has_no_room_to_say_so(run, monkeypatch):
    def no_room(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"), run_journal(run) as worker:
        monkeypatch.setattr(run_module, "write_atomically", no_room)
        worker.phase("judging")
    assert run.status.state == "failed" and "The disk is full" in run.status.sentence


def test_a_heart_beats_again_when_there_is_room_again(run, monkeypatch):
    monkeypatch.setattr(journal_module, "HEARTBEAT_S", 0.01)
    asked = []

    def no_room(path, text):
        asked.append(text)
        if len(asked) < 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_atomically(path, text)

    with run_journal(run) as worker:
        worker.update(epoch=7)
        monkeypatch.setattr(run_module, "write_atomically", no_room)
        wait_until(lambda: run.status.epoch == 7)
        worker.update(state="finished")
    assert len(asked) >= 4
