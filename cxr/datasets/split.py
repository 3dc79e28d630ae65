"""Films dealt into training, validation and test: whole patients, stratified, seeded.

What a manifest placed in a split stays there. Films and seed alone decide, not the order of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.datasets.dataset import ROLES, Dataset

Indexes = NDArray[np.intp]

DRAWS = 20  # orders of patients that are tried before a draw is called impossible


def assign_shares(patients: Any, strata: Any, shares: Sequence[float], seed: int) -> Indexes:
    """The share of each film, as an index into the shares; all films of a patient fall to one share.

    A patient counts for the rarest stratum among its films. In each stratum the larger patients go first,
    each to a share drawn by the room that is left in it; a share still empty gets one of the last patients.
    """
    weights = np.asarray(shares, float)
    if not len(weights) or (weights < 0).any() or weights.sum() <= 0:
        raise DatasetError(f"Shares are not negative, and one is above zero, unlike {list(shares)}.")
    person, people = _codes(patients)
    if not people:
        return np.empty(0, np.intp)
    sizes = np.bincount(person)
    stratum = _rarest(person, _codes(strata)[0])
    rng = np.random.default_rng(seed)
    order = rng.permutation(people)
    order = order[np.lexsort((-sizes[order], stratum[order]))]
    chosen = np.empty(people, np.intp)
    for members in np.split(order, np.flatnonzero(np.diff(stratum[order])) + 1):
        chosen[members] = _fill(sizes[members].tolist(), weights / weights.sum(), rng.random(len(members)))
    return chosen[person]


def assign_roles(dataset: Dataset, validation: float, test: float, seed: int) -> Dataset:
    """The dataset with a column `role`: train, val or test for every film.

    Each dataset of a join is dealt by itself. Films that its manifest placed stay where they are, and a
    patient's other films follow; of the other patients, `test` is the share of films dealt to test. Where no
    film is placed in val, `validation` is the share of the training side's films that is carved off for it,
    from patients without test films.
    """
    for name, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1:
            raise DatasetError(f"The {name} share is at least 0 and below 1, not {share}.")
    roles = np.full(len(dataset), "train", dtype=object)
    patients, labels = dataset.patients.to_numpy(), dataset.labels.to_numpy()
    placed = _placed(dataset)
    for rows in dataset.table.groupby("dataset").indices.values():
        person, label, role = patients[rows], labels[rows], placed[rows].copy()
        loose = role == ""
        dealt = assign_shares(person[loose], label[loose], (1 - test, test), seed)
        role[loose] = np.where(dealt == 1, "test", "train")
        if not (role == "val").any():
            role[_carved(person, label, role, validation, seed)] = "val"
        roles[rows] = role
    return dataset.with_column("role", roles.astype(str))


def folds(dataset: Dataset, k: int, seed: int) -> Indexes:
    """The fold of each film, 0 to k - 1, for a cross-validation over all films."""
    people = dataset.patients.nunique()
    if not 2 <= k <= people:
        raise DatasetError(f"{people} patients can be dealt into 2 to {people} folds, not {k}.")
    strata = dataset.table["dataset"] + "/" + dataset.labels
    return assign_shares(dataset.patients, strata, [1 / k] * k, seed)


def draw_counts(dataset: Dataset, counts: Mapping[str, int], test_each: int, seed: int) -> Dataset:
    """Exactly `counts[label]` films a label: in a column `role`, `test_each` of each test, the others train.

    No patient is in both. A published experiment split one pool of films, so both sides are drawn from the same
    one: what the manifest placed in test, and all other films of those patients, is left out, for a last look.
    """
    labels = list(counts)
    wanted = dataset.where(dataset.labels.isin(labels))
    looked_at_last = wanted.patients[wanted.table["split"] == "test"]
    wanted = wanted.where(~wanted.patients.isin(looked_at_last))
    if any(not 0 <= test_each <= counts[label] for label in labels):
        raise DatasetError(f"{test_each} test films a label are more than are drawn, or fewer than none.")
    rank = wanted.table.sort_values(["dataset", "path"]).index.to_numpy()
    person, people = _codes(wanted.patients)
    column = pd.Categorical(wanted.labels, categories=labels).codes.astype(np.intp)
    films = np.zeros((people, len(labels)), np.intp)
    np.add.at(films, (person, column), 1)
    needed = np.array([counts[label] for label in labels])
    _enough(labels, films.sum(axis=0), needed)

    rng = np.random.default_rng(seed)
    tested = _tested(films, test_each, needed - test_each, rng)
    shuffled = rank[rng.permutation(len(rank))]
    role = np.full(len(wanted), "", dtype=object)
    for i in range(len(labels)):
        of_label = shuffled[column[shuffled] == i]
        in_test = of_label[tested[person[of_label]]][:test_each]
        in_train = of_label[~tested[person[of_label]]][: needed[i] - test_each]
        role[in_test], role[in_train] = "test", "train"
    return wanted.with_column("role", role.astype(str)).where(role != "")


def _codes(values: Any) -> tuple[Indexes, int]:
    """Each value's place among the sorted different values, and how many those are."""
    codes, different = pd.factorize(np.asarray(values, dtype=object), sort=True)
    return codes, len(different)


