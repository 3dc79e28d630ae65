"""How much room a cluster has: what one worker takes, by the kind of work, and how many workers there can be.

A worker that computes with a network takes a GPU and its share of the cores where the cluster has GPUs, and otherwise
all cores of a node, as TensorFlow uses all of them for one X-ray. Nodes may differ: the smallest decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Nodes = Sequence[Mapping[str, Any]]  # as `ray.nodes()` has them


@dataclass(frozen=True)
class Room:
    """What one worker takes of a node."""

    cpus: int
    gpus: int = 0

    @property
    def options(self) -> dict[str, int]:
        """The options of a Ray actor that takes this room."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus}

    def workers(self, nodes: Nodes) -> int:
        """How many workers fit on the nodes that are alive, where nothing else runs on them."""
        fitting = []
        for resources in _alive(nodes):
            counts = [resources.get(name, 0) // taken for name, taken in self._taken.items()]
            fitting.append(int(min(counts)))
        return sum(fitting)

    @property
    def _taken(self) -> dict[str, int]:
        return {name: taken for name, taken in (("CPU", self.cpus), ("GPU", self.gpus)) if taken}


def room_for_network(nodes: Nodes) -> Room:
    """What a worker takes that computes with a network."""
    with_gpus = [resources for resources in _alive(nodes) if resources.get("GPU", 0) >= 1]
    if with_gpus:
        return Room(int(min(resources.get("CPU", 0) // int(resources["GPU"]) for resources in with_gpus)), gpus=1)
    return Room(int(min((cores for resources in _alive(nodes) if (cores := resources.get("CPU", 0)) >= 1), default=1)))


def _alive(nodes: Nodes) -> list[Mapping[str, float]]:
    return [node["Resources"] for node in nodes if node["Alive"]]
