"""CXR_CLUSTER: what it may be, what is said where Ray is missing, and who carries out jobs then."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from cxr.cluster.configuration import cluster_address
from cxr.cluster.connection import TRIES, connected
from cxr.core.errors import RunError
from cxr.jobs.executors import ClusterExecutor, LocalExecutor, executor
from cxr.jobs.run import DISTANT_S, IN_CLUSTER, Run, Status


@pytest.mark.parametrize("address", ["local", "auto", "ray://10.0.0.4:10001", "ray://head.example.org:10001"])
def test_an_address_is_taken_as_it_is(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_CLUSTER", f" {address} ")
    assert cluster_address(lambda _: True) == address
    with pytest.raises(RunError) as error:
        cluster_address(lambda _: None)
    assert error.value.code == "run.cluster-missing"


@pytest.mark.parametrize("address", ["yes", "10.0.0.4:6379", "ray://", "ray://host", "http://host:80"])
def test_anything_else_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_CLUSTER", address)
    with pytest.raises(RunError) as error:
        cluster_address(lambda _: True)
    assert error.value.code == "run.cluster-address"


def test_without_it_there_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_CLUSTER", "")
    assert cluster_address(lambda _: pytest.fail("looked for Ray")) is None
    assert isinstance(executor(), LocalExecutor)


def test_jobs_start_here_or_are_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-cluster.txt")
    for address, kind in {"local": LocalExecutor, "auto": ClusterExecutor, "ray://h:10001": ClusterExecutor}.items():
        monkeypatch.setenv("CXR_CLUSTER", address)
        assert isinstance(executor(), kind)


def test_a_process_of_another_machine_is_known_by_its_heartbeat(tmp_path: Path) -> None:
    run, now = Run(tmp_path), time.time()
    for status, state in (
        (Status("working", pid=1, host="elsewhere", heartbeat=now), "working"),
        (Status("working", pid=1, host="elsewhere", heartbeat=now - 2 * DISTANT_S), "interrupted"),
        (Status("working", pid=2**22 + 1, host=platform.node(), heartbeat=now), "interrupted"),
        (Status("working", pid=2**22 + 1, host=platform.node(), placed=True, heartbeat=now), "working"),
        (Status("waiting", host=IN_CLUSTER, heartbeat=now - 2 * DISTANT_S), "waiting"),
        (Status("finished", pid=1, host="elsewhere", heartbeat=now - 2 * DISTANT_S), "finished"),
    ):
        run.write_status(status)
        assert run.status.state == state, status


@pytest.mark.parametrize(("address", "tries"), [("auto", "4"), ("ray://head:10001", None), ("local", None)])
def test_a_cluster_that_is_not_there_is_an_error_and_the_head_is_not_asked_for_minutes(
    address: str, tries: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(*_: object, **__: object) -> None:
        raise ConnectionError("no answer")

    exceptions = SimpleNamespace(RayError=ValueError)
    fake = SimpleNamespace(is_initialized=lambda: False, init=init, exceptions=exceptions, __spec__="found")
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setenv("CXR_CLUSTER", address)
    monkeypatch.setenv(TRIES, "")  # so that it is as before afterwards
    monkeypatch.delenv(TRIES)
    with pytest.raises(RunError, match="does not answer"), connected():
        pass
    assert os.environ.get(TRIES) == tries
