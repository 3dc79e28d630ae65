"""A dataset's manifest written anew: with a split, beside the films, the old one kept."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pandas as pd

from cxr.core.access import Action
from cxr.core.audit_trail import audited
from cxr.core.errors import DatasetError
from cxr.datasets.archive import MANIFEST
from cxr.datasets.catalogue import DatasetEntry
from cxr.datasets.dataset import ROLES, Dataset
from cxr.datasets.split import assign_roles

_OURS = ["dataset", "root", "role", "times_listed"]  # columns that opening and dealing add


def assign_splits(dataset: Dataset, validation: float, test: float, seed: int, anew: bool) -> Dataset:
    """The dataset with every film in a split, by patient; films placed before stay, unless all are dealt anew."""
    dealt = assign_roles(dataset.with_column("split", "") if anew else dataset, validation, test, seed)
    return dealt.with_column("split", dealt.table["role"])


def split_counts(dataset: Dataset) -> pd.DataFrame:
    """Films of each class in each split, and the patients of each split in the last row."""
    label = dataset.labels.where(dataset.labels != "", "no label").rename("class")
    table = pd.crosstab(label, dataset.table["split"]).reindex(columns=ROLES, fill_value=0)
    table.loc["all films"] = table.sum()
    people = dataset.patients.groupby(dataset.table["split"]).nunique()
    table.loc["patients"] = people.reindex(ROLES, fill_value=0)
    return table.rename_axis(columns=None).reset_index()


def manifest_csv(dataset: Dataset) -> bytes:
    """The dataset's manifest, which opens as the same films in the same splits."""
    table = dataset.table.drop(columns=_OURS, errors="ignore")
    own_patient = table["patient_id"] == table["path"]
    table["patient_id"] = table["patient_id"].mask(own_patient, "")
    return table.to_csv(index=False).encode("utf-8")


def manifest_path(place: DatasetEntry, dataset: Dataset) -> Path | None:
    """Where this dataset's manifest lies or would lie; None for a ZIP, in which nothing is written."""
    path, root = Path(place.path), Path(str(dataset.table["root"].iat[0]))
    if path.suffix.lower() == ".csv" and path.is_file():
        return path
    return root / MANIFEST if root.is_dir() else None


def write_manifest(path: Path, dataset: Dataset) -> Path | None:
    """Where the manifest that was there lies now, after this dataset's was written in its place; None without one.

    What was written is opened and compared before anything is replaced.
    """
    with audited(Action.SPLIT_DATASET):
        return _written(path, dataset)


def _written(path: Path, dataset: Dataset) -> Path | None:
    partial = path.with_name(f".{uuid4().hex}.csv")
    try:
        partial.write_bytes(manifest_csv(dataset))
        _must_say_the_same(partial, dataset)
        before = None
        if path.exists():
            before = path.with_name(f"{path.stem}-before-{datetime.now():%Y%m%d-%H%M%S-%f}{path.suffix}")
            before.write_bytes(path.read_bytes())
        partial.replace(path)
    except OSError as error:
        raise DatasetError(
            f"{path} could not be written: {error.strerror or error}. Download the manifest instead."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return before


def _must_say_the_same(partial: Path, dataset: Dataset) -> None:
    columns = ["path", "label", "split", "patient_id"]
    try:
        written = Dataset.open(partial).table[columns]
    except DatasetError:
        written = pd.DataFrame(columns=columns)
    if written.to_numpy().tolist() != dataset.table[columns].to_numpy().tolist():
        raise DatasetError(
            "A manifest cannot tell these films apart, as some of their paths begin or end with a blank or hold a "
            "backslash. Rename those files."
        )
