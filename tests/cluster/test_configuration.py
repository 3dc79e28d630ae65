"""CXR_CLUSTER: what it may be, what is said where Ray is missing, and who carries out jobs then."""

from __future__ import annotations

import platform
import time
from pathlib import Path

import pytest

from cxr.cluster.configuration import cluster_address
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
