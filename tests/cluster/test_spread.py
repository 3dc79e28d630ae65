"""Tasks over workers that may die: what is handed to whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from cxr.cluster import spread as spread_module
from cxr.cluster.room import Room, room_for_network
from cxr.cluster.spread import MOST_ATTEMPTS, Workers, spread
from cxr.core.errors import DatasetError, RunError
from tests.support.fake_ray import FakeRay, FakeRayError, FakeWorker, Reference


@dataclass(eq=False)
class Squarer:
    """A worker that squares numbers until it dies at one of them."""

    dies_at: frozenset[int] = frozenset()
    squared: list[int] = field(default_factory=list)

    def start(self) -> None:
        """Nothing."""

    def square(self, number: int) -> int:
        if number in self.dies_at:
            raise FakeRayError
        if number < 0:
            raise DatasetError("Negative.", code="negative")
        self.squared.append(number)
        return number**2


def results(
    numbers: list[int], crew: list[Squarer], most: int = 2, check: Callable[[int], None] = lambda _: None
) -> tuple[dict[int, int], FakeRay]:
    """The results of these tasks by workers that are made in this order."""
    ray, unmade = FakeRay(), iter(crew)

    def hand(worker: FakeWorker, number: int) -> Reference:
        return worker.square.remote(number)

    workers: Workers[int] = Workers(lambda: FakeWorker(next(unmade)), hand, lambda: most)
    return dict(spread(ray, workers, numbers, check)), ray


def test_every_task_is_done_once_by_all_workers() -> None:
    crew = [Squarer(), Squarer()]
    found, ray = results(list(range(20)), crew)
    assert found == {number: number**2 for number in range(20)}
    assert sorted(crew[0].squared + crew[1].squared) == list(range(20))
    assert min(len(worker.squared) for worker in crew) >= 8
    assert [worker.inner for worker in ray.killed] == crew  # at the end


def test_the_tasks_of_a_worker_that_dies_go_to_others_and_it_is_replaced() -> None:
    crew = [Squarer(dies_at=frozenset({4})), Squarer(), Squarer()]
    found, ray = results(list(range(20)), crew)
    assert found == {number: number**2 for number in range(20)}
    assert crew[2].squared
    assert ray.killed[0].inner is crew[0]


def test_a_task_that_ends_every_worker_ends_the_work() -> None:
    crew = [Squarer(dies_at=frozenset({3})) for _ in range(MOST_ATTEMPTS + 2)]
    with pytest.raises(RunError) as error:
        results(list(range(8)), crew)
    assert error.value.code == "run.workers-died"


def test_workers_that_die_while_they_start_end_the_work() -> None:
    class NeverThere(Squarer):
        def start(self) -> None:
            raise FakeRayError

    with pytest.raises(RunError) as error:
        results([1, 2], [NeverThere() for _ in range(MOST_ATTEMPTS)], most=MOST_ATTEMPTS)
    assert error.value.code == "run.workers-died"


def test_what_a_task_raises_is_raised_and_ends_all_workers() -> None:
    crew = [Squarer(), Squarer()]
    with pytest.raises(DatasetError) as error:
        results([1, 2, -3, 4], crew)
    assert error.value.code == "dataset.negative"


def test_the_work_ends_when_it_is_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread_module, "WAIT_S", 0.001)
    looks = []

    def check(workers: int) -> None:
        looks.append(workers)
        if len(looks) == 3:
            raise RunError("Stopped.", code="stopped")

    with pytest.raises(RunError) as error:
        results([1, 2], [], most=0, check=check)  # no node has room
    assert (error.value.code, looks) == ("run.stopped", [0, 0, 0])


def node(alive: bool = True, **resources: float) -> dict[str, Any]:
    """A node as Ray lists it."""
    return {"Alive": alive, "Resources": resources}


def test_a_worker_takes_a_gpu_with_its_share_of_the_cores_or_a_whole_node_without_gpus() -> None:
    cores_alone = [node(CPU=8.0), node(CPU=4.0), node(alive=False, CPU=2.0), node(memory=1.0)]
    assert room_for_network(cores_alone) == Room(4)
    assert Room(4).workers(cores_alone) == 3
    with_gpus = [node(CPU=16.0, GPU=2.0), node(CPU=4.0, GPU=1.0), node(CPU=64.0)]
    assert room_for_network(with_gpus) == Room(4, gpus=1)
    assert Room(4, gpus=1).workers(with_gpus) == 3
    assert Room(4, gpus=1).options == {"num_cpus": 4, "num_gpus": 1}
    assert room_for_network([]).workers([]) == 0
