"""A run, the execution of a job, as everyone sees it: the files in its folder.

Only the run's own process writes its status and history.
"""

from __future__ import annotations

import csv
import errno
import json
import math
import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from filelock import FileLock
from pydantic import ConfigDict

from cxr.core.atomic_files import write_atomically
from cxr.core.errors import RunError
from cxr.jobs.job import Job, adapter
from cxr.jobs.parameters import JobKind
from cxr.registry.card import EPOCH_COLUMNS

FRESH_S = 10  # a heartbeat this recent belongs to a living process
DISTANT_S = 120  # without a heartbeat, until a process of another machine counts as gone, or one that is started again
STARTING_S = 30  # how long a new process may take to write its first status
ENDED = ("finished", "stopped", "failed")
FILMS = "films.csv"  # the films that take part, with their roles
COPIES = "copies.json"  # groups of films that show the same image, found when the run started
SCORES = "evaluation.csv"
STEPS = "steps.csv"
IN_CLUSTER = "*"  # of a job that waits there: no machine has this name
PROCESS = "process.json"  # the process that was started last, even if it never wrote a status
HISTORY_COLUMNS = EPOCH_COLUMNS | {"val_auc", "seconds"}  # that every reader of a history may use
STEP_COLUMNS = ("epoch", "step", "steps", "loss", "accuracy")
INTERRUPTED = "Exited unexpectedly, for example after a crash or a restart. It can be resumed."
STATUS_UNREADABLE = "The status of this run cannot be read."


