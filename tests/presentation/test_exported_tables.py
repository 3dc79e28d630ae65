"""Every table that leaves this library: no cell starts a formula, and every line break is quoted."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from cxr.core.csv_files import frame_csv
from cxr.datasets.dataset import Dataset
from cxr.datasets.manifest import manifest_csv
from cxr.evaluation.scores import read_films, score_table
from cxr.inference.reader_responses import ReaderResponse
from cxr.inference.response_tables import to_csv
from cxr.presentation.report import batch_csv
from cxr.registry.evaluation_file import exported
from cxr.ui.components.charts.chart import Chart

PROJECT = Path(__file__).parents[2]
HOSTILE = ("=1+1", "+x", "-x", "@SUM(A1)", "\t=1", "\r=1", " =1", "a\rb", "=a\r\nb", '=HYPERLINK("http://a.b")')
WRITES_ITSELF = {
    "cxr/core/csv_files.py",
    "cxr/films/synthetic/phantom.py",  # values of its own
    "cxr/jobs/train.py",  # a run's list of films, which is compared and never leaves
}


def films(text: str) -> pd.DataFrame:
    columns = ("dataset", "path", "label", "patient_id", "split", "source", "view", "sex", "age", "role", "other")
    return pd.DataFrame({name: [text, "plain"] for name in columns} | {"film": ["0" * 16, "1" * 16]})


def readings(text: str) -> str:
    row = {"file": text, "error": text, "warnings": [text], "decision": text, "model": text, "threshold": -0.5}
    return batch_csv([row | {"probabilities": {text: 0.5}}], [text])


def responses(text: str) -> str:
    return to_csv([ReaderResponse(film=text, model=text, decision=text, probability=0.5, answer="agree", note=text)])


def scores(text: str) -> str:
    return frame_csv(score_table(films(text), pd.DataFrame([[0.5], [-0.5]]).to_numpy(), ("x",)))


TABLES: dict[str, Callable[[str], str]] = {
    "readings": readings,
    "reader responses": responses,
    "manifest": lambda text: manifest_csv(Dataset("set", films(text).drop(columns="role"))).decode(),
    "numbers of a chart": lambda text: Chart(go.Figure(), "", pd.DataFrame({text: [text], "n": [-0.5]})).csv(),
    "scores": scores,
    "scores of an exported model": lambda text: exported(scores(text).encode(), "0" * 16).decode(),
}


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("table", TABLES)
def test_no_cell_starts_a_formula_and_every_line_break_is_quoted(table: str, text: str) -> None:
    written = TABLES[table](text)
    rows = list(csv.reader(io.StringIO(written, newline=""), strict=True))
    assert len({len(row) for row in rows if not row[0].startswith("# ")}) == 1
    for cell in (cell for row in rows for cell in row):
        assert not re.match(r"\s*[=+@]|[\t\r\n]|\s*-(?!0\.5)", cell), cell
    unquoted = re.sub(r'"[^"]*"', "", written)
    assert "\r" not in unquoted


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_stored_scores_are_read_as_they_were(text: str) -> None:
    table = read_films(scores(text).encode())
    assert table["label"].tolist() == [text, "plain"]
    assert table["dataset"].tolist() == [text, "plain"]


def test_line_breaks_are_kept_in_scores_that_are_read_in_blocks() -> None:
    """PyArrow parses blocks of a megabyte, which may end within a cell."""
    lines = "a" + 40 * "\n" + "b"
    table = pd.concat([films(lines)] * 5000, ignore_index=True)
    stored = frame_csv(score_table(table, np.full((len(table), 1), 0.5), ("x",)))
    assert len(stored) > 2 * 2**20
    assert read_films(stored.encode())["path"].tolist() == [lines, "plain"] * 5000


@pytest.mark.parametrize("name", ["=x.png", "-x.png", "@x.png", "+x.png", "'=x.png", "-5", "'x.png"])
def test_a_manifest_opens_as_the_same_films(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    table = pd.DataFrame({"path": [name], "label": ["normal"], "patient_id": ["=p"], "note": ["=1+1"]})
    (tmp_path / "manifest.csv").write_bytes(manifest_csv(Dataset("set", table)))
    opened = Dataset.open(tmp_path).table.iloc[0]
    assert (opened["path"], opened["patient_id"], opened["note"]) == (name, "=p", "=1+1")


def test_all_tables_are_written_by_one_module() -> None:
    writers = re.compile(r"\.to_csv\(index|csv\.writer\(|DictWriter\(")
    found = {
        path.relative_to(PROJECT).as_posix()
        for folder in ("cxr", "pages")
        for path in (PROJECT / folder).rglob("*.py")
        if writers.search(path.read_text("utf-8"))
    }
    assert found == WRITES_ITSELF
