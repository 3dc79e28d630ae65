"""Writing a dataset's manifest with its split next to the films; the old manifest is kept under another name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pandas as pd
from filelock import FileLock

from cxr.core.access import Action
from cxr.core.audit_trail import audited
from cxr.core.csv_files import frame_csv
from cxr.core.errors import DatasetError
from cxr.datasets.archive import MANIFEST
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.datasets.film_table import COPIES, PERSON, ROLES
from cxr.datasets.labels import display_name
from cxr.datasets.split import assign_roles

RECORD_SUFFIX = "-revisions.json"
SPLIT_NAMES = {"train": "Training", "val": "Validation", "test": "Test"}
_ADDED_COLUMNS = ["dataset", "root", "role", "times_listed", PERSON, COPIES]  # columns that opening and splitting add


def assign_splits(dataset: Dataset, validation: float, test: float, seed: int, reassign: bool) -> Dataset:
    """The dataset with every film in a split, by patient; films keep their split unless all are reassigned."""
    assigned = assign_roles(dataset.with_column("split", "") if reassign else dataset, validation, test, seed)
    return assigned.with_column("split", assigned.table["role"])


def split_counts(dataset: Dataset) -> pd.DataFrame:
    """A table of films by class and split, with the patients of each split in the last row."""
    names = dataset.labels.map({label: display_name(label) for label in dataset.labels.unique()}).rename("Class")
    table = pd.crosstab(names, dataset.table["split"]).reindex(columns=ROLES, fill_value=0)
    table.loc["All X-rays"] = table.sum()
    patients = dataset.patients.groupby(dataset.table["split"]).nunique()
    table.loc["Patients"] = patients.reindex(ROLES, fill_value=0)
    return table.rename(columns=SPLIT_NAMES).rename_axis(columns=None).reset_index()


def manifest_csv(dataset: Dataset) -> bytes:
    """The manifest as CSV, which opens as the same films in the same splits."""
    table = dataset.table.drop(columns=_ADDED_COLUMNS, errors="ignore")
    is_path = table["patient_id"] == table["path"]
    table["patient_id"] = table["patient_id"].mask(is_path, "")
    return frame_csv(table).encode("utf-8")


def manifest_path(entry: DatasetEntry, dataset: Dataset) -> Path | None:
    """The path of this dataset's manifest, existing or not; None for a ZIP, which is never changed."""
    path, root = Path(entry.path), Path(str(dataset.table["root"].iat[0]))
    if path.suffix.lower() == ".csv" and path.is_file():
        return path
    return root / MANIFEST if root.is_dir() else None


@contextmanager
def manifest_lock(path: Path) -> Iterator[None]:
    """Inside the block, nobody else revises this manifest or saves a split in it."""
    lock = FileLock(path.with_name(f".{path.stem}{RECORD_SUFFIX}.lock"))
    try:
        lock.acquire()
    except OSError as error:
        raise DatasetError(
            f"The folder of the dataset cannot be written: {error.strerror or error}. Copy the dataset first.",
            code="not-written",
        ) from error
    try:
        yield
    finally:
        lock.release()


def save_split(path: Path, split: Dataset) -> Path | None:
    """Write the manifest with this split; the new path of the one that was replaced, None where there was none.

    DatasetError where the manifest was revised after the dataset was opened: the split would undo the revision.
    """
    with manifest_lock(path):
        if path.exists() and _unsplit_csv(Dataset.open(path)) != _unsplit_csv(split):
            raise DatasetError("The manifest was changed meanwhile. Load the page again.", code="changed")
        return write_manifest(path, split)


def _unsplit_csv(dataset: Dataset) -> bytes:
    return manifest_csv(dataset.with_column("split", ""))


def write_manifest(path: Path, dataset: Dataset, action: Action = Action.SPLIT_DATASET) -> Path | None:
    """The new path of the manifest that was replaced by this dataset's; None where there was none.

    The new manifest is opened and compared before the old one is replaced. Inside `manifest_lock`, where others may
    write it too.
    """
    with audited(action):
        return _replace(path, dataset)


def _replace(path: Path, dataset: Dataset) -> Path | None:
    partial = path.with_name(f".{uuid4().hex}.csv")
    try:
        partial.write_bytes(manifest_csv(dataset))
        _check_equal(partial, dataset)
        before = None
        if path.exists():
            before = path.with_name(f"{path.stem}-before-{datetime.now():%Y%m%d-%H%M%S-%f}{path.suffix}")
            before.write_bytes(path.read_bytes())
        partial.replace(path)
    except OSError as error:
        raise DatasetError(
            f"{path} could not be written: {error.strerror or error}. Download the manifest instead.",
            code="not-written",
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return before


def _check_equal(partial: Path, dataset: Dataset) -> None:
    """Raise DatasetError where the written manifest does not open as this dataset."""
    columns = ["path", "label", "split", "patient_id"]
    try:
        written = Dataset.open(partial).table[columns]
    except DatasetError:
        written = pd.DataFrame(columns=columns)
    if written.to_numpy().tolist() != dataset.table[columns].to_numpy().tolist():
        raise DatasetError(
            "Some file names start or end with a space or have a backslash, which a manifest cannot represent. "
            "Rename these files.",
            code="file-names",
        )
