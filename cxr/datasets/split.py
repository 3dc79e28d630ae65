"""Random splits into training, validation and test: by patient, stratified, seeded.

Films that a manifest assigns to a split stay in it. The split depends on films and seed, not on the order of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.datasets.dataset import Dataset
from cxr.datasets.film_table import ROLES
from cxr.datasets.labels import display_name

Indexes = NDArray[np.intp]

ATTEMPTS = 20  # random orders of patients that are tried before a draw is impossible


def assign_shares(patients: Any, strata: Any, shares: Sequence[float], seed: int, deal_on: bool = False) -> Indexes:
    """The share of each film, as an index into the shares; all films of a patient get the same share.

    A patient belongs to the rarest stratum among its films. In each stratum patients with more films come first, each
    assigned at random by the room left in each share; a share that is still empty gets one of the last patients. Strata
    with fewer patients than shares begin with the largest share, or with `deal_on`, of equal shares, with the one after
    that where the last of them ended.
    """
    weights = np.asarray(shares, float)
    if not len(weights) or (weights < 0).any() or weights.sum() <= 0:
        raise DatasetError(f"Shares must not be negative or all zero: {list(shares)}.", code="share")
    person, count = _codes(patients)
    if not count:
        return np.empty(0, np.intp)
    sizes = np.bincount(person)
    stratum = _rarest(person, _codes(strata)[0])
    rng = np.random.default_rng(seed)
    order = rng.permutation(count)
    order = order[np.lexsort((-sizes[order], stratum[order]))]
    assigned, dealt = np.empty(count, np.intp), 0
    for members in np.split(order, np.flatnonzero(np.diff(stratum[order])) + 1):
        deals_on = deal_on and len(members) < len(weights)
        draws = rng.random(len(members))
        assigned[members] = _fill(sizes[members].tolist(), weights / weights.sum(), draws, dealt if deals_on else 0)
        dealt += len(members) if deals_on else 0
    return assigned[person]


def assign_roles(dataset: Dataset, validation: float, test: float, seed: int) -> Dataset:
    """The dataset with a column `role`: train, val or test for every film.

    Each dataset of a join is split by itself. Films keep the split of their manifest, and a patient's other films
    follow; of the other patients' films, the share `test` goes to test. Where the manifest has no validation films,
    the share `validation` of the training films goes to validation, from patients without test films. A patient with
    films in several datasets, as copies of one image make it, is split with the first, and the others follow.
    """
    for name, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1:
            raise DatasetError(f"The {name} share must be at least 0 and below 1, not {share}.", code="share")
    roles, patients, labels = _preset_roles(dataset), dataset.patients.to_numpy(), dataset.labels.to_numpy()
    split = dataset.table["split"].to_numpy(dtype=object)
    films_by_dataset = [np.asarray(rows) for rows in dataset.table.groupby("dataset").indices.values()]
    at_home = _first_dataset(patients, films_by_dataset)
    tested = np.isin(patients.astype(str), patients[roles == "test"].astype(str))
    for everything in films_by_dataset:
        rows = everything[at_home[everything]]
        open_rows = rows[roles[rows] == ""]
        assigned = assign_shares(patients[open_rows], labels[open_rows], (1 - test, test), seed)
        roles[open_rows] = np.where(assigned == 1, "test", "train")
        tested[open_rows] |= assigned == 1
        if not (split[everything] == "val").any():
            pool = rows[(roles[rows] == "train") & ~tested[rows]]
            training = (roles[rows] == "train").sum()
            roles[pool[_validation_rows(patients[pool], labels[pool], int(training), validation, seed)]] = "val"
    _follow_first_dataset(roles, patients, split, at_home)
    return dataset.with_column("role", roles.astype(str))


def folds(dataset: Dataset, k: int, seed: int) -> Indexes:
    """The fold of each film, 0 to k - 1, for cross-validation over all films."""
    patients = dataset.patients.nunique()
    if not 2 <= k <= patients:
        raise DatasetError(f"{patients} patients allow 2 to {patients} folds, not {k}.", code="folds")
    strata = dataset.table["dataset"] + "/" + dataset.labels
    return assign_shares(dataset.patients, strata, [1 / k] * k, seed, deal_on=True)


def draw_counts(dataset: Dataset, counts: Mapping[str, int], test_per_label: int, seed: int) -> Dataset:
    """Exactly `counts[label]` films per label, with a column `role`: `test_per_label` of each test, the others train.

    No patient is in both. Published experiments split one pool of films, so both are drawn from the same pool; the
    manifest's test films, and all other films of their patients, are left out for a final evaluation.
    """
    labels = list(counts)
    wanted = dataset.where(dataset.labels.isin(labels))
    held_out = wanted.patients[wanted.table["split"] == "test"]
    wanted = wanted.where(~wanted.patients.isin(held_out))
    if any(not 0 <= test_per_label <= counts[label] for label in labels):
        raise DatasetError(f"{test_per_label} test X-rays per label are more than are drawn.", code="test-count")
    rank = wanted.table.sort_values(["dataset", "path"]).index.to_numpy()
    person, patient_count = _codes(wanted.patients)
    column = pd.Categorical(wanted.labels, categories=labels).codes.astype(np.intp)
    films = np.zeros((patient_count, len(labels)), np.intp)
    np.add.at(films, (person, column), 1)
    needed = np.array([counts[label] for label in labels])
    _check_enough(labels, films.sum(axis=0), needed)

    rng = np.random.default_rng(seed)
    is_test = _test_patients(films, test_per_label, needed - test_per_label, rng)
    shuffled = rank[rng.permutation(len(rank))]
    role = np.full(len(wanted), "", dtype=object)
    for i in range(len(labels)):
        of_label = shuffled[column[shuffled] == i]
        in_test = of_label[is_test[person[of_label]]][:test_per_label]
        in_train = of_label[~is_test[person[of_label]]][: needed[i] - test_per_label]
        role[in_test], role[in_train] = "test", "train"
    return wanted.with_column("role", role.astype(str)).where(role != "")


def _codes(values: Any) -> tuple[Indexes, int]:
    """Each value's index among the sorted unique values, and their number."""
    codes, unique = pd.factorize(np.asarray(values, dtype=object), sort=True)
    return codes, len(unique)


