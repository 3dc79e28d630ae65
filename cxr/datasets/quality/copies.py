"""Copies of one image in a dataset count as one patient, so that no split separates them.

They are found by reading every film once (`duplicates`), and stored on disk as row numbers until the files change.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cxr.core.atomic_files import write_atomically
from cxr.datasets.dataset import Dataset
from cxr.datasets.film_table import COPIES, PERSON
from cxr.datasets.quality.dataset_state import cache_file, state_digest
from cxr.datasets.quality.duplicates import groups_of_copies, thumbnails_on_disk
from cxr.datasets.quality.fingerprints import Progress, read_fingerprints

DETECTOR = 1  # version of the comparison: groups found by an older one are searched again

Groups = Sequence[Sequence[int]]  # row numbers of films that show the same image


def cached_copies(dataset: Dataset) -> Groups | None:
    """The stored groups of copies; None where there are none, or where the films or the comparison changed since."""
    try:
        stored = json.loads(cache_file(dataset, "copies").read_text("utf-8"))
        groups = stored["groups"] if stored["signature"] == _signature(dataset) else None
        return None if groups is None else [[int(row) for row in group] for group in groups]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def copies_or_cached(dataset: Dataset, progress: Progress | None = None) -> Groups:
    """The groups of copies among the films: the stored ones, or those found now, which are stored."""
    stored = cached_copies(dataset)
    if stored is not None:
        return stored
    signature = _signature(dataset)  # first: a change during the comparison makes it an old one
    with thumbnails_on_disk() as thumbnails:
        fingerprints, _ = read_fingerprints(dataset, thumbnails, progress)
        rows = list(fingerprints)
        found = groups_of_copies(list(fingerprints.values()), thumbnails)
    groups = [[rows[i] for i in group] for group in found]
    _store(dataset, signature, groups)
    return groups


def store_copies(dataset: Dataset, groups: Groups) -> None:
    """Store groups of copies that an audit of this dataset found."""
    _store(dataset, _signature(dataset), groups)


def with_copies_as_one_patient(dataset: Dataset, groups: Groups) -> Dataset:
    """The dataset in which all patients with copies of one image count as one patient.

    Patients that share an image with a third are the same as well. The manifest's patients stay in `patient_id`.
    """
    number = np.full(len(dataset), "", dtype=object)
    codes, names = dataset.patients.factorize(sort=True)
    first, second = [], []
    for group_number, group in enumerate(groups):
        number[list(group)] = str(group_number)
        first += [codes[group[0]]] * (len(group) - 1)
        second += [codes[row] for row in group[1:]]
    links = coo_array((np.ones(len(first)), (first, second)), shape=(len(names), len(names)))
    cluster = connected_components(links, directed=False)[1]
    name_of = np.full(cluster.max(initial=-1) + 1, "", dtype=object)
    for name, of_cluster in zip(reversed(list(names)), reversed(cluster.tolist()), strict=True):
        name_of[of_cluster] = name  # the first by name stays
    people = [name_of[cluster[code]] for code in codes]
    return dataset.with_column(PERSON, people).with_column(COPIES, number.astype(str))


def with_known_copies(dataset: Dataset) -> Dataset:
    """The dataset with copies as one patient where they are known already; otherwise as it is."""
    groups = cached_copies(dataset)
    return dataset if groups is None else with_copies_as_one_patient(dataset, groups)


def merged_films(dataset: Dataset) -> int:
    """The number of films that are copies of another patient's; 0 where copies are not known."""
    if COPIES not in dataset.table:
        return 0
    named = dataset.table["dataset"] + "/" + dataset.table["patient_id"]
    of_group = named.groupby(dataset.table[COPIES]).transform("nunique")
    return int(((dataset.table[COPIES] != "") & (of_group > 1)).sum())


def _store(dataset: Dataset, signature: str, groups: Groups) -> None:
    path = cache_file(dataset, "copies")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({"signature": signature, "groups": [list(group) for group in groups]}))


def _signature(dataset: Dataset) -> str:
    """A digest of the films' paths and files alone: labels and splits may change."""
    return state_digest(dataset.table[["root", "path"]], DETECTOR)
