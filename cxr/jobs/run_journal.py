"""The inside of a run's process: one at a time on the device, a heartbeat, a stop file, a last word in any case."""

from __future__ import annotations

import errno
import logging
import math
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock
from numpy.typing import NDArray

from cxr.core.errors import CxrError, RunError
from cxr.jobs.run import Run, Status
from cxr.jobs.run_store import device_lock, try_lock
from cxr.learning.device import gpu_peak_bytes
from cxr.learning.history import StepProgress
from cxr.registry.weights_file import load_arrays, save_arrays

HEARTBEAT_S = 2.0
log = logging.getLogger("cxr")


class RunJournal:
    """The journal of a training that keeps everything in the run's folder."""

    def __init__(self, run: Run) -> None:
        import psutil

        self.run = run
        self._process = psutil.Process()
        self._told = (0, 0)  # epoch and step of the last row of steps
        self._lock = threading.Lock()
        self._best: Path | None = None
        now = time.time()
        self._status = Status("starting", pid=os.getpid(), born=self._process.create_time(), started=now, heartbeat=now)
        run.write_status(self._status)

    def update(self, **changes: Any) -> None:
        """Change what the status says; readers see it at the next heartbeat, or at once where the state changes."""
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
        """Say where it is, and how much memory that has taken; during training, keep the step for its curve."""
        memory_bytes = self._process.memory_info().rss
        with self._lock:
            now = self._status
            self._status = replace(
                now,
                memory_bytes=max(now.memory_bytes, memory_bytes),
                gpu_bytes=max(now.gpu_bytes, gpu_peak_bytes() if now.device else 0),
            )
            self._write()
            if now.phase == "training" and now.loss is not None and (now.epoch, now.done) != self._told:
                self._told = (now.epoch, now.done)
                accuracy = math.nan if now.accuracy is None else now.accuracy
                self.run.add_step((now.epoch, now.done, now.total, now.loss, accuracy))

    def _write(self) -> None:
        self._status = replace(self._status, heartbeat=time.time())
        self.run.write_status(self._status)

    def finish(self, sentence: str) -> None:
        """The last word; what only a resumed run would need goes, as a finished one cannot be resumed."""
        stopped = self.stopping()
        self.update(state="stopped" if stopped else "finished", phase="", sentence=sentence)
        for path in () if stopped else self.run.folder.glob("*.npz"):
            path.unlink()

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        self.update(phase=name, done=done, total=total)

    def step(self, now: StepProgress) -> None:
        self.update(
            phase="training",
            epoch=now.epoch,
            done=now.step,
            total=now.steps,
            loss=_number(now.loss),
            accuracy=_number(now.accuracy),
            films_s=round(now.films_s, 2),
        )

    def history(self, rows: list[dict[str, float]]) -> None:
        self.run.write_history(rows)

    def note(self, sentence: str) -> None:
        log.info(sentence)
        self.update(sentence=sentence)

    def stopping(self) -> bool:
        return self.run.stop_requested

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep the arrays; an older best is dropped once a checkpoint no longer speaks of it."""
        path = self.run.folder / f"{name}.npz"
        save_arrays(path, arrays)
        if name != "checkpoint":
            self._best = path
        elif self._best:  # a resumed run has none before it finds a better one: what lies there may be its best
            for other in self.run.folder.glob("best-*.npz"):
                if other != self._best:
                    other.unlink()

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        path = self.run.folder / f"{name}.npz"
        return load_arrays(path) if path.exists() else None


@contextmanager
def run_journal(run: Run) -> Iterator[RunJournal]:
    """The run's journal while this process alone works on it; whatever happens, the status ends with a sentence."""
    mine = run.worker_lock()
    if not try_lock(mine):
        raise RunError(f"Run {run.id} is under way in another process.")
    if run.status.state == "finished":  # resumed twice at once, and the other process was quick
        mine.release()
        raise RunError(f"Run {run.id} is finished; there is nothing to do.")
    worker = RunJournal(run)
    ended = threading.Event()
    pulse = threading.Thread(target=_pulse, args=(worker, ended), daemon=True)
    pulse.start()
    device = device_lock()
    try:
        _wait_for(device, worker)
        worker.update(state="working", phase="", sentence="")
        yield worker
    except CxrError as error:
        state = "stopped" if worker.stopping() else "failed"
        log.error("%s: %s", state, error, exc_info=error.__cause__)
        worker.update(state=state, sentence=str(error))
        raise
    except BaseException as error:
        log.exception("failed")
        worker.update(state="failed", sentence=_reason(error))
        raise
    finally:
        ended.set()
        pulse.join()
        device.release()
        mine.release()


def _wait_for(device: FileLock, worker: RunJournal) -> None:
    while not try_lock(device):
        worker.update(
            state="waiting", phase="waiting", sentence="Another training uses the device; this one is in line."
        )
        if worker.stopping():
            raise RunError("The run was stopped while it waited in line.")
        time.sleep(1)


def _pulse(worker: RunJournal, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT_S):
        with suppress(OSError):  # there may be room again at the next one
            worker.write_heartbeat()


def _number(value: float) -> float | None:
    """JSON knows no other."""
    return value if math.isfinite(value) else None


def _reason(error: BaseException) -> str:
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return "The device's memory was not enough; train with a smaller batch."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full. Make room, then resume the run."
    return f"It failed unexpectedly ({type(error).__name__}); the log has the details."