@dataclass(frozen=True)
class Status:
    """What a run's process last wrote to status.json. Readers take it from `Run.status`, which corrects `state`."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # of a newer version, or damaged

    state: str = "starting"  # starting, waiting, working, finished, stopped, failed; readers also see interrupted
    phase: str = ""  # a `cxr.learning.journal.Phase`; runs of older versions have other words
    done: int = 0
    total: int = 0
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    accuracy: float | None = None
    films_s: float = 0.0
    sentence: str = ""
    device: str = ""
    model: str = ""
    result: str = ""  # what else was made: the name of an evaluation, the folder of readings
    pid: int = 0
    host: str = ""  # the machine of the process; `IN_CLUSTER` while it waits for room there
    placed: bool = False  # by a cluster, which starts it again elsewhere when its node dies
    born: float = 0.0  # when the process was created: with the same pid but another time it is another process
    started: float = 0.0
    phase_started: float = 0.0
    heartbeat: float = 0.0
    memory_bytes: int = 0  # the peak of the process
    gpu_bytes: int = 0  # its peak on a GPU
    first: int = 0  # how much of this phase was done before the present process
    earlier_s: float = 0.0  # how long the run's earlier processes worked
    part: int = 0  # of a job that has several trainings: which one, and of how many
    parts: int = 0
    left_s: float | None = None  # to the end of the whole job, by its timetable; None: not known yet, or it has none
    share: float | None = None  # how much of that time is over, 0 to 1; None: the job has no timetable
    rates: dict[str, tuple[float, float]] = field(default_factory=dict)  # measured by phase, for later jobs

    @property
    def worked_s(self) -> float:
        """How long all processes of the run worked, those before it was resumed too."""
        return self.earlier_s + max(0.0, self.heartbeat - self.started)

    @property
    def alive(self) -> bool:
        """Whether the run has a process, or is about to get one."""
        return self.state not in (*ENDED, "interrupted")


@dataclass(frozen=True)
class Run:
    """One run's folder."""

    folder: Path

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def name(self) -> str:
        """The name in its ID: of a recipe, or of a kind and a model."""
        return self.id.split("-", 2)[-1].rpartition("-")[0]

    @property
    def job(self) -> Job:
        """The run's job; RunError if job.json is damaged."""
        try:
            return Job.from_json((self.folder / "job.json").read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"Run {self.id} is damaged: job.json cannot be read.", code="damaged") from error

    @property
    def kind(self) -> JobKind | None:
        """The kind of its job; None if job.json is damaged."""
        try:
            return self.job.kind
        except RunError:
            return None

    @property
    def steps_folder(self) -> Path:
        """The folder of finished steps, from which a resumed run goes on; deleted when the run has finished."""
        return self.folder / "steps"

    @property
    def result_folder(self) -> Path:
        """The folder of what the run leaves, where that is kept nowhere else."""
        return self.folder / "result"

    @property
    def status(self) -> Status:
        """The status as written, or `interrupted` where the process is gone without having written an end."""
        try:
            status = adapter(Status).validate_json((self.folder / "status.json").read_bytes())
            gone = status.alive and not self._has_process(status)
        except (OSError, ValueError, OverflowError):
            return Status("failed", sentence=STATUS_UNREADABLE)
        return replace(status, state="interrupted", sentence=INTERRUPTED) if gone else status

    def _has_process(self, status: Status) -> bool:
        """Whether a process works on the run, or is about to."""
        if status.host == IN_CLUSTER:
            return True
        if status.pid and (status.placed or status.host not in ("", platform.node())):
            return abs(time.time() - status.heartbeat) < DISTANT_S
        return _is_alive(status) if status.pid else self._is_starting(status)

    def _is_starting(self, status: Status) -> bool:
        """Whether the process that has not written a status yet exists, or is about to."""
        try:
            pid, born = adapter(tuple[int, float]).validate_json((self.folder / PROCESS).read_bytes())
        except (OSError, ValueError):
            return abs(time.time() - status.heartbeat) < STARTING_S
        return _is_alive(replace(status, pid=pid, born=born))

    def history(self) -> list[dict[str, float]]:
        """One row per epoch; empty before the first epoch ends. A damaged row is left out, a missing value is NaN."""
        try:
            with (self.folder / "history.csv").open(newline="", encoding="utf-8") as file:
                rows = [numbers for row in csv.DictReader(file) if (numbers := _numbers(row))]
        except (OSError, ValueError, csv.Error):
            return []
        return [dict.fromkeys(HISTORY_COLUMNS - row.keys(), math.nan) | row for row in rows]

    def steps(self) -> list[dict[str, float]]:
        """Epoch, step, steps, loss and accuracy, one row per heartbeat; steps repeated by a resumed run count once."""
        steps: list[dict[str, float]] = []
        try:
            with (self.folder / STEPS).open(newline="", encoding="utf-8") as file:
                rows = [
                    {key: float(value) for key, value in zip(STEP_COLUMNS, row, strict=True)}
                    for row in _complete_rows(file)
                ]
        except (OSError, ValueError, csv.Error):  # none yet, or damaged: the history by epoch has what matters
            return []
        for row in rows:
            while steps and (steps[-1]["epoch"], steps[-1]["step"]) >= (row["epoch"], row["step"]):
                steps.pop()
            steps.append(row)
        return steps

    def log_tail(self, lines: int = 30) -> list[str]:
        """The last lines of the log; empty if there is none."""
        try:
            return (self.folder / "log.txt").read_text("utf-8", "replace").splitlines()[-lines:]
        except OSError:
            return []

    @property
    def stop_requested(self) -> bool:
        """Whether someone has asked the run to stop."""
        return (self.folder / "stop").exists()

    def worker_lock(self) -> FileLock:
        """The lock that the one process working on this run holds."""
        return FileLock(self.folder / "worker.lock")

    def write_status(self, status: Status) -> None:
        """Replace status.json; a final status is written even where the disk is full."""
        path, text = self.folder / "status.json", json.dumps(asdict(status))
        try:
            write_atomically(path, text)
        except OSError as error:
            if error.errno != errno.ENOSPC or status.alive:
                raise
            with path.open("r+", encoding="utf-8") as file:  # overwriting in place needs no new disk block
                file.write(text)
                file.truncate()

    def write_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Replace history.csv; columns that rows of an older version lack become NaN."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        lines = [",".join(names)] + [",".join(repr(row.get(name, math.nan)) for name in names) for row in rows]
        write_atomically(self.folder / "history.csv", "\n".join(lines) + "\n")

    def add_step(self, values: Sequence[float]) -> None:
        """Append one row of what `steps` returns."""
        with (self.folder / STEPS).open("a", encoding="utf-8") as file:
            file.write(",".join(repr(value) for value in values) + "\n")


def _numbers(row: Mapping[str, str]) -> dict[str, float] | None:
    """The row of a history as numbers; None where it is damaged."""
    try:
        return {key: float(value) for key, value in row.items()} if "epoch" in row else None
    except (TypeError, ValueError):
        return None


def _is_alive(status: Status) -> bool:
    import psutil

    try:
        process = psutil.Process(status.pid)
        # The creation time that the system reports moves with its clock; a fresh heartbeat settles it.
        same = abs(process.create_time() - status.born) < 5 or abs(time.time() - status.heartbeat) < FRESH_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _complete_rows(lines: Iterable[str]) -> Iterator[list[str]]:
    """The cells of each line that was written to its end."""
    return csv.reader(line for line in lines if line.endswith("\n"))
