"""A folder, a ZIP or a manifest becomes a dataset: one row a film, films read when they are asked for."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxr.core.errors import DatasetError, FilmError, UnreadableFilm
from cxr.datasets.archive import (
    DAMAGED_ZIP,
    MANIFEST,
    SPLITS,
    Archive,
    Folder,
    may_be_film,
    open_store,
    wrapping_folder,
)
from cxr.films.film import Film

COLUMNS = ("path", "label", "finding", "patient_id", "split", "view", "sex", "age", "source", "licence")
ROLES = ("train", "val", "test")

# One finding, named differently by the public sets. Every other label is its own name in lower case.
SYNONYMS = {
    "no-finding": "normal",
    "no-findings": "normal",
    "healthy": "normal",
    "covid": "covid19",
    "covid-19": "covid19",
    "bacteria": "bacterial",
    "bacterial-pneumonia": "bacterial",
    "virus": "viral",
    "viral-pneumonia": "viral",
}

# File names that tell the patient. The Kermany set counts bacterial and viral patients separately: its
# official train and test would share 170 patients if `person12` alone were one, so the cause belongs to it.
PATIENT_IN_NAME = (
    r"^(person\d+_(?:bacteria|virus))_\d+\.[^.]*$",  # Kermany: person12_bacteria_34.jpeg
    r"^((?:NORMAL2-)?IM-\d+)-\d+(?:-\d+)?\.[^.]*$",  # Kermany: NORMAL2-IM-0007-0001.jpeg
    r"^(\d{8})_\d{3}\.[^.]*$",  # NIH ChestX-ray14: 00001280_004.png
)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Films with what is known of them; no film is loaded before it is read."""

    name: str
    table: pd.DataFrame = field(repr=False)

    @classmethod
    def open(cls, path: str | Path) -> Dataset:
        """The dataset in a folder or ZIP (with `manifest.csv`, or one folder a class), or of a manifest.

        Folders train, test and val (or valid, validation, dev) around the class folders become the split.
        """
        path = Path(path)
        manifest = MANIFEST
        store: Folder | Archive
        if path.is_dir():
            store = Folder(path)
            name = store.root.name
        elif path.suffix.lower() == ".csv" and path.is_file():
            store, manifest = Folder(path.parent), path.name
            name = store.root.name
        elif path.is_file() and zipfile.is_zipfile(path):
            store = _opened(path)
            name = path.stem
        else:
            raise DatasetError(f"There is no dataset at {path.name}: choose a folder, a ZIP or a {MANIFEST}.")
        if isinstance(store, Folder) and not (store.root / manifest).is_file():
            store = Folder(store.root / wrapping_folder(store.names(), eager=False))
        table = _listed(store, manifest, name)
        return cls(name, table.assign(dataset=name, root=str(store.root)))

    @classmethod
    def join(cls, datasets: Sequence[Dataset]) -> Dataset:
        """All films of these datasets; of two places with one name, the second becomes `name-2`."""
        if not datasets:
            raise DatasetError("Choose at least one dataset.")
        names: dict[str, tuple[str, str]] = {}
        tables = []
        for dataset in datasets:
            renamed = {}
            for name, root in dataset.table[["dataset", "root"]].drop_duplicates().itertuples(index=False):
                renamed[name] = _free_name(name, root, names)
                names[renamed[name]] = (name, root)
            tables.append(dataset.table.assign(dataset=dataset.table["dataset"].map(renamed)))
        table = pd.concat(tables, ignore_index=True)
        texts = table.select_dtypes(["string", "object"]).columns
        table[texts] = table[texts].fillna("")
        twice = table[table.duplicated(["root", "path"])]
        if len(twice):
            raise DatasetError(f"{_some(twice['dataset'].unique())} was given twice. Choose it once.")
        return cls(" + ".join(dict.fromkeys(dataset.name for dataset in datasets)), table)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def labels(self) -> pd.Series:
        """The label of each film."""
        return self.table["label"]

    @property
    def patients(self) -> pd.Series:
        """The patient of each film, unlike any patient of another dataset."""
        return self.table["dataset"] + "/" + self.table["patient_id"]

    @property
    def ages(self) -> pd.Series:
        """The age of each film's patient; NaN where it is not known."""
        digits = self.table["age"].str.extract(r"^(\d{1,3})(?:\.\d+)?[Yy]?$", expand=False)
        return pd.to_numeric(digits)

    def read_bytes(self, i: int) -> bytes:
        """The i-th film's file; raises only `FilmError`."""
        root, path = str(self.table["root"].iat[i]), str(self.table["path"].iat[i])
        try:
            return open_store(root).read(path)
        except DatasetError as error:  # the ZIP was replaced since the dataset was opened
            raise UnreadableFilm(DAMAGED_ZIP) from error

    def read(self, i: int) -> Film:
        """The i-th film; raises only `FilmError`."""
        return Film.read(self.read_bytes(i))

    def where(self, mask: Any) -> Dataset:
        """The films for which the mask is true, numbered anew."""
        chosen = np.asarray(mask)
        if chosen.dtype != bool or chosen.shape != (len(self),):
            raise ValueError(f"A mask is one bool a film ({len(self)}), not {chosen.dtype} {chosen.shape}.")
        return Dataset(self.name, self.table.loc[chosen].reset_index(drop=True))

    def with_column(self, name: str, values: Any) -> Dataset:
        """The same films with one column more, or one replaced. One value a film in order, or one for all."""
        if isinstance(values, pd.Series):
            values = values.array  # by place: a Series of another numbering would be aligned
        return Dataset(self.name, self.table.assign(**{name: values}))


