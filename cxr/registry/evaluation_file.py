"""The file of a model's scores on its films, `evaluation.csv`: checks of imported tables, and copies without paths."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from cxr.core.csv_files import check_table_size, csv_text, original_cell
from cxr.core.errors import RegistryError
from cxr.registry.film_ids import salted

REQUIRED = ("dataset", "path", "label", "role")
SCORE_PREFIX = "p_"  # of the column of a class's probability
MAX_CHARACTERS = 10_000  # in a cell


def check_evaluation(data: bytes, classes: Sequence[str]) -> None:
    """RegistryError if these bytes are not a table of films with a probability of each class, or none, in a row."""
    try:
        check_table_size(data)
        rows = _rows(data.decode("utf-8"))
        header = next(rows, [])
        scores = [header.index(SCORE_PREFIX + name) for name in classes]
        if len(set(header)) < len(header) or not set(REQUIRED) <= set(header):
            raise ValueError("a column is missing, or comes twice")
        for row in rows:
            cells = [row[column] for column in scores]
            if len(row) != len(header) or (any(cells) and not all(0 <= float(cell) <= 1 for cell in cells)):
                raise ValueError("a row has too few cells, or a value that is not a probability")
    except (ValueError, IndexError, csv.Error) as error:
        raise RegistryError(
            "The model's evaluation.csv is not a table of films and probabilities of the model's classes.",
            code="evaluation",
        ) from error


def exported(data: bytes, salt: str | None) -> bytes:
    """The table without file names, which are often patients', and with salted ids of its films if there is a salt."""
    rows = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""))
    return csv_text(list(rows.fieldnames or ()), (_exported_row(row, salt) for row in rows)).encode()


def _exported_row(row: dict[str, str], salt: str | None) -> dict[str, str]:
    cells = {name: original_cell(cell) for name, cell in row.items()}
    if "path" in cells:
        cells["path"] = ""
    if salt and "film" in cells:
        cells["film"] = salted(cells["film"], salt)
    return cells


def _rows(text: str) -> Iterator[list[str]]:
    if "\0" in text:
        raise ValueError("it contains NUL characters")
    for row in csv.reader(io.StringIO(text, newline=""), strict=True):
        if any(len(cell) > MAX_CHARACTERS for cell in row):
            raise ValueError("a cell is too long")
        if row:
            yield row
