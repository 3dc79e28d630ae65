"""Score tables: one row for each film, with its label and the model's probabilities, as stored beside a model."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.csv_files import check_table_size, original_cell
from cxr.core.errors import DatasetError
from cxr.datasets.film_table import PERSON

PREFIX = "p_"  # of a column of probabilities
TEXT_COLUMNS = ("dataset", "path", "film", "label", "source", "view", "sex", "age", "role", "rejected")
REQUIRED_COLUMNS = {"dataset", "path", "label", "role"}


def score_table(films: pd.DataFrame, probabilities: NDArray[np.floating], classes: tuple[str, ...]) -> pd.DataFrame:
    """The score table to store: each film's origin, label, role in training and probabilities. Patients are numbered.

    Films that the model was trained on have no probabilities; they are listed so that no evaluation uses them.
    """
    table = films[[column for column in TEXT_COLUMNS if column in films]].copy()
    person = films[PERSON] if PERSON in films else films["dataset"] + "/" + films["patient_id"]
    table.insert(2, "patient", pd.factorize(person)[0])
    for k, name in enumerate(classes):
        table[PREFIX + name] = np.round(probabilities[:, k].astype(float), 6)
    return table.reset_index(drop=True)


def read_scores(source: Path | bytes) -> pd.DataFrame:
    """The films of a stored score table that have probabilities: those that the model was not trained on."""
    table = read_films(source)
    scores = table[[name for name in table if str(name).startswith(PREFIX)]]
    return table[scores.notna().all(axis=1)].reset_index(drop=True)


def read_films(source: Path | bytes) -> pd.DataFrame:
    """All films of a stored score table, a file or its bytes; a DatasetError where it is not one."""
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        check_table_size(data)
        table = _parsed(data)
    except (OSError, ValueError) as error:
        raise DatasetError("The stored scores cannot be read.", code="scores-unreadable") from error
    for column in set(TEXT_COLUMNS) & set(table):
        escaped = table[column].str.startswith("'")
        if escaped.any():
            table.loc[escaped, column] = table.loc[escaped, column].map(original_cell)
    if absent := REQUIRED_COLUMNS - set(table):
        raise DatasetError(f"The stored scores lack the columns {', '.join(sorted(absent))}.", code="scores-unreadable")
    return table


def _parsed(data: bytes) -> pd.DataFrame:
    """The CSV file's table; an empty cell is a text, and a missing probability."""
    import pyarrow as pa
    from pyarrow import csv

    names = pd.read_csv(io.BytesIO(data), nrows=0).columns
    types = dict.fromkeys(TEXT_COLUMNS, pa.string()) | {n: pa.float64() for n in names if n.startswith(PREFIX)}
    table = csv.read_csv(
        pa.py_buffer(data),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=False),
    )
    if len(set(table.column_names)) < table.num_columns:
        raise ValueError("two columns have the same name")
    return table.to_pandas()


def probabilities_of(table: pd.DataFrame, classes: tuple[str, ...]) -> NDArray[np.float64]:
    """The probabilities (films, classes) in a score table; a DatasetError where a class has no column."""
    columns = [PREFIX + name for name in classes]
    if absent := [name for name in columns if name not in table]:
        raise DatasetError(f"The stored scores lack the columns {', '.join(absent)}.", code="scores-unreadable")
    return table[columns].to_numpy(float)
