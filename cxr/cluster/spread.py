"""Tasks spread over workers, each a Ray actor: Ray places the workers, and each is handed a task when it has none.

A worker that dies with its node costs nothing but the tasks that it had: they go to another one, and Ray places a new
worker where there is room. A node that joins gets its workers while the work goes on.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from cxr.core.errors import RunError

Task = TypeVar("Task")
log = logging.getLogger("cxr")
AHEAD = 2  # tasks that a worker has at once, so that it never waits for one
WAIT_S = 0.5  # how long a look at what is finished takes at most
RECOUNT_S = 5.0
MOST_ATTEMPTS = 5  # of one task, each of which ended with the worker


@dataclass(frozen=True, eq=False)
class Workers(Generic[Task]):
    """How workers are made, how one is handed a task, and how many there may be now."""

    make: Callable[[], Any]
    hand: Callable[[Any, Task], Any]  # (actor, task) -> reference to the result
    most: Callable[[], int]
    ahead: int = AHEAD


@dataclass(eq=False)
class Crew(Generic[Task]):
    """The workers of one piece of work, and what each of them has."""

    ray: Any
    workers: Workers[Task]
    starting: dict[Any, Any] = field(default_factory=dict)  # reference to its start -> worker
    ready: list[Any] = field(default_factory=list)
    busy: dict[Any, tuple[Any, Task]] = field(default_factory=dict)  # reference to a result -> worker and task
    again: deque[Task] = field(default_factory=deque)  # tasks of dead workers
    attempts: Counter[Task] = field(default_factory=Counter)
    counted: float = -RECOUNT_S  # when the cluster's room was looked at
    all_handed_out: bool = False
    lost_at_start: int = 0  # workers in a row

    def grow(self) -> None:
        """Ask for as many workers as the cluster has room for."""
        if time.monotonic() - self.counted < RECOUNT_S:
            return
        self.counted = time.monotonic()
        for _ in range(self.workers.most() - len(self.ready) - len(self.starting)):
            worker = self.workers.make()
            self.starting[worker.start.remote()] = worker

    def hand_out(self, tasks: Iterator[Task]) -> None:
        """Give tasks to those who have few, the next one to whoever has the fewest."""
        for wanted in range(1, self.workers.ahead + 1):
            loads = Counter(id(worker) for worker, _ in self.busy.values())
            for worker in self.ready:
                if loads[id(worker)] < wanted:
                    task = self.again.popleft() if self.again else next(tasks, None)
                    if task is None:
                        self.all_handed_out = True
                        return
                    self.busy[self.workers.hand(worker, task)] = (worker, task)

    def has(self, task: Task) -> bool:
        """Whether a worker has this task."""
        return any(task is handed for _, handed in self.busy.values())

    def finished(self, wait_s: float = WAIT_S) -> Generator[tuple[Task, Any], None, None]:
        """What has been finished since the last look; a worker that has died is taken out."""
        references = [*self.busy, *self.starting]
        if not references:
            time.sleep(wait_s)
            return
        done, _ = self.ray.wait(references, num_returns=len(references), timeout=wait_s)
        for reference in done:
            if reference in self.starting:
                worker = self.starting.pop(reference)
                if self._result(reference) is not _DIED:
                    self.ready.append(worker)
                    self.lost_at_start = 0
                else:
                    self._count_lost_start()
            elif reference in self.busy:  # unless its worker was taken out
                worker, task = self.busy[reference]
                result = self._result(reference)
                if result is _DIED:
                    self._take_out(worker)
                else:
                    del self.busy[reference]
                    yield task, result

    def end(self) -> None:
        """End all workers."""
        for worker in [*self.ready, *self.starting.values()]:
            self.ray.kill(worker)

    def _result(self, reference: Any) -> Any:
        try:
            return self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self.ray.exceptions.RayError as error:  # the worker, its node, or the result that lay there
            log.info("A worker of the cluster was lost: %s", str(error).partition("\n")[0])
            return _DIED

    def _count_lost_start(self) -> None:
        self.lost_at_start += 1
        if self.lost_at_start == MOST_ATTEMPTS and not self.ready:
            raise RunError(
                f"Workers of the cluster died {MOST_ATTEMPTS} times while they started. See their logs.",
                code="workers-died",
            )

    def _take_out(self, dead: Any) -> None:
        self.ray.kill(dead)  # it may only be out of reach
        self.ready.remove(dead)
        self.counted = -RECOUNT_S
        for reference, (worker, task) in list(self.busy.items()):
            if worker is dead:
                del self.busy[reference]
                self.again.append(task)
                self.attempts[task] += 1
                if self.attempts[task] == MOST_ATTEMPTS:
                    raise RunError(
                        f"Workers of the cluster died {MOST_ATTEMPTS} times at the same task. See their logs.",
                        code="workers-died",
                    )


_DIED = object()


def spread(
    ray: Any, workers: Workers[Task], tasks: Iterable[Task], check: Callable[[int], None]
) -> Generator[tuple[Task, Any], None, None]:
    """Each task with its result, in the order in which they finish.

    `check` is told the number of workers at work again and again, and ends everything by raising. What a task raises is
    raised here.
    """
    source, crew = iter(tasks), Crew(ray, workers)
    try:
        while crew.busy or crew.again or not crew.all_handed_out:
            crew.grow()
            crew.hand_out(source)
            yield from crew.finished()
            check(len(crew.ready))
    finally:
        crew.end()
