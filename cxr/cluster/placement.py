"""Jobs placed in a Ray cluster, where there is room: each has an actor, which runs the job's process on its node.

The actor outlives whoever asked for it. When its node dies, Ray starts it on another one, and the job goes on.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from cxr.cluster.configuration import PLACED, is_passed_on
from cxr.cluster.connection import LOOPBACK_ONLY, NAMESPACE, connected
from cxr.cluster.room import Room, room_for_network
from cxr.core.errors import RunError

NO_ROOM_NEEDED = Room(0)
KEPT = (LOOPBACK_ONLY, "RAY_USAGE_STATS_ENABLED")


class JobKeeper:
    """Runs the process of one job on the node where Ray has started this actor, and ends with it."""

    def __init__(self, run_id: str, folder: str, settings: dict[str, str]) -> None:
        self._run_id, self._folder = run_id, Path(folder)
        import ray

        # Ray's own variables make a process a part of this worker; the job's process is a program of its own.
        own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_") or name in KEPT}
        self._environment = own | settings | {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        import ray

        with (self._folder / "log.txt").open("ab") as log:
            subprocess.run(
                [sys.executable, "-m", "cxr", "work", self._run_id],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[2],
                env=self._environment,
                check=False,
            )
        ray.kill(ray.get_runtime_context().current_actor)  # for good: a killed actor is not started again


def place(run_id: str, folder: str, environment: Mapping[str, str], takes_device: bool) -> None:
    """Have the job of this run carried out where there is room; RunError where it is in the cluster already."""
    with connected() as ray:
        room = room_for_network(ray.nodes()) if takes_device else NO_ROOM_NEEDED
        settings = {name: value for name, value in environment.items() if is_passed_on(name) or name == PLACED}
        kind = ray.remote(JobKeeper).options(
            name=_name(run_id), namespace=NAMESPACE, lifetime="detached", max_restarts=-1, **room.options
        )
        try:
            kind.remote(run_id, folder, settings)
        except ValueError as error:  # the name is taken
            raise RunError(f"Job {run_id} is in progress.", code="in-progress") from error


def withdraw(run_id: str) -> None:
    """Take the job out of the cluster, if it is there."""
    with connected() as ray:
        try:
            ray.kill(ray.get_actor(_name(run_id), namespace=NAMESPACE))
        except ValueError:
            return


def _name(run_id: str) -> str:
    return f"job-{run_id}"
