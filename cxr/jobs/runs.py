"""Runs: a folder and a process each. Whoever reads one reads files; only its own process writes its state."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from cxr.core.access import LOCAL, REQUIRED_ROLE, Person, current_person
from cxr.core.atomic_files import write_atomically
from cxr.core.audit_trail import audited
from cxr.core.errors import RunError
from cxr.core.paths import runs_dir

FRESH_S = 10  # a heartbeat this young is of a process that lives
STARTING_S = 30  # how long a new process may take to say its first word
ENDED = ("finished", "stopped", "failed")
STEPS = "steps.csv"
PROCESS = "process.json"  # the process that was started last, which may never say a word
STEP_COLUMNS = ("epoch", "step", "steps", "loss", "accuracy")
_ID = re.compile(r"^[0-9]{8}-[0-9]{6,12}-[a-z0-9._-]+$")


@dataclass(frozen=True)
class Job:
    """What a run is asked to do."""

    recipe_toml: str
    datasets: tuple[str, ...]
    model: str | None = None  # the name it gets on the shelf; None: it is not shelved
    fold: tuple[int, int] | None = None  # of a cross-validation: which, of how many
    by: str = LOCAL.name  # who started it

    @property
    def person(self) -> Person:
        """For whom its process works."""
        return LOCAL if self.by == LOCAL.name else Person(self.by, REQUIRED_ROLE["train a model"])


@dataclass(frozen=True)
class Status:
    """What a run's process last said. `state` as a reader should see it comes from `Run.status`."""

    state: str = "starting"  # starting, waiting, working, finished, stopped, failed; read as: interrupted too
    phase: str = ""
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
    pid: int = 0
    born: float = 0.0  # when that process was created: a number used again is another process
    started: float = 0.0
    phase_started: float = 0.0
    heartbeat: float = 0.0
    memory_bytes: int = 0  # the most that the process had in memory
    gpu_bytes: int = 0  # the most that it had on a GPU

    @property
    def alive(self) -> bool:
        return self.state not in (*ENDED, "interrupted")


