"""The examples on the page Predict: real, labeled X-rays of a folder with a manifest, or the files of any folder."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from functools import partial
from pathlib import Path

from cxr.core.csv_files import check_table_size, original_cell
from cxr.core.errors import FilmError
from cxr.core.paths import examples_dir
from cxr.datasets.archive import MANIFEST, leaves_folder, may_be_film
from cxr.datasets.labels import LabelSpace, canonical_label
from cxr.films.film import read_bytes
from cxr.inference.classifier import Prediction
from cxr.inference.sources import FilmSource, Reference

MAX_EXAMPLES = 48  # of any folder


def example_sources() -> list[FilmSource]:
    """The X-rays of the folder of examples, in the order of its manifest; without one, by name and unlabeled."""
    folder = examples_dir()
    if folder is None or not folder.is_dir():
        return []
    rows = _manifest_rows(folder / MANIFEST)
    if rows:
        return [_labeled(folder, row) for row in rows[:MAX_EXAMPLES]]
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and may_be_film(path.name)]
    return [_source(folder, path.name) for path in files[:MAX_EXAMPLES] if not path.name.startswith(".")]


def agrees(prediction: Prediction, labels: LabelSpace, reference: Reference) -> bool | None:
    """Whether the predicted class is one that the reference allows; None where the model has none, or abstains."""
    allowed = labels.members(reference.label)
    if not allowed or prediction.indeterminate:
        return None
    return labels.classes.index(prediction.decision) in allowed


def _manifest_rows(path: Path) -> list[dict[str, str]]:
    """The rows of the manifest whose files lie in its folder; none where it is missing or cannot be read.

    Read without pandas, which the first page does without.
    """
    if not path.is_file():
        return []
    try:
        data = read_bytes(path)
        check_table_size(data)
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    except (FilmError, ValueError, csv.Error):
        return []
    cells = [{name: original_cell(value or "").strip() for name, value in row.items() if name} for row in rows]
    return [row for row in cells if row.get("path") and "label" in row and not leaves_folder(row["path"])]


def _labeled(folder: Path, row: dict[str, str]) -> FilmSource:
    parts = [row.get(name, "") for name in ("author", "licence", "changes")]
    credit = ", ".join(part for part in parts if part)
    reference = Reference(canonical_label(row["label"]), row.get("age_group", ""), credit)
    return replace(_source(folder, row["path"]), reference=reference)


def _source(folder: Path, name: str) -> FilmSource:
    return FilmSource(f"example/{name}", Path(name).name, partial(read_bytes, folder / name))
