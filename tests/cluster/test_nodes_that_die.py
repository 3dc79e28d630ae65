"""Jobs on a real cluster of two nodes, one of which dies: the tests of nodes_that_die.py, in a process of their own.

In a process in which TensorFlow and Ray have been at work before, Ray has once waited without end for its own server.
So each try has a limit.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

TESTS = Path(__file__).with_name("nodes_that_die.py")
LIMIT_S, TRIES = 270.0, 2


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install -r requirements-cluster.txt")
def test_jobs_come_to_the_result_of_one_process_although_a_node_dies() -> None:
    for _ in range(TRIES):
        tests = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(TESTS)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        try:
            output, _ = tests.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            end_with_children(tests)
            continue
        assert tests.returncode == 0, output
        return
    pytest.fail(f"No result within {LIMIT_S:.0f} s, {TRIES} times.")


def end_with_children(process: subprocess.Popen[str]) -> None:
    """Kill the process and all that it has started: the nodes and their workers."""
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    process.kill()
    process.communicate()