def _rarest(person: Indexes, stratum: Indexes) -> Indexes:
    """The rarest stratum among each person's films; of equally rare ones, the first by name."""
    films = np.bincount(stratum)
    by_rarity = np.argsort(films, kind="stable")
    rank = np.argsort(by_rarity)
    rarest = np.full(person.max() + 1, len(films))
    np.minimum.at(rarest, person, rank[stratum])
    return by_rarity[rarest]


def _fill(sizes: list[int], shares: NDArray[np.float64], draws: NDArray[np.float64]) -> list[int]:
    """The share of each patient of one stratum, larger patients first."""
    open_shares = [k for k, share in enumerate(shares) if share > 0]
    room = [float(share) * sum(sizes) for share in shares]
    empty = sorted(open_shares, key=lambda k: -room[k])
    chosen = []
    for left, size, at in zip(range(len(sizes), 0, -1), sizes, draws, strict=True):
        fitting = [k for k in open_shares if room[k] + 1e-9 >= size]
        if left <= len(empty):
            k = empty[0]
        elif not fitting:
            k = max(open_shares, key=lambda k: room[k])
        else:
            mark = at * sum(room[k] for k in fitting)
            for k in fitting:
                mark -= room[k]
                if mark < 0:
                    break
        if k in empty:
            empty.remove(k)
        room[k] -= size
        chosen.append(k)
    return chosen


def _placed(dataset: Dataset) -> NDArray[np.object_]:
    """The split of each film; an unplaced film follows its patient's placed ones, empty where there are none.

    Of a patient in two splits, to train before val before test, so that no test set is added to.
    """
    split = dataset.table["split"].to_numpy(dtype=object)
    order = {name: rank for rank, name in enumerate((*ROLES, ""))}
    rank = np.array([order[name] for name in split], np.intp)
    person, people = _codes(dataset.patients)
    first = np.full(people, len(ROLES))
    np.minimum.at(first, person, rank)
    followed = np.array((*ROLES, ""), dtype=object)[first[person]]
    return np.where(split == "", followed, split)


def _carved(person: Any, label: Any, role: Any, validation: float, seed: int) -> Indexes:
    """Rows of the training side that become validation."""
    side = role == "train"
    tested = pd.Series(person).isin(person[role == "test"]).to_numpy()
    pool = np.flatnonzero(side & ~tested)
    if not validation or not len(pool):
        return np.empty(0, np.intp)
    share = min(1.0, validation * side.sum() / len(pool))
    return pool[assign_shares(person[pool], label[pool], (1 - share, share), seed) == 1]


def _enough(labels: list[str], there: Indexes, needed: Indexes) -> None:
    short = [
        f"{label} has {has} of the {needs} films needed"
        for label, has, needs in zip(labels, there, needed, strict=True)
        if has < needs
    ]
    if short:
        raise DatasetError(f"There are not enough films outside the manifest's test set: {'; '.join(short)}.")


def _tested(films: Indexes, test_each: int, train_each: Indexes, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The patients whose films are for the test alone, so that both sides can be filled exactly."""
    for attempt in range(DRAWS):
        order = rng.permutation(len(films))
        if attempt == DRAWS - 1:  # small patients waste the fewest films
            order = order[np.argsort(films[order].sum(axis=1), kind="stable")]
        missing = np.full(films.shape[1], test_each)
        spare = films.sum(axis=0) - train_each
        tested = np.zeros(len(films), bool)
        for one in order:
            used = np.minimum(films[one], missing)
            if used.any() and (films[one] <= spare).all():
                tested[one] = True
                missing -= used
                spare -= films[one]
            if not missing.any():
                return tested
    raise DatasetError(
        "There are enough films, but not without a patient in both training and test. Ask for fewer films."
    )
