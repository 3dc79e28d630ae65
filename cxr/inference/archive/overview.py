"""What an archive's readings come to: counts for a summary, and an index by which single rows are found.

Both are made from a few narrow columns, one part after the other. The index has five bytes for each file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxr.core.atomic_files import write_atomically
from cxr.core.errors import CxrError, DatasetError
from cxr.core.remote_files import AnyPath
from cxr.inference.archive.parts import OUTCOMES, facts_of, finished_parts, read_columns, read_part
from cxr.registry.weights_file import load_arrays, save_arrays

if TYPE_CHECKING:
    import pyarrow as pa

SUMMARY, INDEX = "summary.json", "index.npz"
REJECTED_BEFORE_THEM, UNREADABLE_LAST = -0.5, -1.0  # in place of a probability


@dataclass(frozen=True)
class ArchiveSummary:
    """The counts of an archive's readings, as they are stored in summary.json."""

    files: int = 0
    read: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    decisions: dict[str, int] = field(default_factory=dict)  # of images that the input check accepts
    reasons: dict[str, int] = field(default_factory=dict)  # codes of the input check
    errors: dict[str, int] = field(default_factory=dict)  # codes of unreadable files


@dataclass(frozen=True, eq=False)
class ArchiveIndex:
    """Which rows have which outcome, and how suspicious each is; by the position in all finished parts."""

    numbers: NDArray[np.int64]
    outcomes: NDArray[np.uint8]  # positions in `OUTCOMES`
    suspicion: NDArray[np.float32]  # P(finding); NaN where there is none

    def count(self, outcome: str) -> int:
        """How many rows have this outcome."""
        return int((self.outcomes == OUTCOMES.index(outcome)).sum())

    def ordered(self, outcomes: Sequence[str], by_suspicion: bool) -> NDArray[np.int64]:
        """The numbers of the files with these outcomes, the most suspicious first or in the order of the archive.

        Rejected images follow those with a prediction: their probability means nothing. Unreadable files are last.
        """
        chosen = np.flatnonzero(np.isin(self.outcomes, [OUTCOMES.index(name) for name in outcomes]))
        if by_suspicion:
            suspicion = np.nan_to_num(self.suspicion[chosen], nan=UNREADABLE_LAST)
            suspicion[self.outcomes[chosen] == OUTCOMES.index("rejected")] = REJECTED_BEFORE_THEM
            chosen = chosen[np.argsort(-suspicion, kind="stable")]
        return self.numbers[chosen]


def summarize(folder: AnyPath) -> ArchiveSummary:
    """The counts of all finished parts."""
    outcomes, decisions, reasons, errors = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    files = 0
    for part in read_columns(folder, ["outcome", "decision", "reasons", "error"]):
        files += part.num_rows
        for counts, column in ((outcomes, "outcome"), (decisions, "decision"), (errors, "error")):
            counts.update(value for value in part[column].to_pylist() if value is not None)
        reasons.update(reason for row in part["reasons"].to_pylist() for reason in row or ())
    return ArchiveSummary(
        files, files - outcomes["unreadable"], dict(outcomes), dict(decisions), dict(reasons), dict(errors)
    )


def write_summary(folder: AnyPath, summary: ArchiveSummary, facts: dict[str, object]) -> None:
    """Store the summary with what else is to be known of the readings."""
    write_atomically(folder / SUMMARY, json.dumps(facts | asdict(summary), indent=2) + "\n")


def build_index(folder: AnyPath) -> ArchiveIndex:
    """The index of all finished parts."""
    numbers, outcomes, suspicion = [], [], []
    position = {name: k for k, name in enumerate(OUTCOMES)}
    for part in read_columns(folder, ["number", "outcome", "positive_probability"]):
        numbers.append(part["number"].to_numpy().astype(np.int64))
        outcomes.append(np.array([position[value] for value in part["outcome"].to_pylist()], np.uint8))
        suspicion.append(part["positive_probability"].to_numpy().astype(np.float32))
    if not numbers:
        raise DatasetError("No part of these readings is finished yet.", code="no-readings")
    return ArchiveIndex(np.concatenate(numbers), np.concatenate(outcomes), np.concatenate(suspicion))


def write_index(folder: AnyPath) -> None:
    """Store the index of all parts."""
    save_arrays(folder / INDEX, vars(build_index(folder)))


def read_index(folder: AnyPath) -> ArchiveIndex:
    """The stored index, or a new one where none is stored yet."""
    try:
        return ArchiveIndex(**load_arrays(folder / INDEX))
    except (OSError, CxrError, TypeError):
        return build_index(folder)


def read_rows(folder: AnyPath, numbers: Sequence[int]) -> pa.Table:
    """The rows of the files with these numbers, in this order; only the parts that have them are read."""
    import pyarrow as pa

    wanted = np.asarray(numbers, np.int64)
    part_rows = int(facts_of(folder)["part_rows"])
    part_of = wanted // part_rows
    parts = np.unique(part_of).tolist()
    there = set(finished_parts(folder))
    if not parts or not set(parts) <= there:
        raise DatasetError("These readings are not there.", code="no-readings")
    pieces = []
    for part in parts:
        own = wanted[part_of == part]
        pieces.append(read_part(folder, part).take(pa.array(own % part_rows)))
    order = np.argsort(np.argsort(part_of, kind="stable"), kind="stable")
    return pa.concat_tables(pieces, promote_options="permissive").take(pa.array(order))
