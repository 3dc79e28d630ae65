"""`cxr reader-study`: the files of several readers combined, and reading with and without the model compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxr.cli import console
from cxr.cli.options import Json

if TYPE_CHECKING:
    import pandas as pd

    from cxr.evaluation.reader_study.study import ReaderStudy


def reader_study(
    files: Annotated[list[Path], typer.Argument(help="CSV files of the page Reading practice, one for each reader.")],
    as_json: Json = False,
) -> None:
    """Evaluate a reader study: each reader, their agreement, and reading with and without the model.

    Readers and X-rays both count as random: Obuchowski and Rockette's method with Hillis' degrees of freedom.
    """
    from cxr.core.bounded_files import open_regular
    from cxr.core.errors import DatasetError
    from cxr.evaluation.reader_study.study import reader_study as evaluate
    from cxr.inference.response_tables import MAX_BYTES, from_csv

    responses = {}
    for path in files:
        try:
            with open_regular(path) as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise DatasetError(
                f"Cannot read {path}: {error.strerror or error}.", code="responses-unreadable"
            ) from error
        if str(path) in responses:
            raise DatasetError(f"{path} was given more than once.", code="given-twice")
        responses[str(path)] = from_csv(data, path.name)
    study = evaluate(responses)
    if as_json:
        console.print_json(study.as_dict())
    else:
        typer.echo(_text(study))


def _text(study: ReaderStudy) -> str:
    from cxr.presentation import reader_study_tables as tables

    parts = [tables.study_sentence(study), _table(tables.readers_table(study)), tables.agreement_sentence(study)]
    if study.comparisons:
        parts.append(f"With the model minus alone, on {study.compared_cases} X-rays that all readers read both ways:")
        parts += [_table(tables.comparison_table(study)), tables.METHOD]
    else:
        parts.append("Reading with and without the model cannot be compared: too few X-rays have both answers of all.")
    return "\n\n".join(parts)


def _table(table: pd.DataFrame) -> str:
    return table.to_string(index=False, justify="left")
