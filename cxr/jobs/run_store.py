"""The runs of this machine: create, start, find, stop, resume and delete them."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from cxr.core.access import Action, current_person
from cxr.core.atomic_files import write_atomically
from cxr.core.audit_trail import audited
from cxr.core.errors import RunError
from cxr.core.number_format import gigabytes
from cxr.core.paths import runs_dir
from cxr.core.stored_data import keep_below, remove, stored_bytes
from cxr.jobs import running
from cxr.jobs.executors import executor
from cxr.jobs.job import Job
from cxr.jobs.parameters import JobKind
from cxr.jobs.places import try_lock
from cxr.jobs.run import PROCESS, Run, Status

MAX_RUNS = 1_000
MAX_BYTES = 50_000_000_000  # of all runs
_ID = re.compile(r"^[0-9]{8}-[0-9]{6,12}-[a-z0-9._-]+$")


def create(job: Job, name: str) -> Run:
    """A new run's folder, with this name of a recipe or of a task in its ID; no process is started."""
    make_room()
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S%f")  # to the microsecond: runs are listed in this order
    run = Run(runs_dir() / f"{stamp}-{name}-{secrets.token_hex(2)}")
    run.folder.mkdir(parents=True)
    if recipe_toml := getattr(job.parameters, "recipe_toml", ""):
        (run.folder / "recipe.toml").write_text(recipe_toml, "utf-8")
    write_atomically(run.folder / "job.json", replace(job, by=current_person().name).to_json())
    run.write_status(Status(heartbeat=time.time(), started=time.time()))
    return run


def make_room() -> None:
    """Delete the oldest finished runs beyond the limit; RunError where the others alone are too large.

    A run that can still be resumed is never deleted here.
    """
    runs = all_runs()
    finished = [run for run in reversed(runs) if run.status.state == "finished"]
    others = [run.folder for run in runs if run not in finished]
    room = MAX_BYTES - sum(map(stored_bytes, others))
    if room < 0 or len(others) >= MAX_RUNS:
        raise RunError(
            f"There are {len(others):,} jobs that can be resumed, of {gigabytes(MAX_BYTES - room)}; the limit is "
            f"{MAX_RUNS:,} jobs and {gigabytes(MAX_BYTES)}. Delete some with cxr jobs delete ID, or all that have "
            "ended with cxr doctor --clean runs.",
            code="runs-limit",
        )
    surplus = finished[: max(0, len(runs) + 1 - MAX_RUNS)]
    for run in surplus:
        remove(run.folder)
    keep_below([run.folder for run in finished if run not in surplus], room)


def start(job: Job, name: str, prepare: Callable[[Run], None] | None = None) -> Run:
    """A new run, started in a process of its own; `prepare` is called before, and may put files into its folder."""
    with audited(Action.START_RUN, job.model or "", more=job.kind) as entry:
        run = create(job, name)
        entry.update(run=run.id)
        if prepare:
            prepare(run)
        _spawn(run)
    return run


def find(run_id: str) -> Run:
    """The run with this id, or the only one whose id begins with it."""
    matches = [run for run in all_runs() if run.id.startswith(run_id)] if run_id else []
    exact = [run for run in matches if run.id == run_id]
    if len(exact or matches) > 1:
        raise RunError(f"More than one job begins with '{run_id}'. List the jobs with cxr jobs list.", code="ambiguous")
    if not matches:
        raise RunError(f"There is no job '{run_id}'. List the jobs with cxr jobs list.", code="not-found")
    return (exact or matches)[0]


def all_runs() -> list[Run]:
    """Every run, newest first."""
    if not runs_dir().is_dir():
        return []
    names = sorted((path.name for path in runs_dir().iterdir() if _ID.match(path.name)), reverse=True)
    return [Run(runs_dir() / name) for name in names]


def of_kind(*kinds: JobKind) -> list[Run]:
    """Every run of these kinds, newest first."""
    return [run for run in all_runs() if run.kind in kinds]


def of_model(kind: JobKind, model: str) -> list[Run]:
    """Every run of this kind with this model, newest first; other runs' files are not read."""
    return [run for run in all_runs() if run.name == f"{kind}-{model}" and run.kind == kind]


def stop(run: Run) -> None:
    """Ask the run to stop after its current step; what it has done so far is kept."""
    if not run.status.alive:
        raise RunError(f"Job {run.id} is not in progress ({run.status.state}).", code="not-in-progress")
    with audited(Action.STOP_RUN, run=run.id):
        (run.folder / "stop").touch()
        executor().cancel(run)


def resume(run: Run, job: Job | None = None) -> None:
    """Start the run again; it goes on where it was, or, once it has finished, to the end of a job with more to do."""
    status = run.status
    if status.alive or not _is_idle(run):
        raise RunError(f"Job {run.id} is in progress.", code="in-progress")
    if status.state == "finished" and job is None:
        raise RunError(f"Job {run.id} has finished; there is nothing to resume.", code="finished")
    with audited(Action.RESUME_RUN, run=run.id):
        if job is not None:
            write_atomically(run.folder / "job.json", replace(job, by=current_person().name).to_json())
        (run.folder / "stop").unlink(missing_ok=True)
        _spawn(run)


def delete(run: Run) -> None:
    """Delete an ended run's folder."""
    if run.status.alive or not _is_idle(run):
        raise RunError(f"Job {run.id} is in progress; stop it first.", code="in-progress")
    with audited(Action.DELETE_RUN, run=run.id):
        shutil.rmtree(run.folder)


def _is_idle(run: Run) -> bool:
    lock = run.worker_lock()
    idle = try_lock(lock, 5)  # the threads of a killed process release it one after the other
    lock.release()
    return idle


def _spawn(run: Run) -> None:
    """Have the run's job carried out, by a process that outlives the page and the terminal that started it."""
    (run.folder / PROCESS).unlink(missing_ok=True)
    running.mark(run)
    run.write_status(Status(heartbeat=time.time(), started=time.time()))
    executor().start(run)