@dataclass(frozen=True)
class Run:
    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def job(self) -> Job:
        try:
            table = json.loads((self.folder / "job.json").read_text("utf-8"))
            fold = tuple(table["fold"]) if table["fold"] else None
            return Job(
                table["recipe_toml"], tuple(table["datasets"]), table["model"], fold, table.get("by", LOCAL.name)
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"The folder of run {self.id} is damaged: its job cannot be read.") from error

    @property
    def status(self) -> Status:
        """What the run says of itself, or `interrupted` where its process is gone without a last word."""
        try:
            status = Status(**json.loads((self.folder / "status.json").read_text("utf-8")))
            gone = status.alive and not (_lives(status) if status.pid else self._begins(status))
        except (OSError, ValueError, TypeError):
            return Status("failed", sentence="Its status cannot be read.")
        if not gone:
            return status
        return replace(
            status,
            state="interrupted",
            sentence="Its process ended without a word, as after a crash or a restart; it can be resumed.",
        )

    def _begins(self, status: Status) -> bool:
        """Whether the process that has not said its first word yet is there, or is about to be."""
        try:
            pid, born = json.loads((self.folder / PROCESS).read_text("utf-8"))
        except (OSError, ValueError, TypeError):
            return abs(time.time() - status.heartbeat) < STARTING_S
        return _lives(replace(status, pid=pid, born=born))

    def history(self) -> list[dict[str, float]]:
        try:
            with (self.folder / "history.csv").open(newline="", encoding="utf-8") as file:
                return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
        except OSError:
            return []

    def steps(self) -> list[dict[str, float]]:
        """Epoch, step, steps, loss and accuracy, one row a heartbeat; what a resumed run did again counts once."""
        kept: list[dict[str, float]] = []
        try:
            with (self.folder / STEPS).open(newline="", encoding="utf-8") as file:
                rows = [
                    {key: float(value) for key, value in zip(STEP_COLUMNS, row, strict=True)} for row in _whole(file)
                ]
        except (OSError, ValueError):  # none yet, or damaged: the history by epoch has what matters
            return []
        for row in rows:
            while kept and (kept[-1]["epoch"], kept[-1]["step"]) >= (row["epoch"], row["step"]):
                kept.pop()
            kept.append(row)
        return kept

    def log_tail(self, lines: int = 30) -> list[str]:
        try:
            return (self.folder / "log.txt").read_text("utf-8", "replace").splitlines()[-lines:]
        except OSError:
            return []

    def stop(self) -> None:
        """Ask it to end after the step it is in, with the best weights so far kept."""
        if not self.status.alive:
            raise RunError(f"Run {self.id} is not under way ({self.status.state}).")
        with audited("stop a training", run=self.id):
            (self.folder / "stop").touch()

    @property
    def asked_to_stop(self) -> bool:
        return (self.folder / "stop").exists()

    def resume(self) -> None:
        """Start it again from its last checkpoint."""
        status = self.status
        if status.alive or not self._idle():
            raise RunError(f"Run {self.id} is under way.")
        if status.state == "finished":
            raise RunError(f"Run {self.id} is finished; there is nothing to resume.")
        with audited("resume a training", run=self.id):
            (self.folder / "stop").unlink(missing_ok=True)
            self._spawn()

    def delete(self) -> None:
        if self.status.alive or not self._idle():
            raise RunError(f"Run {self.id} is under way; stop it first.")
        with audited("delete a run", run=self.id):
            shutil.rmtree(self.folder)

    def worker_lock(self) -> FileLock:
        """Held by the one process that works on this run."""
        return FileLock(self.folder / "worker.lock")

    def _idle(self) -> bool:
        lock = self.worker_lock()
        idle = try_lock(lock, 5)  # the threads of a killed process let go of it one after the other
        lock.release()
        return idle

    def write_status(self, status: Status) -> None:
        path, text = self.folder / "status.json", json.dumps(asdict(status))
        try:
            write_atomically(path, text)
        except OSError as error:
            if error.errno != errno.ENOSPC or status.alive:
                raise
            with path.open("r+", encoding="utf-8") as file:  # a last word fits where the one before it stands
                file.write(text)
                file.truncate()

    def write_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        """All rows; of a run that an older version began, the first ones may lack what later ones have."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        lines = [",".join(names)] + [",".join(repr(row.get(name, math.nan)) for name in names) for row in rows]
        write_atomically(self.folder / "history.csv", "\n".join(lines) + "\n")

    def add_step(self, values: Sequence[float]) -> None:
        """Append one row of what `steps` returns."""
        with (self.folder / STEPS).open("a", encoding="utf-8") as file:
            file.write(",".join(repr(value) for value in values) + "\n")

    def _spawn(self) -> None:
        """A process of its own session: it outlives the page and the terminal that started it."""
        import psutil

        (self.folder / PROCESS).unlink(missing_ok=True)
        self.write_status(Status(heartbeat=time.time(), started=time.time()))
        with (self.folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "cxr", "work", self.id],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=Path(__file__).parents[2],
                env=os.environ | _absolute() | {"PYTHONUNBUFFERED": "1"},
            )
        born = psutil.Process(process.pid).create_time()  # a zombie has one, too
        write_atomically(self.folder / PROCESS, json.dumps([process.pid, born]))
        threading.Thread(target=process.wait, daemon=True).start()  # or it stays a zombie when it ends


def create(job: Job, recipe_name: str) -> Run:
    """A new run's folder, with nothing started."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S%f")  # to the microsecond: runs are listed in its order
    run = Run(runs_dir() / f"{stamp}-{recipe_name}-{secrets.token_hex(2)}")
    run.folder.mkdir(parents=True)
    (run.folder / "recipe.toml").write_text(job.recipe_toml, "utf-8")
    write_atomically(run.folder / "job.json", json.dumps(asdict(replace(job, by=current_person().name))))
    run.write_status(Status(heartbeat=time.time(), started=time.time()))
    return run


def start(job: Job, recipe_name: str) -> Run:
    """A new run, under way in a process of its own."""
    with audited("start a training", job.model or "") as line:
        run = create(job, recipe_name)
        line.update(run=run.id)
        run._spawn()
    return run


def find(run_id: str) -> Run:
    """The run of that id, or of the only id that begins so."""
    matches = [run for run in all_runs() if run.id.startswith(run_id)] if run_id else []
    exact = [run for run in matches if run.id == run_id]
    if len(exact or matches) != 1:
        raise RunError(f"There is {'more than one' if matches else 'no'} run '{run_id}'. See: runs list.")
    return (exact or matches)[0]


def all_runs() -> list[Run]:
    """Newest first."""
    if not runs_dir().is_dir():
        return []
    names = sorted((path.name for path in runs_dir().iterdir() if _ID.match(path.name)), reverse=True)
    return [Run(runs_dir() / name) for name in names]


def device_lock() -> FileLock:
    """Held by the one training that uses this machine's device."""
    runs_dir().mkdir(parents=True, exist_ok=True)
    return FileLock(runs_dir() / "device.lock")


def try_lock(lock: FileLock, timeout_s: float = 0) -> bool:
    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        return False
    return True


def _absolute() -> dict[str, str]:
    """The folders that the environment names, for a process that starts elsewhere."""
    return {name: str(Path(os.environ[name]).resolve()) for name in ("CXR_HOME", "CXR_WEIGHTS") if os.environ.get(name)}


def _lives(status: Status) -> bool:
    import psutil

    try:
        process = psutil.Process(status.pid)
        # The system's idea of a process's birth moves with its clock; a fresh heartbeat settles it.
        same = abs(process.create_time() - status.born) < 5 or abs(time.time() - status.heartbeat) < FRESH_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _whole(lines: Iterable[str]) -> Iterator[list[str]]:
    """The cells of each line that was written to its end."""
    return csv.reader(line for line in lines if line.endswith("\n"))
