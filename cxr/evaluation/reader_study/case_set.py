"""A set of cases to read: drawn from a dataset by a seed, stratified by label, one X-ray of each patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np

from cxr.core.errors import DatasetError, FilmError
from cxr.core.number_format import counted
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.scores import read_films
from cxr.evaluation.training_films import strictest_roles
from cxr.films.film import film_id
from cxr.films.isolation.pool import decoder_pool
from cxr.inference.sources import FilmSource
from cxr.registry import registry
from cxr.registry.film_ids import recognized

MAX_CASES = 500
Roles = Callable[[Sequence[str]], Sequence[str]]  # digests -> each X-ray's role in the model's training, or ""


class Mixture(StrEnum):
    """How often each label comes up in a set of cases."""

    HALF = "half"  # half of the X-rays are normal; the findings share the other half; the scarcer side limits the set
    AS_IN_DATASET = "as-in-dataset"


@dataclass(frozen=True)
class CaseSetRequest:
    """The set of cases that is wanted; the same request of the same dataset gives the same set."""

    size: int = 20
    seed: int = 1
    mixture: Mixture = Mixture.HALF
    excluded_views: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One X-ray of a set, with its label."""

    film: str  # a digest of its bytes
    reference: str
    source: FilmSource


@dataclass(frozen=True)
class CaseSet:
    """X-rays in the order in which they are read, each of another patient."""

    name: str
    cases: tuple[Case, ...]
    wanted: int = 0  # how many were asked for; there may be fewer


def draw_case_set(dataset: Dataset, labels: LabelSpace, request: CaseSetRequest, roles: Roles) -> CaseSet:
    """The set of cases; X-rays that the model was trained with or chosen by are left out.

    A DatasetError where the dataset has no X-ray with a finding, or none without, whose label the model knows.
    """
    known = labels.positive(dataset.labels) >= 0
    known &= ~dataset.table["view"].isin(request.excluded_views).to_numpy()
    queues = _queues(dataset, known, request.seed)
    negative = "" if labels.negative is None else labels.classes[labels.negative]
    shares = _shares(queues, negative, request.mixture)
    held_out = _HeldOut(dataset, roles)
    taken: list[tuple[int, str]] = []
    counts: Counter[str] = Counter()
    size = min(max(request.size, 2), MAX_CASES)
    while len(taken) < size and _has_more(queues, negative, request.mixture):
        wanted = _wanted(queues, shares, counts, negative, request.mixture)
        label = max(wanted, key=lambda name: (wanted[name] - counts[name], name))
        row = queues[label].pop(0)
        if film := held_out.digest(row):
            taken.append((row, film))
            counts[label] += 1
    if not counts[negative] or len(taken) == counts[negative]:
        raise DatasetError(
            "A set of cases needs X-rays with a finding and without one that the model was not trained on. Choose "
            "another dataset.",
            code="one-sided-cases",
        )
    order = np.random.default_rng((request.seed, 1)).permutation(len(taken))
    cases = tuple(_case(dataset, *taken[i]) for i in order)
    return CaseSet(f"{dataset.name}, {counted(len(cases), 'X-ray')}, seed {request.seed}", cases, size)


def roles_in_training(model: str) -> Roles:
    """The function that gives the role of X-rays in this model's training."""
    stored = read_films(registry.evaluation_path(model))
    own, role = (stored["film"].tolist(), stored["role"].tolist()) if "film" in stored else ([], [])

    def roles(films: Sequence[str]) -> list[str]:
        by_film = strictest_roles(recognized(own, films), role)
        return [by_film.get(film, "") for film in films]

    return roles


def _queues(dataset: Dataset, known: np.ndarray, seed: int) -> dict[str, list[int]]:
    """The rows of each label in random order, one of each patient."""
    queues: dict[str, list[int]] = {}
    patients, names = dataset.patients.to_numpy(), dataset.labels.to_numpy(str)
    seen: set[str] = set()
    for row in np.random.default_rng(seed).permutation(len(dataset)):
        if known[row] and patients[row] not in seen:
            seen.add(patients[row])
            queues.setdefault(str(names[row]), []).append(int(row))
    return queues


def _has_more(queues: Mapping[str, Sequence[int]], negative: str, mixture: Mixture) -> bool:
    """Whether there are X-rays left: for a set that is half normal, on both sides."""
    sides = bool(queues.get(negative)), any(rows for name, rows in queues.items() if name != negative)
    return all(sides) if mixture is Mixture.HALF else any(sides)


def _shares(queues: Mapping[str, Sequence[int]], negative: str, mixture: Mixture) -> dict[str, float]:
    """The share of the set that each label is to have."""
    if mixture is Mixture.AS_IN_DATASET:
        total = sum(map(len, queues.values()))
        return {name: len(rows) / total for name, rows in queues.items()}
    findings = max(len(queues) - (negative in queues), 1)
    return {name: 0.5 if name == negative else 0.5 / findings for name in queues}


def _wanted(
    queues: Mapping[str, Sequence[int]],
    shares: Mapping[str, float],
    counts: Counter[str],
    negative: str,
    mixture: Mixture,
) -> dict[str, float]:
    """How many X-rays of each label that is left the set should have with one more.

    In a set that is half normal, the other findings make up for one that has run out.
    """
    size = counts.total() + 1
    wanted = {name: shares[name] * size for name, rows in queues.items() if rows}
    ended = [name for name in queues if name != negative and not queues[name]]
    if mixture is Mixture.HALF and ended:
        others = [name for name in wanted if name != negative]
        missing = sum(shares[name] * size - counts[name] for name in ended)
        wanted |= {name: wanted[name] + missing / len(others) for name in others}
    return wanted


class _HeldOut:
    """Which X-rays may be in a set: readable ones that had no part in the model's training; each once."""

    def __init__(self, dataset: Dataset, roles: Roles) -> None:
        self.dataset, self.roles = dataset, roles
        self.taken: set[str] = set()

    def digest(self, row: int) -> str:
        """The digest of the X-ray in this row; "" where it may not be in the set."""
        try:
            film = film_id(self.dataset.read_bytes(row))
        except FilmError:
            return ""
        if film in self.taken or self.roles([film])[0] in ("train", "val"):
            return ""
        self.taken.add(film)
        return film


def _case(dataset: Dataset, row: int, film: str) -> Case:
    source = FilmSource(f"case/{film}", "X-ray", partial(dataset.read_bytes, row), decoder_pool().read)
    return Case(film, str(dataset.labels.iat[row]), source)