def _rarest(person: Indexes, stratum: Indexes) -> Indexes:
    """The rarest stratum among each patient's films; of equally rare ones, the first by name."""
    films = np.bincount(stratum)
    by_rarity = np.argsort(films, kind="stable")
    rank = np.argsort(by_rarity)
    rarest = np.full(person.max() + 1, len(films))
    np.minimum.at(rarest, person, rank[stratum])
    return by_rarity[rarest]


def _fill(sizes: list[int], shares: NDArray[np.float64], draws: NDArray[np.float64], first: int = 0) -> list[int]:
    """The share of each patient of one stratum, those with more films first; of equal empty shares `first` is first."""
    open_shares = [k for k, share in enumerate(shares) if share > 0]
    room = [float(share) * sum(sizes) for share in shares]
    empty = sorted(open_shares, key=lambda k: (-room[k], (k - first) % len(shares)))
    assigned = []
    for left, size, draw in zip(range(len(sizes), 0, -1), sizes, draws, strict=True):
        fitting = [k for k in open_shares if room[k] + 1e-9 >= size]
        if left <= len(empty):
            k = empty[0]
        elif not fitting:
            k = max(open_shares, key=lambda k: room[k])
        else:
            mark = draw * sum(room[k] for k in fitting)
            for k in fitting:
                mark -= room[k]
                if mark < 0:
                    break
        if k in empty:
            empty.remove(k)
        room[k] -= size
        assigned.append(k)
    return assigned


def _preset_roles(dataset: Dataset) -> NDArray[np.object_]:
    """The manifest's split of each film; films without one follow their patient, empty where there is none.

    For a patient in two splits, train comes before val before test, so that no test set grows.
    """
    split = dataset.table["split"].to_numpy(dtype=object)
    order = {name: rank for rank, name in enumerate((*ROLES, ""))}
    rank = np.array([order[name] for name in split], np.intp)
    person, count = _codes(dataset.patients)
    first = np.full(count, len(ROLES))
    np.minimum.at(first, person, rank)
    followed = np.array((*ROLES, ""), dtype=object)[first[person]]
    return np.where(split == "", followed, split)


def _first_dataset(patients: Any, films_by_dataset: Iterable[Indexes]) -> NDArray[np.bool_]:
    """Whether each film is in the first dataset that has films of its patient."""
    at_home = np.zeros(len(patients), bool)
    known: set[str] = set()
    for rows in films_by_dataset:
        at_home[rows] = [patient not in known for patient in patients[rows]]
        known.update(patients[rows])
    return at_home


def _follow_first_dataset(roles: Any, patients: Any, split: Any, at_home: NDArray[np.bool_]) -> None:
    """Give the films elsewhere of a patient of several datasets the role in the first, as far as manifests allow.

    What a manifest assigns to validation or test stays there, and what it assigns to training never becomes test.
    """
    role_of: dict[str, str] = {}
    order = {name: rank for rank, name in enumerate(ROLES)}
    for patient, role in zip(patients[at_home], roles[at_home], strict=True):
        role_of[patient] = min(role, role_of.get(patient, role), key=lambda name: order[name])
    for row in np.flatnonzero(~at_home):
        role = role_of[patients[row]]
        if split[row] == "" or (split[row] == "train" and role == "val"):
            roles[row] = role


def _validation_rows(person: Any, label: Any, training: int, validation: float, seed: int) -> Indexes:
    """Which of these films, all of training and of patients without test films, become validation."""
    if not validation or not len(person):
        return np.empty(0, np.intp)
    share = min(1.0, validation * training / len(person))
    return np.flatnonzero(assign_shares(person, label, (1 - share, share), seed) == 1)


def _check_enough(labels: list[str], available: Indexes, needed: Indexes) -> None:
    """Raise DatasetError where a label has too few films."""
    short = [
        f"{display_name(label)}: {has} of {needs}"
        for label, has, needs in zip(labels, available, needed, strict=True)
        if has < needs
    ]
    if short:
        raise DatasetError(f"Too few X-rays outside the official test set. {'; '.join(short)}.", code="too-few-films")


def _test_patients(films: Indexes, test_each: int, train_each: Indexes, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Whether each patient is for test, so that test and training can both be filled exactly."""
    for attempt in range(ATTEMPTS):
        order = rng.permutation(len(films))
        if attempt == ATTEMPTS - 1:  # patients with few films waste the fewest
            order = order[np.argsort(films[order].sum(axis=1), kind="stable")]
        missing = np.full(films.shape[1], test_each)
        spare = films.sum(axis=0) - train_each
        is_test = np.zeros(len(films), bool)
        for patient in order:
            used = np.minimum(films[patient], missing)
            if used.any() and (films[patient] <= spare).all():
                is_test[patient] = True
                missing -= used
                spare -= films[patient]
            if not missing.any():
                return is_test
    raise DatasetError(
        "There are enough X-rays, but not without a patient in both training and test. Choose fewer X-rays.",
        code="patients-overlap",
    )
