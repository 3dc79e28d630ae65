"""Which films an audit uses: a random sample of each class and source, films not used in training first."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.core.number_format import counted
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace, display_in_sentence, display_name

FILMS_PER_GROUP = 100  # films of a class and source at most
FILMS_IN_TOTAL = 600  # at most: the model reads each film three times
MIN_PATIENTS = 10  # of a class or a source, for a result about it
ROLE_ORDER = {"": 0, "test": 0, "val": 1, "train": 2}  # of the roles in training: films not used in it come first


def usable_films(dataset: Dataset, labels: LabelSpace) -> tuple[Dataset, list[str]]:
    """The films of one class of the model, which becomes their label, and sentences about those left out.

    Classes of fewer than 10 patients are left out; a DatasetError where fewer than two classes remain.
    """
    members = [labels.members(label) for label in dataset.labels]
    single = np.array([len(classes) == 1 for classes in members], bool)
    left_out = int((~single).sum())
    notes = [f"{counted(left_out, 'X-ray')} without a single class of the model left out."] if left_out else []
    names = [labels.classes[classes[0]] for classes in members if len(classes) == 1]
    films = dataset.where(single).with_column("label", names)
    patients = films.patients.groupby(films.labels.to_numpy()).nunique()
    few = [str(name) for name, count in patients.items() if count < MIN_PATIENTS]
    if len(patients) - len(few) < 2:
        present = ", ".join(f"{count} with {display_in_sentence(str(name))}" for name, count in patients.items())
        raise DatasetError(
            f"An audit needs X-rays of at least two of the model's classes, from {MIN_PATIENTS} patients each. "
            f"Patients in these datasets: {present or 'none'}. Add a dataset.",
            code="too-few-patients",
        )
    notes += [f"{display_name(name)} left out: fewer than {MIN_PATIENTS} patients." for name in few]
    return films.where(~films.labels.isin(few).to_numpy()), notes


def sources_of(films: Dataset) -> NDArray[np.object_]:
    """The source of each film, or its dataset where none is stated."""
    return films.sources.to_numpy(object)


def sample_films(
    films: Dataset, seed: int, per_group: int = FILMS_PER_GROUP, in_total: int = FILMS_IN_TOTAL
) -> NDArray[np.bool_]:
    """Which films are sampled: up to `per_group` of each class and source.

    No patient's second film comes before the first film of every patient.
    The column `role` has each film's role in the model's training, or "".
    """
    table = pd.DataFrame(
        {
            "group": films.labels.to_numpy(object) + "\0" + sources_of(films),
            "role": films.table["role"].map(ROLE_ORDER).to_numpy(),
            "patient": films.patients.to_numpy(object),
        }
    ).iloc[np.random.default_rng(seed).permutation(len(films))]
    table["visit"] = table.groupby("patient").cumcount()
    most = max(1, min(per_group, in_total // table["group"].nunique()))
    chosen = table.sort_values(["role", "visit"], kind="stable").groupby("group").head(most)
    return np.isin(np.arange(len(films)), chosen.index)
