"""The journal of a run, written by its process: status, heartbeat, log and checkpoints in the run's folder."""

from __future__ import annotations

import errno
import logging
import math
import os
import platform
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cxr.core.errors import CxrError, RunError
from cxr.core.stored_data import remove
from cxr.jobs import running
from cxr.jobs.executors import is_placed
from cxr.jobs.places import Place, place_of, try_lock
from cxr.jobs.run import Run, Status
from cxr.jobs.timetable import Timetable
from cxr.learning.device import gpu_peak_bytes
from cxr.learning.journal import CHECKPOINT, Phase, StepProgress
from cxr.registry.weights_file import load_arrays, save_arrays

HEARTBEAT_S = 2.0
PLACE_POLL_S = 0.5
PHASES = {Place.DEVICE: Phase.WAITING, Place.BESIDE: Phase.WAITING_FOR_OTHERS}
WAITING = {
    Place.DEVICE: "Waiting for another job to finish on the device.",
    Place.BESIDE: "Waiting for other jobs to finish.",
}
OUT_OF_MEMORY = "The device ran out of memory. Reduce the batch size."
DISK_FULL = "The disk is full. Free some space, then resume the run."
log = logging.getLogger("cxr")


class RunJournal:
    """A `cxr.learning.journal.Journal` that writes everything to the run's folder."""

    _timetable: Timetable | None = None

    def __init__(self, run: Run) -> None:
        import psutil

        self.run = run
        self._process = psutil.Process()
        self._last_step = (0, 0)  # epoch and step of the last row in steps.csv
        self._lock = threading.Lock()
        self._best: Path | None = None
        now = time.time()
        self._status = Status(
            "starting",
            pid=os.getpid(),
            host=platform.node(),
            placed=is_placed(),
            born=self._process.create_time(),
            started=now,
            heartbeat=now,
            earlier_s=run.status.worked_s,
        )
        run.write_status(self._status)

    def update(self, **changes: Any) -> None:
        """Change the status; readers see it at the next heartbeat, or at once where state or phase changes."""
        with self._lock:
            at_once = {"state", "phase"} & {
                key for key, value in changes.items() if value != getattr(self._status, key)
            }
            if "phase" in at_once:
                changes["phase_started"] = time.time()
            self._status = replace(self._status, **changes)
            if at_once:
                self._write()

    def write_heartbeat(self) -> None:
        """Write the status with the peak memory so far; during training, also a row of steps.csv."""
        memory_bytes = self._process.memory_info().rss
        with self._lock:
            now = self._status
            self._status = replace(
                now,
                memory_bytes=max(now.memory_bytes, memory_bytes),
                gpu_bytes=max(now.gpu_bytes, gpu_peak_bytes() if now.device else 0),
            )
            self._write()
            if now.phase == Phase.TRAINING and now.loss is not None and (now.epoch, now.done) != self._last_step:
                self._last_step = (now.epoch, now.done)
                accuracy = math.nan if now.accuracy is None else now.accuracy
                self.run.add_step((now.epoch, now.done, now.total, now.loss, accuracy))

    def _write(self) -> None:
        self._status = replace(self._status, heartbeat=time.time())
        if table := self._timetable:
            left_s = table.left_s() if self._status.alive else None
            self._status = replace(self._status, left_s=left_s, share=table.share(), rates=table.rates())
        self.run.write_status(self._status)

    def expect(self, timetable: Timetable) -> None:
        """Count the time that is left by this timetable; what was measured by a former one stays."""
        with self._lock:
            if self._timetable:
                self._timetable.plans = timetable.plans
            else:
                self._timetable = replace(timetable, earlier_s=self._status.earlier_s)

    def finish(self, sentence: str) -> None:
        """Write the final status; a finished run cannot be resumed, so its checkpoints are deleted."""
        stopped = self.should_stop()
        self.update(state="stopped" if stopped else "finished", phase="", sentence=sentence)
        for path in () if stopped else self.run.folder.glob("*.npz"):
            path.unlink()
        if not stopped:
            remove(self.run.steps_folder)

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        first = {"first": done} if name != self._status.phase else {}
        if self._timetable:
            with self._lock:
                self._timetable.report(name, done, total)
        self.update(phase=name, done=done, total=total, **first)

    def step(self, progress: StepProgress) -> None:
        if self._timetable:
            with self._lock:
                done = progress.epoch - 1 + progress.step / max(progress.steps, 1)
                self._timetable.report_epochs(done, self._status.epochs)
        self.update(
            phase=Phase.TRAINING,
            epoch=progress.epoch,
            done=progress.step,
            total=progress.steps,
            loss=_finite(progress.loss),
            accuracy=_finite(progress.accuracy),
            films_s=round(progress.films_s, 2),
        )

    def history(self, rows: list[dict[str, float]]) -> None:
        self.run.write_history(rows)

    def note(self, sentence: str) -> None:
        log.info(sentence)
        self.update(sentence=sentence)

    def should_stop(self) -> bool:
        return self.run.stop_requested

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Store the arrays; older best weights are deleted once a checkpoint no longer refers to them."""
        path = self.run.folder / f"{name}.npz"
        save_arrays(path, arrays)
        if name != CHECKPOINT:
            self._best = path
        elif self._best:  # before a resumed run has a better epoch, the file it finds may be its best
            for other in self.run.folder.glob("best-*.npz"):
                if other != self._best:
                    other.unlink()

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        path = self.run.folder / f"{name}.npz"
        return load_arrays(path) if path.exists() else None


@contextmanager
def open_journal(run: Run) -> Iterator[RunJournal]:
    """The run's journal, while this process alone works on the run and has the place that its job needs.

    However the block ends, the status ends with a sentence.
    """
    lock = run.worker_lock()
    if not try_lock(lock):
        raise RunError(f"Another process is working on run {run.id}.", code="in-progress")
    if run.status.state == "finished":  # resumed twice at the same time, and the other process finished first
        lock.release()
        raise RunError(f"Run {run.id} has finished; there is nothing to do.", code="finished")
    journal = RunJournal(run)
    ended = threading.Event()
    heartbeat = threading.Thread(target=_write_heartbeats, args=(journal, ended), daemon=True)
    heartbeat.start()
    try:
        with nullcontext() if is_placed() else _place(place_of(run.job), journal):
            journal.update(state="working", phase="", sentence="")
            yield journal
    except CxrError as error:
        state = "stopped" if journal.should_stop() else "failed"
        log.error("%s: %s", state, error, exc_info=error.__cause__)
        journal.update(state=state, sentence=str(error))
        raise
    except BaseException as error:
        log.exception("failed")
        journal.update(state="failed", sentence=_failure_sentence(error))
        raise
    finally:
        ended.set()
        heartbeat.join()
        running.unmark(run)
        lock.release()


@contextmanager
def _place(place: Place, journal: RunJournal) -> Iterator[None]:
    """Waits until the job has a place of this kind, and frees it after the block; who has waited longer comes first."""
    locks = place.locks()
    while _is_behind(journal.run, place) or not any(try_lock(lock) for lock in locks):
        journal.update(state="waiting", phase=PHASES[place], sentence=WAITING[place])
        if journal.should_stop():
            raise RunError("Stopped while waiting for its turn.", code="stopped")
        time.sleep(PLACE_POLL_S)
    try:
        yield
    finally:
        for lock in locks:
            lock.release()


def _is_behind(run: Run, place: Place) -> bool:
    """Whether an older job waits for such a place."""
    older = (other for other in running.running_runs() if other.id < run.id)
    return any(other.status.state == "waiting" and place_of(other.job) is place for other in older)


def _write_heartbeats(journal: RunJournal, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT_S):
        with suppress(OSError):  # a full disk may have room again at the next heartbeat
            journal.write_heartbeat()


def _finite(value: float) -> float | None:
    """The value, or None if JSON has no number for it."""
    return value if math.isfinite(value) else None


def _failure_sentence(error: BaseException) -> str:
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return OUT_OF_MEMORY
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return DISK_FULL
    return f"Failed unexpectedly ({type(error).__name__}). See the log for details."
