"""The connection to a Ray cluster: made once in a process, without usage statistics and without Ray's own dashboard."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cxr.cluster.configuration import AUTO, FOLDERS, LOCAL, cluster_address, is_passed_on
from cxr.core.errors import RunError

NAMESPACE = "cxr"
TRIES = "RAY_NUM_REDIS_GET_RETRIES"  # to reach the head of the cluster; Ray's own number, 20, takes minutes
LOOPBACK_ONLY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # where this is 0, Ray listens on 127.0.0.1, as on those systems


@contextmanager
def connected() -> Iterator[Any]:
    """Ray, connected to the cluster that is asked for; the connection ends with the block, unless it was there before.

    RunError where there is no such cluster, or it does not answer within minutes.
    """
    address = cluster_address()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address == LOCAL:
        os.environ.setdefault(LOOPBACK_ONLY, "0")
    elif address == AUTO:
        os.environ.setdefault(TRIES, "4")
    import ray

    if ray.is_initialized():
        yield ray
        return
    local: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address, namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR", **local)
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise RunError(
            f"There is no cluster at '{address}', or it does not answer. Start one with ray start, or unset "
            "CXR_CLUSTER: docs/cluster.md.",
            code="no-cluster",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def environment_of_workers() -> dict[str, str]:
    """What a worker's process must have in its environment: where things are kept, and access to object stores."""
    passed = {name: value for name, value in os.environ.items() if is_passed_on(name)}
    return passed | {name: str(Path(passed[name]).resolve()) for name in FOLDERS if passed.get(name)}


def set_up_worker(environment: dict[str, str], cpus: float) -> None:
    """Prepare a worker's process before it imports TensorFlow: its environment, and as many threads as its cores."""
    os.environ.update(environment)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    threads = str(max(1, int(cpus)))
    os.environ |= {"TF_NUM_INTRAOP_THREADS": threads, "OMP_NUM_THREADS": threads}
