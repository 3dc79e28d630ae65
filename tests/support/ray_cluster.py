"""A Ray cluster of two nodes on this machine, each with one core, that listens on 127.0.0.1 alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

import psutil
import pytest

from cxr.cluster.connection import LOOPBACK_ONLY, connected
from tests.support.waiting import wait_until

LIMIT_S = 300.0  # on a busy machine


class TwoNodes:
    """The cluster: its first node stays, its second one can be killed and replaced."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        settings = {"num_cpus": 1, "num_gpus": 0, "node_ip_address": "127.0.0.1", "object_store_memory": 100_000_000}
        self._settings = settings
        self._cluster = Cluster(initialize_head=True, head_node_args=settings | {"include_dashboard": False})
        self._second: Any = self._cluster.add_node(**settings)

    @property
    def address(self) -> str:
        """The address of the first node."""
        return str(self._cluster.address)

    def kill_second_when(self, working_at: str) -> None:
        """Kill the second node with all its processes, as a loss of power does, once a worker there is at this work."""
        raylet = psutil.Process(self._second.all_processes["raylet"][0].process.pid)

        def is_working() -> bool:
            with suppress(psutil.Error):  # of a process that has just ended
                return any(working_at in " ".join(process.cmdline()) for process in raylet.children())
            return False

        wait_until(is_working, LIMIT_S)
        for process in [*raylet.children(recursive=True), raylet]:
            with suppress(psutil.Error):
                process.kill()
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None

    def replace_second(self) -> None:
        """Start a second node where it was killed."""
        if self._second is None:
            self._second = self._cluster.add_node(**self._settings)

    @contextmanager
    def filled(self) -> Iterator[None]:
        """While it lasts, no node has room for a job that needs some."""
        with connected() as ray:

            class Idle:
                def start(self) -> None:
                    """Nothing."""

            count = sum(node["Alive"] for node in ray.nodes())
            idle = [ray.remote(Idle).options(num_cpus=1).remote() for _ in range(count)]
            ray.get([one.start.remote() for one in idle])
            yield

    def end(self) -> None:
        """End all nodes."""
        self._cluster.shutdown()


def two_nodes() -> Iterator[TwoNodes]:
    """The cluster, named in the environment while it is there; the test is skipped where Ray is not installed."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install -r requirements-cluster.txt")
    os.environ |= {LOOPBACK_ONLY: "0", "RAY_USAGE_STATS_ENABLED": "0"}  # before Ray is imported, and for the nodes
    with pytest.MonkeyPatch.context() as patch:
        nodes = TwoNodes()
        patch.setenv("RAY_ADDRESS", nodes.address)
        patch.setenv("CXR_CLUSTER", "auto")
        try:
            yield nodes
        finally:
            nodes.end()