def open_datasets(paths: Sequence[str | Path]) -> Dataset:
    """One dataset of all those places."""
    datasets = [Dataset.open(path) for path in paths]
    return datasets[0] if len(datasets) == 1 else Dataset.join(datasets)


def canonical(label: str) -> str:
    """The label in lower case, with `-` for blanks and underscores, under the one name of its synonyms."""
    name = "-".join(label.strip().lower().replace("_", " ").split())
    return SYNONYMS.get(name, name)


def _opened(path: Path) -> Archive:
    store = open_store(path.resolve())
    if isinstance(store, Folder):  # replaced by a folder since it was looked at
        raise DatasetError(f"{path.name} changed while it was opened. Try again.")
    return store


def _listed(store: Folder | Archive, manifest: str, name: str) -> pd.DataFrame:
    """One row a film with all columns, from the manifest where there is one, otherwise from the folders."""
    if isinstance(store, Folder) and (store.root / manifest).is_file():
        table = _from_manifest(store, manifest)
    else:
        files = store.names()
        table = _from_manifest(store, MANIFEST) if MANIFEST in files else _from_folders(files, name)
    strays = store.paths_outside(table["path"])
    if strays:
        raise DatasetError(f"{name} lists films that lie outside of its folder: {_some(strays)}.")
    for column in COLUMNS:
        if column not in table:
            table[column] = ""
    table["patient_id"] = table["patient_id"].where(table["patient_id"] != "", table["path"])
    others = [column for column in table if column not in COLUMNS]
    return table[[*COLUMNS, *others]].astype("str").reset_index(drop=True)


