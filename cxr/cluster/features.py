"""Features of a frozen backbone, computed by this process and by workers of a cluster at the same time.

Images are decoded and augmented here and sent in batches. Workers that come late, or die, cost nothing but time: what
no worker has is computed here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.cluster.connection import connected, environment_of_workers, set_up_worker
from cxr.cluster.room import Room, room_for_network
from cxr.cluster.spread import Crew, Workers
from cxr.registry.recipe import Recipe

Forward = Callable[[NDArray[np.uint8]], NDArray[Any]]
log = logging.getLogger("cxr")


@dataclass(frozen=True, eq=False)
class Batch:
    """Images that pass the network together, with their place among all batches."""

    number: int
    images: NDArray[np.uint8]


@dataclass(frozen=True)
class FrozenPart:
    """What a worker builds the frozen part of a network from."""

    recipe_toml: str
    precision: str
    zca_rank: int

    @classmethod
    def of(cls, frozen: Any, recipe: Recipe) -> FrozenPart:
        """That of this Keras model, which is the frozen part of a network of the recipe."""
        whitening: list[Any] = next((one.get_weights() for one in frozen.layers if one.name == "whitening"), [])
        reduced = any(layer.compute_dtype == "bfloat16" for layer in frozen.layers)
        rank = whitening[2].shape[1] if len(whitening) > 2 else 0
        return cls(recipe.to_toml(), "bfloat16" if reduced else "float32", rank)


class FeatureWorker:
    """Computes features in a worker's process."""

    def __init__(self, asked: FrozenPart, weights: list[NDArray[Any]], environment: dict[str, str], room: Room) -> None:
        self._asked, self._weights, self._environment, self._room = asked, weights, environment, room

    def start(self) -> None:
        """Build the frozen part with its weights."""
        set_up_worker(self._environment, self._room.cpus)
        from cxr.learning.device import find_device

        find_device(self._asked.precision)  # first: it imports TensorFlow without its messages
        from cxr.learning.features import forward_of
        from cxr.learning.network import build

        recipe = Recipe.from_toml(self._asked.recipe_toml)
        frozen = build(recipe, 2, self._asked.precision, self._asked.zca_rank).frozen_part  # it has no classes
        frozen.set_weights(self._weights)
        self._forward = forward_of(frozen)

    def compute(self, batch: Batch) -> NDArray[Any]:
        """The features of the images of a batch."""
        return self._forward(batch.images)


def features_in_cluster(
    frozen: Any, recipe: Recipe, batches: Iterable[NDArray[np.uint8]], forward: Forward
) -> Generator[tuple[int, NDArray[Any]], None, None]:
    """The number of each batch with its features, in any order; `forward` computes those that are computed here."""
    with connected() as ray:
        room, kind = room_for_network(ray.nodes()), ray.remote(FeatureWorker)
        asked, weights = FrozenPart.of(frozen, recipe), ray.put(frozen.get_weights())
        environment = environment_of_workers()

        def make() -> Any:
            return kind.options(**room.options).remote(asked, weights, environment, room)

        workers: Workers[Batch] = Workers(make, _hand, lambda: room.workers(ray.nodes()) - 1)
        yield from shared_with(Crew(ray, workers), batches, forward)


def shared_with(
    crew: Crew[Batch], batches: Iterable[NDArray[np.uint8]], forward: Forward
) -> Generator[tuple[int, NDArray[Any]], None, None]:
    """The same, by the workers of this crew and by `forward`."""
    elsewhere = count = 0
    try:
        for count, images in enumerate(batches, 1):
            crew.grow()
            batch = Batch(count - 1, images)
            crew.hand_out(iter([batch]))
            if not crew.has(batch):
                yield batch.number, forward(batch.images)
            for done, features in crew.finished(wait_s=0):
                elsewhere += 1
                yield done.number, features
            while crew.again:
                lost = crew.again.popleft()
                yield lost.number, forward(lost.images)
        while crew.busy or crew.again:
            while crew.again:
                lost = crew.again.popleft()
                yield lost.number, forward(lost.images)
            for done, features in crew.finished():
                elsewhere += 1
                yield done.number, features
    finally:
        crew.end()
    log.info("Workers of the cluster computed the features of %d of %d batches.", elsewhere, count)


def _hand(worker: Any, batch: Batch) -> Any:
    return worker.compute.remote(batch)
