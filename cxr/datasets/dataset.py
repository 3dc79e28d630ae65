"""A dataset of X-rays from a folder, a ZIP or a manifest: a table with one row per film, each read when needed."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxr.core.bounded_files import is_folder, is_regular, open_regular
from cxr.core.errors import DatasetError, UnreadableFilm
from cxr.datasets.archive import DAMAGED_ZIP, MANIFEST, Archive, Folder, open_store, wrapping_folder
from cxr.datasets.film_table import PERSON, film_table, first_few
from cxr.films.film import Film


@dataclass(frozen=True, eq=False)
class Dataset:
    """Films with what is known of them; none is decoded before it is read."""

    name: str
    table: pd.DataFrame = field(repr=False)

    @property
    def digest(self) -> str:
        """A text that differs where the table does: in a value, a column's name, or the order of the X-rays."""
        rows = pd.util.hash_pandas_object(self.table, index=False).to_numpy().tobytes()
        return hashlib.sha256("\n".join(map(str, self.table.columns)).encode() + rows).hexdigest()

    @classmethod
    def open(cls, path: str | Path) -> Dataset:
        """The dataset in a folder or ZIP (with `manifest.csv`, or one folder per class), or of a manifest.

        Folders train, test and val (or valid, validation, dev) around the class folders become the split.
        """
        path = Path(path)
        manifest = MANIFEST
        store: Folder | Archive
        if is_folder(path):
            store = Folder(path)
            name = store.root.name
        elif path.suffix.lower() == ".csv" and is_regular(path):
            store, manifest = Folder(path.parent), path.name
            name = store.root.name
        elif is_regular(path) and _is_zip(path):
            store = _open_archive(path)
            name = path.stem
        else:
            raise DatasetError(
                f"There is no dataset at {path.name}: choose a folder, a ZIP or a {MANIFEST}.", code="not-a-dataset"
            )
        if isinstance(store, Folder) and not (store.root / manifest).is_file():
            store = Folder(store.root / wrapping_folder(store.names(), eager=False))
        table = film_table(store, manifest, name)
        return cls(name, table.assign(dataset=name, root=str(store.root)))

    @classmethod
    def join(cls, datasets: Sequence[Dataset]) -> Dataset:
        """All films of these datasets; of two with the same name, the second becomes `name-2`."""
        if not datasets:
            raise DatasetError("Choose at least one dataset.", code="none-chosen")
        taken: dict[str, tuple[str, str]] = {}
        tables = []
        for dataset in datasets:
            renamed = {}
            for name, root in dataset.table[["dataset", "root"]].drop_duplicates().itertuples(index=False):
                renamed[name] = _free_name(name, root, taken)
                taken[renamed[name]] = (name, root)
            tables.append(dataset.table.assign(dataset=dataset.table["dataset"].map(renamed)))
        table = pd.concat(tables, ignore_index=True)
        texts = table.select_dtypes(["string", "object"]).columns
        table[texts] = table[texts].fillna("")
        repeated = table[table.duplicated(["root", "path"])]
        if len(repeated):
            names = first_few(repeated["dataset"].unique())
            raise DatasetError(f"{names} was given more than once. Choose it once.", code="given-twice")
        return cls(" + ".join(dict.fromkeys(dataset.name for dataset in datasets)), table)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def labels(self) -> pd.Series:
        """The label of each film."""
        return self.table["label"]

    @property
    def patients(self) -> pd.Series:
        """The patient of each film, different from all patients of other datasets.

        Where copies of one image are known, their patients are one, even across datasets (`quality.copies`).
        """
        if PERSON in self.table:
            return self.table[PERSON]
        return self.table["dataset"] + "/" + self.table["patient_id"]

    @property
    def sources(self) -> pd.Series:
        """The source of each film, or its dataset where none is stated."""
        return self.table["source"].where(self.table["source"] != "", self.table["dataset"])

    @property
    def ages(self) -> pd.Series:
        """The age of each film's patient in years; NaN where it is not known."""
        digits = self.table["age"].str.extract(r"^(\d{1,3})(?:\.\d+)?[Yy]?$", expand=False)
        return pd.to_numeric(digits)

    def read_bytes(self, i: int) -> bytes:
        """The bytes of the i-th film's file; raises only `FilmError`."""
        root, path = str(self.table["root"].iat[i]), str(self.table["path"].iat[i])
        try:
            return open_store(root).read(path)
        except DatasetError as error:  # the ZIP was replaced after the dataset was opened
            raise UnreadableFilm(DAMAGED_ZIP, code="damaged-zip") from error

    def read(self, i: int) -> Film:
        """The i-th film; raises only `FilmError`."""
        return Film.read(self.read_bytes(i))

    def where(self, mask: Any) -> Dataset:
        """The dataset of the films for which the mask is true, numbered from 0."""
        selected = np.asarray(mask)
        if selected.dtype != bool or selected.shape != (len(self),):
            raise ValueError(f"A mask has one bool per film ({len(self)}), not {selected.dtype} {selected.shape}.")
        return Dataset(self.name, self.table.loc[selected].reset_index(drop=True))

    def with_column(self, name: str, values: Any) -> Dataset:
        """The same films with a column added or replaced: one value per film in order, or one for all."""
        if isinstance(values, pd.Series):
            values = values.array  # by position: a Series would be aligned by its index
        return Dataset(self.name, self.table.assign(**{name: values}))


def open_datasets(paths: Sequence[str | Path]) -> Dataset:
    """The films of all these datasets as one dataset."""
    datasets = [Dataset.open(path) for path in paths]
    return datasets[0] if len(datasets) == 1 else Dataset.join(datasets)


def _is_zip(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return zipfile.is_zipfile(file)
    except OSError:
        return False


def _open_archive(path: Path) -> Archive:
    store = open_store(path.resolve())
    if isinstance(store, Folder):  # the ZIP was replaced by a folder meanwhile
        raise DatasetError(f"{path.name} changed while it was opened. Try again.", code="changed")
    return store


def _free_name(name: str, root: str, taken: dict[str, tuple[str, str]]) -> str:
    """The name, numbered where another dataset has it already."""
    free, number = name, 1
    while free in taken and taken[free][1] != root:
        number += 1
        free = f"{name}-{number}"
    return free
