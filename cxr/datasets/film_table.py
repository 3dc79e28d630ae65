"""The table of a dataset's films, one row each: read from a manifest, or made from the names of folders and files."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd

from cxr.core.csv_files import TableTooLarge, check_table_size, original_cell
from cxr.core.errors import DatasetError, FilmError
from cxr.core.number_format import joined
from cxr.datasets.archive import MANIFEST, SPLITS, Archive, Folder, may_be_film
from cxr.datasets.labels import canonical_label, check_names

COLUMNS = ("path", "label", "finding", "patient_id", "split", "view", "sex", "age", "source", "licence")
ROLES = ("train", "val", "test")
PERSON = "_person"  # the patient of each film where copies of one image are known and count as one patient's
COPIES = "_copies"  # the number of a film's group of copies, "" where it has none

# File names that contain the patient. The Kermany dataset numbers bacterial and viral patients separately: official
# train and test would share 170 patients if `person12` alone were one, so the cause is part of the patient.
PATIENT_IN_NAME = (
    r"^(person\d+_(?:bacteria|virus))_\d+\.[^.]*$",  # Kermany: person12_bacteria_34.jpeg
    r"^((?:NORMAL2-)?IM-\d+)-\d+(?:-\d+)?\.[^.]*$",  # Kermany: NORMAL2-IM-0007-0001.jpeg
    r"^(\d{8})_\d{3}\.[^.]*$",  # NIH ChestX-ray14: 00001280_004.png
)


def film_table(store: Folder | Archive, manifest: str, name: str) -> pd.DataFrame:
    """The table of films with all columns, from the manifest where there is one, otherwise from the folders."""
    if isinstance(store, Folder) and (store.root / manifest).is_file():
        table = _from_manifest(store, manifest)
    else:
        files = store.names()
        table = _from_manifest(store, MANIFEST) if MANIFEST in files else _from_folders(files, name)
    outside = store.paths_outside(table["path"])
    if outside:
        raise DatasetError(f"{name} lists files outside its folder: {first_few(outside)}.", code="outside-folder")
    for column in COLUMNS:
        if column not in table:
            table[column] = ""
    for column in ("label", "source"):
        check_names(table[column].unique(), column)
    table["patient_id"] = table["patient_id"].where(table["patient_id"] != "", table["path"])
    others = [column for column in table if column not in (*COLUMNS, PERSON, COPIES)]
    return table[[*COLUMNS, *others]].astype("str").reset_index(drop=True)


def _from_manifest(store: Folder | Archive, manifest: str) -> pd.DataFrame:
    """The table of films in a manifest, checked."""
    try:
        data = store.read(manifest)
        check_table_size(data)
        table = pd.read_csv(BytesIO(data), dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{manifest} is not UTF-8. Save it as 'CSV UTF-8'.", code="not-utf-8") from error
    except TableTooLarge as error:
        raise DatasetError(f"{manifest} is too large a table: {error}.", code="too-large") from error
    except (ValueError, FilmError) as error:  # pandas' own errors are ValueErrors
        raise DatasetError(f"{manifest} cannot be read as a table: {error}", code="not-a-table") from error
    table.columns = table.columns.str.strip()
    if not table.columns.is_unique:
        raise DatasetError(f"{manifest} has two columns of one name. Rename one of them.", code="repeated-column")
    missing = [column for column in ("path", "label") if column not in table]
    if missing:
        raise DatasetError(f"{manifest} has no column {joined(missing, 'or')}.", code="missing-column")
    if not isinstance(table.index, pd.RangeIndex):
        raise DatasetError(f"{manifest} has rows with more values than columns.", code="extra-values")
    if table.empty:
        raise DatasetError(f"{manifest} lists no X-rays.", code="no-films")
    known = [column for column in COLUMNS if column in table]
    table = table.fillna("").map(original_cell)  # empty where rows end early
    table[known] = table[known].apply(lambda column: column.str.strip())
    table["path"] = _clean_paths(table["path"], manifest)
    table["label"] = table["label"].map({label: canonical_label(label) for label in table["label"].unique()})
    unknown = set(table.get("split", pd.Series(dtype=str)).unique()) - {*ROLES, ""}
    if unknown:
        raise DatasetError(
            f"{manifest} has the unknown split {first_few(sorted(unknown))}. "
            "Use train, val or test, or leave it empty for a random split.",
            code="unknown-split",
        )
    return _without_repeated_rows(table, manifest)


def _without_repeated_rows(table: pd.DataFrame, manifest: str) -> pd.DataFrame:
    """The first row of each film, with `times_listed` where one has several; refused where those disagree.

    The public covid-chestxray metadata lists five films twice, under two patients but with one label.
    """
    repeated = table[table["path"].duplicated(keep=False)]
    if repeated.empty:
        return table
    values = repeated.groupby("path")[["label", "split"] if "split" in table else ["label"]].nunique()
    conflicting = values.index[(values > 1).any(axis=1)]
    if len(conflicting):
        raise DatasetError(
            f"{manifest} lists files more than once, with different labels or splits: {first_few(conflicting)}.",
            code="conflicting-rows",
        )
    times = table.groupby("path")["path"].transform("size").astype("str")
    return table.assign(times_listed=times).drop_duplicates("path").reset_index(drop=True)


def _clean_paths(paths: pd.Series, manifest: str) -> pd.Series:
    """The paths with `/` between their parts and without `./`; refused if empty or outside the folder."""
    paths = paths.str.replace("\\", "/", regex=False).str.replace(r"(?<=.)/{2,}", "/", regex=True)
    paths = paths.str.replace(r"^(?:\./)+|(?<=/)(?:\./)+", "", regex=True)
    if (paths == "").any():
        row = int(np.flatnonzero(paths == "")[0]) + 2
        raise DatasetError(f"{manifest} has a row without a path (line {row}).", code="no-path")
    outside = paths.str.contains(r"^/|^[A-Za-z]:|(?:^|/)\.\.(?:/|$)|\x00", regex=True)
    if outside.any():
        raise DatasetError(
            f"{manifest} lists files outside its folder: {first_few(paths[outside])}. "
            "Paths must be relative to the manifest's folder and stay in it.",
            code="outside-folder",
        )
    return paths


def _from_folders(files: list[str], name: str) -> pd.DataFrame:
    """The table of films in one folder per class, which may be in folders train, test and val.

    Images beside the class folders are films without a label, so that whoever trains or audits is told of them.
    """
    paths = pd.Series([file for file in files if may_be_film(file)], dtype="str")
    tops = paths.str.split("/", n=1).str[0].str.lower()
    placed = tops.isin(list(SPLITS)) & paths.str.contains("/", regex=False)
    if placed.any():
        kept = placed | ~paths.str.contains("/", regex=False)  # loose images too: they must not vanish without a word
        paths, split = paths[kept], tops[kept].map(SPLITS).where(placed[kept], "")
        inner = paths.str.split("/", n=1).str[1].fillna(paths)
    else:
        inner, split = paths, pd.Series("", index=paths.index)
    in_class = inner.str.contains("/", regex=False)
    if not in_class.any():
        raise DatasetError(
            f"There are no X-rays in {name}. It needs a {MANIFEST}, or one folder per class with X-rays in it.",
            code="no-films",
        )
    finding = inner.str.split("/", n=1).str[0].where(in_class, "")
    file_names = paths.str.rpartition("/")[2]
    patient = pd.Series("", index=paths.index, dtype="str")
    for pattern in PATIENT_IN_NAME:
        matches = file_names.str.extract(pattern, expand=False).fillna("")
        patient = patient.where(patient != "", matches)
    label = finding.map({folder: canonical_label(folder) for folder in finding.unique()})
    for cause, label_of_cause in (("bacteria", "bacterial"), ("virus", "viral")):
        named = patient.str.endswith("_" + cause) & (label == "pneumonia")
        label = label.where(~named, label_of_cause)
    columns = {"path": paths, "label": label, "finding": finding, "patient_id": patient, "split": split}
    return pd.DataFrame(columns)


def first_few(items: Any) -> str:
    """Up to three of these, and how many more there are."""
    items = [str(item) for item in items]
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return ", ".join(items[:3]) + more
