"""The parts of an archive read by workers of a cluster, each with one classifier; whoever reads a part stores it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from cxr.cluster.connection import connected, environment_of_workers, set_up_worker
from cxr.cluster.room import Room, room_for_network
from cxr.cluster.spread import Workers, spread
from cxr.core.remote_files import path_of
from cxr.films.isolation.pool import DecoderPool
from cxr.inference.archive.listing import file_reader
from cxr.inference.archive.parts import ReadingsTable, write_part
from cxr.inference.archive.reading import read_files
from cxr.registry.verification import StoredModel

FilesOfPart = tuple[int, tuple[tuple[int, str], ...]]  # number of the part; number and path of each of its files


@dataclass(frozen=True)
class PartsToRead:
    """What every worker that reads parts of one archive must know, besides the model."""

    source: str
    folder: str  # of the readings
    table: ReadingsTable
    environment: dict[str, str]
    room: Room


class PartReader:
    """Reads parts of an archive in a worker's process."""

    def __init__(self, asked: PartsToRead, model: StoredModel) -> None:
        self._asked, self._model = asked, model

    def start(self) -> None:
        """Build the classifier and start the decoders."""
        set_up_worker(self._asked.environment, self._asked.room.cpus)
        from cxr.inference.loading import build_classifier

        self._classifier = build_classifier(self._model, self._asked.table.precision)
        self._pool = DecoderPool(count=max(1, self._asked.room.cpus))

    def read(self, files: FilesOfPart) -> int:
        """How many files were read and stored as this part."""
        part, numbered = files
        asked = self._asked
        read = file_reader(path_of(asked.source))
        with closing(read_files(self._classifier, numbered, read, self._pool, asked.table.heatmaps)) as rows:
            kept = list(rows)
        write_part(path_of(asked.folder), part, kept, asked.table)
        return len(kept)


def read_parts(
    asked: tuple[str, str, ReadingsTable],
    model: StoredModel,
    parts: Iterable[FilesOfPart],
    check: Callable[[int], None],
) -> Generator[int, None, None]:
    """How many files each part had, as soon as it is stored; in any order.

    `asked` is the archive, the folder of the readings, and what their tables are made of. `check` is told how many
    workers there are, again and again, and ends everything by raising.
    """
    with connected() as ray:
        room = room_for_network(ray.nodes())
        wanted = PartsToRead(*asked, environment_of_workers(), room)
        stored, kind = ray.put(model), ray.remote(PartReader)

        def make() -> Any:
            return kind.options(**room.options).remote(wanted, stored)

        def hand(reader: Any, files: FilesOfPart) -> Any:
            return reader.read.remote(files)

        workers = Workers(make, hand, lambda: room.workers(ray.nodes()))
        with closing(spread(ray, workers, parts, check)) as finished:
            for _, count in finished:
                yield count
