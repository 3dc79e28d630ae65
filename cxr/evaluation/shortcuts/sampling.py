"""Which films an audit of a model looks at: of each class and source a number by lot, those it has not seen first."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace

FILMS_PER_GROUP = 100  # films of a class and source at most
FILMS_IN_TOTAL = 600  # films at most: each is read three times by the model
FEWEST_PATIENTS = 10  # of a class or of a source, to say anything about it
ROLE_ORDER = {"": 0, "test": 0, "val": 1, "train": 2}  # what a film was to the training


def usable_films(dataset: Dataset, labels: LabelSpace) -> tuple[Dataset, list[str]]:
    """The films that are of one class of the model, which becomes their label; and sentences on the others.

    Classes of fewer than 10 patients take no part. Where no two are left, a DatasetError.
    """
    members = [labels.members(label) for label in dataset.labels]
    single = np.array([len(of) == 1 for of in members], bool)
    notes = [] if single.all() else [f"{(~single).sum()} films are of no one class of the model, and took no part."]
    names = [labels.classes[of[0]] for of in members if len(of) == 1]
    films = dataset.where(single).with_column("label", names)
    people = films.patients.groupby(films.labels.to_numpy()).nunique()
    few = [str(name) for name, count in people.items() if count < FEWEST_PATIENTS]
    if len(people) - len(few) < 2:
        there = ", ".join(f"{count} of {name}" for name, count in people.items())
        raise DatasetError(
            f"An audit needs films of two of the model's classes, of {FEWEST_PATIENTS} patients each. "
            f"Here are patients: {there or 'none'}. Add a dataset."
        )
    notes += [f"{name} has fewer than {FEWEST_PATIENTS} patients, and took no part." for name in few]
    return films.where(~films.labels.isin(few).to_numpy()), notes


def sources_of(films: Dataset) -> NDArray[np.object_]:
    """Where each film comes from: its source, or its dataset where none is stated."""
    table = films.table
    return table["source"].where(table["source"] != "", table["dataset"]).to_numpy(object)


def sampled(films: Dataset, seed: int) -> NDArray[np.bool_]:
    """Which films are looked at. Nobody's second film comes before everybody's first.

    The column `role` says what each film was to the model's training, or "".
    """
    table = pd.DataFrame(
        {
            "kind": films.labels.to_numpy(object) + "\0" + sources_of(films),
            "seen": films.table["role"].map(ROLE_ORDER).to_numpy(),
            "patient": films.patients.to_numpy(object),
        }
    ).iloc[np.random.default_rng(seed).permutation(len(films))]
    table["visit"] = table.groupby("patient").cumcount()
    most = max(1, min(FILMS_PER_GROUP, FILMS_IN_TOTAL // table["kind"].nunique()))
    taken = table.sort_values(["seen", "visit"], kind="stable").groupby("kind").head(most)
    return np.isin(np.arange(len(films)), taken.index)
