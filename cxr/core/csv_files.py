"""CSV files: bounds before one is read, and cells that no spreadsheet takes for a formula in what is written.

A cell that a spreadsheet would take for a formula gets an apostrophe before it, which spreadsheets show as text. The
tables that this library reads again lose it there. Numbers, negative ones too, stay as they are.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what writes no tables of pandas does without its import
    import pandas as pd

MAX_COLUMNS = 2_000  # a model has at most 1,000 classes
MAX_CELLS = 20_000_000
MAX_HEAD = 1_000_000  # characters of the first two rows, by which pandas decides on the columns

_FORMULA = re.compile(r"'*(?:\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|nan)", re.ASCII)


class TableTooLarge(ValueError):
    """A CSV file with more columns or cells than any table that is read here."""


def check_table_size(data: bytes) -> None:
    """TableTooLarge where reading the table in these bytes would take far more memory than they do."""
    if data.count(b",") + data.count(b"\n") + data.count(b"\r") > MAX_CELLS:
        raise TableTooLarge(f"it has more than {MAX_CELLS:,} cells")
    text = io.TextIOWrapper(io.BytesIO(data[: 4 * MAX_HEAD + 4]), "utf-8-sig", "replace", newline="")
    try:
        rows = (row for row in csv.reader(_bounded(text)) if row)
        for row, _ in zip(rows, range(2), strict=False):
            if len(row) > MAX_COLUMNS:
                raise TableTooLarge(f"it has more than {MAX_COLUMNS:,} columns")
    except csv.Error as error:
        raise TableTooLarge("one of its cells is too long") from error


def _bounded(lines: Iterable[str]) -> Iterator[str]:
    read = 0
    for line in lines:
        read += len(line)
        if read > MAX_HEAD:
            raise TableTooLarge("its first rows are too long")
        yield line


def safe_cell(value: Any) -> Any:
    """The value of a cell, with an apostrophe where a spreadsheet would take its text for a formula."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def original_cell(value: str) -> str:
    """The text of a cell that `safe_cell` may have changed."""
    inner = value[1:]
    return inner if value[:1] == "'" and _FORMULA.match(inner) and not _NUMBER.fullmatch(inner) else value


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as CSV with a header; cells are safe, and quoted where they hold a line break of any kind."""
    lines = [_line(columns)]
    lines += [_line([row.get(column, "") for column in columns]) for row in rows]
    return "".join(lines)


def frame_csv(table: pd.DataFrame) -> str:
    """The table as CSV with a header and without its index, its text cells safe; what is missing is an empty cell."""
    names = [str(name) for name in table.columns]
    present = table.astype(object).where(table.notna(), "")
    return "".join([_line(names), *map(_line, present.itertuples(index=False, name=None))])


def _line(values: Iterable[Any]) -> str:
    """One line that ends with a line feed; a carriage return is quoted, which Python's writer leaves out."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([safe_cell(value) for value in values])
    return out.getvalue()[:-2] + "\n"
