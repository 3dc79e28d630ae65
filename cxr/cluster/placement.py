"""Jobs placed in a Ray cluster, where there is room: each has an actor, which runs the job's process on its node.

The actor outlives whoever asked for it. When its node dies, Ray starts it on another one, and the job goes on. The
dashboard asks for it in a short-lived process: Ray is not loaded into its own, and a connection that never comes about,
as happens when a process connects again and again, is given up and tried once more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cxr.cluster.configuration import PLACED, is_passed_on
from cxr.cluster.connection import LOOPBACK_ONLY, NAMESPACE, connected
from cxr.cluster.room import Room, room_for_network
from cxr.core.errors import RunError

NO_ROOM_NEEDED = Room(0)
IN_PROGRESS = "in-progress"  # the code of the error where a job is in the cluster already
PLACE, WITHDRAW = "place", "withdraw"
COMMAND = (sys.executable, "-m", "cxr.cluster.placement")
LIMIT_S, TRIES = 60.0, 3  # to connect and to ask
PROJECT = Path(__file__).parents[2]
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
                cwd=PROJECT,
                env=self._environment,
                check=False,
            )
        ray.kill(ray.get_runtime_context().current_actor)  # for good: a killed actor is not started again


def request(
    action: str, details: Mapping[str, Any], command: Sequence[str] = COMMAND, limit_s: float = LIMIT_S
) -> None:
    """Place a job in the cluster, or take it out, in a process of its own; RunError with what that process says."""
    asked = json.dumps({"action": action, **details})
    for attempt in range(TRIES):
        try:
            answer = subprocess.run(
                command,
                input=asked,
                capture_output=True,
                text=True,
                timeout=limit_s,
                cwd=PROJECT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            continue
        if answer.returncode == 0:
            return
        code, sentence = _error_in(answer.stdout)
        if attempt and code == IN_PROGRESS:  # the attempt before, which was given up, has placed it
            return
        raise RunError(sentence, code=code)
    raise RunError("The cluster does not answer. Check it with: ray status.", code="no-answer")


def _error_in(answer: str) -> tuple[str, str]:
    """The code and the sentence of the error that a process has printed."""
    try:
        code, sentence = json.loads(answer.splitlines()[-1])
    except (IndexError, ValueError, TypeError):
        return "no-answer", "The process that asks the cluster has failed. Check the cluster with: ray status."
    return str(code), str(sentence)


def main() -> None:
    """Do what the request on standard input asks for; an error is printed as JSON, and the exit code is 1."""
    asked = json.loads(sys.stdin.read())
    actions: dict[str, Callable[..., None]] = {PLACE: place, WITHDRAW: withdraw}
    action = actions[asked.pop("action")]
    try:
        action(**asked)
    except RunError as error:
        print(json.dumps([error.code.partition(".")[2], str(error)]), flush=True)
        sys.exit(1)


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
            raise RunError(f"Job {run_id} is in progress.", code=IN_PROGRESS) from error


def withdraw(run_id: str) -> None:
    """Take the job out of the cluster, if it is there."""
    with connected() as ray:
        try:
            ray.kill(ray.get_actor(_name(run_id), namespace=NAMESPACE))
        except ValueError:
            return


def _name(run_id: str) -> str:
    return f"job-{run_id}"


if __name__ == "__main__":
    from cxr.cluster import placement  # what is sent to the nodes is to be found under this name there

    placement.main()
