"""Which cluster is used, if any: `local`, `auto` or `ray://HOST:PORT` in CXR_CLUSTER; without it, Ray is not imported.

`local` starts Ray inside each job that uses it, for the processors and GPUs of this machine. `auto` joins the cluster
that this machine is a node of. `ray://HOST:PORT` reaches the cluster of another machine, of which this one is no part.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib.util import find_spec

from cxr.core.errors import RunError

VARIABLE = "CXR_CLUSTER"
PLACED = "CXR_PLACED"  # in the environment of a job whose place Ray has found
FOLDERS = ("CXR_HOME", "CXR_WEIGHTS", "CXR_DATA")
SETTINGS = ("CXR_", "KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "PYTHONUNBUFFERED")
CREDENTIALS = ("AWS_", "GOOGLE_APPLICATION_CREDENTIALS")  # of object stores
LOCAL, AUTO = "local", "auto"
_CLIENT = re.compile(r"ray://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
MISSING = f"{VARIABLE} is set, and Ray is not installed. Install it: pip install -r requirements-cluster.txt"


def cluster_address(find: Callable[[str], object] = find_spec) -> str | None:
    """The cluster that is asked for; None where all work stays on this machine, without Ray.

    RunError where the setting is none of those that there are, or Ray is not installed.
    """
    asked = os.environ.get(VARIABLE, "").strip()
    if not asked:
        return None
    if asked not in (LOCAL, AUTO) and not _CLIENT.fullmatch(asked):
        raise RunError(f"{VARIABLE} is '{asked}'. Set it to local, auto or ray://HOST:PORT.", code="cluster-address")
    if find("ray") is None:
        raise RunError(MISSING, code="cluster-missing")
    return asked


def jobs_are_placed() -> bool:
    """Whether jobs run wherever the cluster has room; with `local`, or without a cluster, they run on this machine."""
    return cluster_address() not in (None, LOCAL)


def is_passed_on(name: str) -> bool:
    """Whether processes on other nodes get this variable of the environment: settings, and access to object stores."""
    return name != PLACED and name.startswith((*SETTINGS, *CREDENTIALS))
