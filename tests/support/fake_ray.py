"""A cluster in this process: the part of Ray's interface that is used here; it works when somebody looks.

Workers are objects of this process, so nothing is started, and a worker dies where the test says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any


class FakeRayError(Exception):
    """Stands for Ray's errors of workers that died."""


class FakeRayTaskError(FakeRayError):
    """Stands for Ray's error around what a task has raised."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


@dataclass(eq=False)
class Reference:
    """A result that is computed when it is looked at."""

    compute: Callable[[], Any]


@dataclass(frozen=True, eq=False)
class FakeMethod:
    """A method of a worker."""

    call: Callable[..., Any]

    def remote(self, *arguments: Any) -> Reference:
        """The reference to its result."""
        return Reference(lambda: self.call(*arguments))


class FakeWorker:
    """A worker that is an object of this process."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> FakeMethod:
        return FakeMethod(getattr(self.inner, name))


class FakeRay:
    """A cluster of so many nodes with one core each."""

    exceptions = SimpleNamespace(RayError=FakeRayError, RayTaskError=FakeRayTaskError)

    def __init__(self, nodes: int = 2) -> None:
        self.count = nodes
        self.made: list[FakeWorker] = []
        self.killed: list[Any] = []

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes, as Ray lists them."""
        return [{"Alive": True, "Resources": {"CPU": 1.0}} for _ in range(self.count)]

    def put(self, value: Any) -> Any:
        """The value itself."""
        return value

    def remote(self, kind: type) -> Any:
        """What makes workers of this class."""

        def make(*arguments: Any) -> FakeWorker:
            self.made.append(FakeWorker(kind(*arguments)))
            return self.made[-1]

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=make))

    def wait(self, references: list[Reference], num_returns: int, timeout: float) -> tuple[list[Reference], list[Any]]:
        """All of these, as everything is finished when somebody looks."""
        return references[:num_returns], []

    def get(self, reference: Reference) -> Any:
        """The result."""
        try:
            return reference.compute()
        except FakeRayError:
            raise
        except Exception as error:
            raise FakeRayTaskError(error) from error

    def kill(self, worker: Any) -> None:
        """Remember that the worker was ended."""
        self.killed.append(worker)


@contextmanager
def connection_to(ray: FakeRay) -> Iterator[FakeRay]:
    """What `connected` gives, with this cluster."""
    yield ray
