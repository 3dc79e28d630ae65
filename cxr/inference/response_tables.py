"""Readers' responses as CSV files: written for spreadsheets and other programs, and read again."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from cxr import DISCLAIMER
from cxr.core.csv_files import TableTooLarge, check_table_size, csv_text, original_cell
from cxr.core.errors import CxrError, DatasetError
from cxr.inference.reader_responses import COLUMNS, MAX_RESPONSES, ReaderResponse

MAX_BYTES = 20_000_000
_REQUIRED = ("film", "model")
_MAX_TEXT = 1_000


def to_csv(responses: Iterable[ReaderResponse]) -> str:
    """The responses as a table for spreadsheets, in which no cell can start a formula."""
    return csv_text([*COLUMNS, "disclaimer"], [_row(response) for response in responses])


def from_csv(data: bytes, name: str = "The file") -> list[ReaderResponse]:
    """The responses in such a table; a DatasetError where it is not one, or has a line that is none."""
    if len(data) > MAX_BYTES:
        raise _unreadable(name, f"it is larger than {MAX_BYTES // 1_000_000} MB")
    try:
        check_table_size(data)
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        present = [column for column in reader.fieldnames or () if column in COLUMNS]
        if missing := [column for column in _REQUIRED if column not in present]:
            raise _unreadable(name, f"it has no column {' and no column '.join(missing)}")
        rows = list(reader)
    except (TableTooLarge, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(name, "it is not a table of responses") from error
    if len(rows) > MAX_RESPONSES:
        raise _unreadable(name, f"it has more than {MAX_RESPONSES:,} lines")
    return [
        _response(name, number, {column: row[column] or "" for column in present}) for number, row in _numbered(rows)
    ]


def _numbered(rows: list[dict[str, Any]]) -> Iterable[tuple[int, dict[str, Any]]]:
    """The rows with their numbers in the file; empty ones are left out."""
    return ((number, row) for number, row in enumerate(rows, 2) if any(row.values()))


def _row(response: ReaderResponse) -> dict[str, Any]:
    return asdict(response) | {"score": "" if response.score is None else response.score, "disclaimer": DISCLAIMER}


def _response(name: str, number: int, row: Mapping[str, str]) -> ReaderResponse:
    values: dict[str, Any] = {column: original_cell(text)[:_MAX_TEXT] for column, text in row.items()}
    try:
        for column in ("first_confidence", "second_confidence"):
            values[column] = round(float(values.get(column) or 0))
        for column in ("probability", "seconds"):
            values[column] = float(values.get(column) or 0)
        values["score"] = float(values["score"]) if values.get("score") else None
        numbers = (values["probability"], values["seconds"], values["score"] or 0.0)
        if not all(map(math.isfinite, numbers)):
            raise ValueError("not finite")
        return ReaderResponse(**{"decision": ""} | values)
    except (ValueError, OverflowError, CxrError) as error:
        raise _unreadable(name, f"line {number} is not a response") from error


def _unreadable(name: str, why: str) -> DatasetError:
    return DatasetError(f"{name} cannot be read as responses of a reader: {why}.", code="responses-unreadable")