def _from_manifest(store: Folder | Archive, manifest: str) -> pd.DataFrame:
    try:
        data = store.read(manifest)
        table = pd.read_csv(BytesIO(data), dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{manifest} is not in UTF-8. Save it as 'CSV UTF-8'.") from error
    except (ValueError, FilmError) as error:  # pandas' own errors are ValueErrors
        raise DatasetError(f"{manifest} cannot be read as a table: {error}") from error
    table.columns = table.columns.str.strip()
    if not table.columns.is_unique:
        raise DatasetError(f"{manifest} names a column twice. Rename one of the two.")
    missing = [column for column in ("path", "label") if column not in table]
    if missing:
        raise DatasetError(f"{manifest} has no column {' and no column '.join(missing)}.")
    if not isinstance(table.index, pd.RangeIndex):
        raise DatasetError(f"{manifest} has rows with more values than its first line has names.")
    if table.empty:
        raise DatasetError(f"{manifest} lists no films.")
    known = [column for column in COLUMNS if column in table]
    table = table.fillna("")  # rows that end early
    table[known] = table[known].apply(lambda column: column.str.strip())
    table["path"] = _tidy(table["path"], manifest)
    table["label"] = table["label"].map({label: canonical(label) for label in table["label"].unique()})
    unknown = set(table.get("split", pd.Series(dtype=str)).unique()) - {*ROLES, ""}
    if unknown:
        raise DatasetError(
            f"{manifest} has films in the split {_some(sorted(unknown))}. "
            "A split is train, val or test, or empty where it is left to the program."
        )
    return _once(table, manifest)


def _once(table: pd.DataFrame, manifest: str) -> pd.DataFrame:
    """The first row of each film, with `times_listed` where one has several; refused where those disagree.

    The public covid-chestxray metadata lists five films twice, under two patients but with one label.
    """
    twice = table[table["path"].duplicated(keep=False)]
    if twice.empty:
        return table
    said = twice.groupby("path")[["label", "split"] if "split" in table else ["label"]].nunique()
    torn = said.index[(said > 1).any(axis=1)]
    if len(torn):
        raise DatasetError(f"{manifest} lists films twice, with different labels or splits: {_some(torn)}.")
    times = table.groupby("path")["path"].transform("size").astype("str")
    return table.assign(times_listed=times).drop_duplicates("path").reset_index(drop=True)


def _tidy(paths: pd.Series, manifest: str) -> pd.Series:
    """The paths with `/` between their parts and without `./`, refused if empty or outside."""
    paths = paths.str.replace("\\", "/", regex=False).str.replace(r"(?<=.)/{2,}", "/", regex=True)
    paths = paths.str.replace(r"^(?:\./)+|(?<=/)(?:\./)+", "", regex=True)
    if (paths == "").any():
        row = int(np.flatnonzero(paths == "")[0]) + 2
        raise DatasetError(f"{manifest} has a row without a path (line {row}).")
    outside = paths.str.contains(r"^/|^[A-Za-z]:|(?:^|/)\.\.(?:/|$)|\x00", regex=True)
    if outside.any():
        raise DatasetError(
            f"{manifest} lists films outside of its folder: {_some(paths[outside])}. "
            "Paths start at the manifest's own folder and stay in it."
        )
    return paths


def _from_folders(files: list[str], name: str) -> pd.DataFrame:
    """One row a film of a tree with one folder a class, in folders train, test and val or not."""
    paths = pd.Series([file for file in files if may_be_film(file)], dtype="str")
    tops = paths.str.split("/", n=1).str[0].str.lower()
    placed = tops.isin(list(SPLITS)) & paths.str.contains("/", regex=False)
    if placed.any():
        paths, split = paths[placed], tops[placed].map(SPLITS)
        inner = paths.str.split("/", n=1).str[1]
    else:
        inner, split = paths, pd.Series("", index=paths.index)
    in_class = inner.str.contains("/", regex=False)
    if not in_class.any():
        raise DatasetError(
            f"No films were found in {name}. It needs a {MANIFEST}, or one folder a class with films in it."
        )
    finding = inner.str.split("/", n=1).str[0]
    files_only = paths.str.rpartition("/")[2]
    patient = pd.Series("", index=paths.index, dtype="str")
    for pattern in PATIENT_IN_NAME:
        found = files_only.str.extract(pattern, expand=False).fillna("")
        patient = patient.where(patient != "", found)
    label = finding.map({folder: canonical(folder) for folder in finding.unique()})
    for cause, label_of_cause in (("bacteria", "bacterial"), ("virus", "viral")):
        named = patient.str.endswith("_" + cause) & (label == "pneumonia")
        label = label.where(~named, label_of_cause)
    columns = {"path": paths, "label": label, "finding": finding, "patient_id": patient, "split": split}
    return pd.DataFrame(columns)[in_class]


def _free_name(name: str, root: str, taken: dict[str, tuple[str, str]]) -> str:
    """The name, numbered where another place has it already."""
    free, number = name, 1
    while free in taken and taken[free][1] != root:
        number += 1
        free = f"{name}-{number}"
    return free


def _some(items: Any) -> str:
    """Up to three of these, and how many more there are."""
    items = [str(item) for item in items]
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return ", ".join(items[:3]) + more
