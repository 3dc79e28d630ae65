"""Who carries out jobs: a process of this machine for each, or a Ray cluster, which has it done where there is room."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Protocol

from cxr.cluster.configuration import AUTO, PLACED, VARIABLE, jobs_are_placed
from cxr.core.access import SIGN_IN_REQUIRED
from cxr.core.atomic_files import write_atomically
from cxr.jobs.parameters import JobKind
from cxr.jobs.run import IN_CLUSTER, PROCESS, Run, Status
from cxr.learning.journal import Phase

SPREAD = (JobKind.READ, JobKind.CROSSVAL, JobKind.SWEEP)  # their work is done by workers; they only hand it out


class Executor(Protocol):
    """Starts the process of a run somewhere, and gives up one that has not started yet."""

    def start(self, run: Run) -> None:
        """Have the run's job carried out; the process outlives the one that asks for it."""

    def cancel(self, run: Run) -> None:
        """Make sure that a run which waits to be started never is."""


def executor() -> Executor:
    """Who carries out jobs here, as CXR_CLUSTER says."""
    return ClusterExecutor() if jobs_are_placed() else LocalExecutor()


def is_placed() -> bool:
    """Whether a cluster has found the place of the job that this process carries out."""
    return os.environ.get(PLACED) == "1"


class LocalExecutor:
    """Starts a process of this machine, in a session of its own, which outlives the page and the terminal."""

    def start(self, run: Run) -> None:
        """Start the run's process now; it waits by itself until the device is free."""
        import psutil

        with (run.folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "cxr", "work", run.id],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=Path(__file__).parents[2],
                env=environment(),
            )
        born = psutil.Process(process.pid).create_time()  # works for a zombie, too
        write_atomically(run.folder / PROCESS, json.dumps([process.pid, born]))
        threading.Thread(target=process.wait, daemon=True).start()  # otherwise it stays a zombie after its end

    def cancel(self, run: Run) -> None:
        """Nothing: a process has been started, and sees by itself that it is to stop."""


class ClusterExecutor:
    """Hands runs to a Ray cluster; the run's folder is on a file system that all nodes see."""

    def start(self, run: Run) -> None:
        """Have the job carried out wherever there is room, and elsewhere again if that node dies."""
        from cxr.cluster.placement import PLACE, request

        now = time.time()
        run.write_status(Status("waiting", Phase.WAITING_FOR_CLUSTER, host=IN_CLUSTER, heartbeat=now, started=now))
        settings = environment() | {VARIABLE: AUTO, PLACED: "1"}
        details = {"run_id": run.id, "folder": str(run.folder.resolve()), "environment": settings}
        request(PLACE, details | {"takes_device": run.job.kind not in SPREAD})

    def cancel(self, run: Run) -> None:
        """Take the run out of the queue of the cluster; nothing where it has begun."""
        from cxr.cluster.placement import WITHDRAW, request

        status = run.status
        if status.host == IN_CLUSTER and status.alive:
            request(WITHDRAW, {"run_id": run.id})
            run.write_status(Status("stopped", sentence="Stopped while waiting for room in the cluster."))


def environment() -> dict[str, str]:
    """The environment of a run's process, which acts for the person that its job names and needs no sign-in."""
    inherited = {name: value for name, value in os.environ.items() if name != SIGN_IN_REQUIRED}
    return inherited | _absolute_folders() | {"PYTHONUNBUFFERED": "1"}


def _absolute_folders() -> dict[str, str]:
    """The folders named in the environment as absolute paths, for a process with another working directory."""
    return {name: str(Path(os.environ[name]).resolve()) for name in ("CXR_HOME", "CXR_WEIGHTS") if os.environ.get(name)}
