"""The readings of an archive as Parquet files of a fixed number of rows, each of which is complete or absent.

A row has the file's number and path (unless paths are left out), the digest of its bytes, the probabilities, the
decision, what the input check found, warnings, or why the file cannot be read, and the model's version. Where the input
check rejects an image it has no decision; its probabilities are there and mean nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cxr import DISCLAIMER
from cxr.core.atomic_files import atomic_path
from cxr.core.errors import DatasetError
from cxr.core.remote_files import AnyPath, RemotePath

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
FOLDER = "readings"  # of the parts, in the archive's folder
PROBABILITY = "p_"  # of the name of a column of probabilities
METADATA = b"cxr"
OUTCOMES = ("positive", "negative", "decided", "indeterminate", "rejected", "unreadable")
Row = dict[str, Any]


@dataclass(frozen=True)
class ReadingsTable:
    """What the columns of all parts are made of."""

    model: str  # name@version
    classes: tuple[str, ...]
    threshold: float | None
    paths: bool
    heatmaps: bool
    part_rows: int
    precision: str = "auto"  # or "int8"

    def schema(self) -> pa.Schema:
        """The columns of a part, with what a reader of the table must know in its metadata."""
        import pyarrow as pa

        text = pa.dictionary(pa.int32(), pa.string())
        columns = [
            ("number", pa.int64()),
            *([("path", pa.string())] if self.paths else []),
            ("film", pa.string()),
            ("outcome", text),
            ("decision", text),
            ("positive_probability", pa.float32()),
            *((PROBABILITY + name, pa.float32()) for name in self.classes),
            ("indeterminate", pa.bool_()),
            ("rejected", pa.bool_()),
            ("reasons", pa.list_(pa.string())),
            ("warnings", pa.list_(pa.string())),
            ("error", text),
            ("error_sentence", text),
            ("model", text),
            *([("heatmaps", pa.binary()), ("heatmap_shape", pa.list_(pa.int32()))] if self.heatmaps else []),
        ]
        facts = {"format": FORMAT, "classes": self.classes, "threshold": self.threshold, "model": self.model}
        facts |= {"part_rows": self.part_rows, "precision": self.precision}
        return pa.schema(columns, metadata={METADATA: json.dumps(facts | {"disclaimer": DISCLAIMER}).encode()})


def part_path(folder: AnyPath, part: int) -> AnyPath:
    """The file of a part, by its number."""
    return folder / FOLDER / f"part-{part:06d}.parquet"


def finished_parts(folder: AnyPath) -> list[int]:
    """The numbers of the parts that are there, in order."""
    names = (path.stem.removeprefix("part-") for path in (folder / FOLDER).glob("part-*.parquet"))
    return sorted(int(name) for name in names if name.isdigit())


def write_part(folder: AnyPath, part: int, rows: Sequence[Row], table: ReadingsTable) -> None:
    """Store a part in one step."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = pa.Table.from_pylist(list(rows), table.schema())
    with atomic_path(part_path(folder, part), durable=True) as partial:
        parquet.write_table(columns, partial, compression="zstd")


def remove_partial_files(folder: AnyPath) -> None:
    """Delete what a killed process left of a part that it was writing."""
    for path in (folder / FOLDER).glob(".part-*"):
        path.unlink(missing_ok=True)


def read_columns(folder: AnyPath, columns: Sequence[str]) -> Iterator[pa.Table]:
    """These columns of all parts, one part after the other; DatasetError where a part cannot be read."""
    for part in finished_parts(folder):
        yield read_part(folder, part, columns)


def read_part(folder: AnyPath, part: int, columns: Sequence[str] | None = None) -> pa.Table:
    """A part, or these columns of it; DatasetError where it cannot be read."""
    import pyarrow as pa
    from pyarrow import parquet

    path = part_path(folder, part)
    try:
        with parquet.ParquetFile(source_of(path)) as file:
            known = [name for name in columns if name in file.schema_arrow.names] if columns else None
            return file.read(known)
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{path.name} of the readings cannot be read.", code="readings-unreadable") from error


def source_of(path: AnyPath) -> Any:
    """What PyArrow reads the file at this path from; in an object store, only the columns that are asked for."""
    return path.open_for_arrow() if isinstance(path, RemotePath) else path


def facts_of(folder: AnyPath) -> Mapping[str, Any]:
    """The metadata of the readings in this folder; DatasetError where there are none."""
    import pyarrow as pa
    from pyarrow import parquet

    parts = finished_parts(folder)
    try:
        metadata = parquet.read_schema(source_of(part_path(folder, parts[0]))).metadata or {} if parts else {}
        facts = json.loads(metadata[METADATA])
        if facts["format"] != FORMAT or not facts["classes"] or "@" not in facts["model"] or facts["part_rows"] < 1:
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DatasetError(f"There are no readings in {folder.name}.", code="no-readings") from error
    found: Mapping[str, Any] = facts
    return found
