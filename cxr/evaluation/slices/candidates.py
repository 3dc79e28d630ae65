"""The slices that are looked at: values of the manifest's columns, two of them together, and clusters of features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.evaluation.grouping import NOT_STATED, names_in

COLUMNS = ("dataset", "label", "source", "view", "sex", "age")
CLUSTER, LABEL = "cluster", "label"
FEWEST_PATIENTS = 15
MOST_SHARE = 0.8  # of the patients: a slice of nearly all X-rays is none
MOST_VALUES = 40  # of a column; one with more names X-rays rather than groups
MOST_TOGETHER = 2  # columns in one slice
CLUSTERS, AXES = 12, 32

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A slice before it is tested: the values that it consists of, and its X-rays."""

    values: Mapping[str, str]
    films: Mask

    @property
    def name(self) -> str:
        """The slice as it is written: view AP, sex F."""
        return ", ".join(f"{column} {value}" for column, value in self.values.items())


def candidates(
    films: pd.DataFrame, patient: NDArray[np.int64], clusters: NDArray[np.int64] | None = None
) -> list[Candidate]:
    """All slices of one or two columns with enough patients, each set of X-rays once, the simplest name first.

    What a column does not state is no slice: it says how a table was filled, not what is in an image.
    """
    columns = _columns(films)
    if clusters is not None:
        columns[CLUSTER] = np.array([str(number + 1) for number in clusters], object)
    single = {
        (column, value): values == value
        for column, values in columns.items()
        for value in sorted(set(values) - {NOT_STATED})
    }
    people = len(np.unique(patient))
    found, seen = list[Candidate](), set[bytes]()
    for together in range(1, MOST_TOGETHER + 1):
        for parts in combinations(single, together):
            names = {column for column, _ in parts}
            if len(names) < together or names == {LABEL}:  # errors are compared within labels: one alone is no slice
                continue
            inside = np.logical_and.reduce([single[part] for part in parts])
            count = len(np.unique(patient[inside]))
            key = np.packbits(inside).tobytes()
            if FEWEST_PATIENTS <= count <= MOST_SHARE * people and key not in seen:
                seen.add(key)
                found.append(Candidate(dict(parts), inside))
    return found


def feature_clusters(features: NDArray[np.floating], seed: int = 0, count: int = CLUSTERS) -> NDArray[np.int64]:
    """The cluster of each image: k-means on the principal axes of its standardized features."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    standard = StandardScaler().fit_transform(features)
    axes = PCA(min(AXES, *standard.shape), random_state=seed).fit_transform(standard)
    chosen = min(count, len(axes))
    return np.asarray(KMeans(chosen, n_init=4, random_state=seed).fit_predict(axes), np.int64)


def _columns(films: pd.DataFrame) -> dict[str, NDArray[np.object_]]:
    """The values of each column that groups these X-rays; ages go into bands."""
    columns = {}
    for column in COLUMNS:
        if column in films:
            values = names_in(films[column], column)
            if 1 < len(set(values)) <= MOST_VALUES:
                columns[column] = values
    return columns
