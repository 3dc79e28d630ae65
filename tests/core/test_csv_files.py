"""CSV files: bounded before they are read, and written so that no spreadsheet runs a cell."""

from __future__ import annotations

import csv
import io
import math
import time

import pandas as pd
import pytest

from cxr.core.csv_files import (
    MAX_COLUMNS,
    TableTooLarge,
    check_table_size,
    csv_text,
    frame_csv,
    original_cell,
    safe_cell,
)
from tests.support.memory import peak_bytes

FORMULAS = (
    *("=1+1", "+1+1", "-1+1", "@SUM(1)", "=cmd|' /C calc'!A0", '=HYPERLINK("http://x")', "\t=1", "\r=1", "\n=1"),
    *(" =1", "   -x", "\u00a0=1", "\uff1d1", "\uff0b1", "\uff0dx", "\uff20x", "-", "+", "=", "@", "--5", "-5-5", "+a"),
    *("'=1", "''-x", "\t", "\rx", "\n"),
)
PLAIN = ("", "normal", "a=b", "1", "a-b", "'", "'quoted'", "#x", "file 1.png", "é", " x", "x\ry", "x\ny")
NUMBERS = ("-5", "+5", "-0.25", "-1e-07", "-.5", "+1E9", "-5.", "-inf", "+nan")


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_a_formula_becomes_text_and_is_itself_again(text: str) -> None:
    cell = safe_cell(text)
    assert cell[0] == "'"
    assert original_cell(cell) == text


@pytest.mark.parametrize("text", [*PLAIN, *NUMBERS], ids=ascii)
def test_texts_and_numbers_stay_as_they_are(text: str) -> None:
    assert safe_cell(text) == original_cell(text) == text


@pytest.mark.parametrize("value", [-5, -0.25, True, None])
def test_values_that_are_no_text_stay_as_they_are(value: object) -> None:
    assert safe_cell(value) is value


@pytest.mark.parametrize("write", ["rows", "frame"])
def test_every_cell_and_heading_is_safe_and_every_line_break_quoted(write: str) -> None:
    texts = [*FORMULAS, *PLAIN, *NUMBERS, 'a"b', "a,b"]
    columns = ["=heading", "text"]
    rows = [{"=heading": text, "text": text} for text in texts]
    written = csv_text(columns, rows) if write == "rows" else frame_csv(pd.DataFrame(rows, columns=columns))
    header, *read = list(csv.reader(io.StringIO(written, newline=""), strict=True))
    assert header == ["'=heading", "text"]
    assert [original_cell(cell) for row in read for cell in row] == [text for text in texts for _ in columns]
    for cell in (cell for row in read for cell in row):
        assert cell[:1] not in ("=", "@", "\t", "\r", "\n")
        assert cell[:1] not in ("+", "-") or math.isnan(float(cell)) or float(cell) is not None
    assert '"x\ry"' in written


def test_a_table_is_written_as_pandas_would_write_it() -> None:
    table = pd.DataFrame({"a": [1, 2], "b": [0.1, math.nan], "c": ["x", None], "d": [True, False], "e": [-1.5, 1e-9]})
    assert frame_csv(table) == table.to_csv(index=False)
    assert frame_csv(table.head(0)) == table.head(0).to_csv(index=False)
    assert frame_csv(table.astype({"c": "string", "a": "category"})) == table.to_csv(index=False)


# Bounds


WIDE = {
    "a header of many columns": "a," * 500_000,
    "a header of many quoted columns": '"a\n",' * 150_000,
    "a header one column too wide": ",".join(map(str, range(MAX_COLUMNS + 1))),
    "a second row of many columns": "path,label\n" + "x," * 400_000,
    "a second row after blank lines": "path,label\n\n\n\n" + "x," * 400_000,
    "a very long heading": "a" * 2_000_000 + "\n1",
    "many cells": "a,b\n" + ",\n" * 11_000_000,
    "many rows": "a\n" + "\n" * 21_000_000,
    "many rows of old Macs": "a\r" * 21_000_000,
}


@pytest.mark.parametrize("kind", WIDE)
def test_a_table_that_would_fill_the_memory_is_refused_quickly(kind: str) -> None:
    data = WIDE[kind].encode()
    started, memory = time.process_time(), peak_bytes(reset=True)
    with pytest.raises(TableTooLarge) as raised:
        check_table_size(data)
    assert str(raised.value)
    assert time.process_time() - started < 2
    assert peak_bytes() - memory < 100_000_000


def test_tables_of_usual_size_pass() -> None:
    check_table_size(b"")
    check_table_size("\ufeffpath,label\na.png,normal\n".encode())
    check_table_size((",".join(map(str, range(MAX_COLUMNS))) + "\n").encode())
    check_table_size(b"path,label\n" + b"a/b/c.png,normal\n" * 300_000)
    check_table_size(b'path,label\n"a\n","' + b"x" * 50_000 + b'"\n\xff')
