"""The search for slices with more errors than the rest, whose false-alarm rate is controlled over all of them.

Errors are compared within each reference label, as one class is always harder than another and a slice is not at fault
for holding more of it. A slice's statistic is the excess of errors over what its labels predict, in standard
deviations, patients as units. Errors are then shuffled among the patients of the same labels many times: the largest
statistic of each shuffle says what the worst of so many slices looks like by chance, however they overlap (Westfall
and Young 1993). A slice is reported where fewer than 5% of the shuffles have a larger one anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.cases import LabeledCases
from cxr.evaluation.intervals import Interval, proportion_interval
from cxr.evaluation.slices.candidates import Candidate, candidates

PERMUTATIONS = 2000
ALPHA = 0.05
BLOCK = 64  # permutations at once
TINY = 1e-6  # a standard deviation below it is none

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class FoundSlice:
    """A slice with its error rate and that of the rest."""

    candidate: Candidate
    films: int
    patients: int
    errors: int
    error_rate: Interval
    rest_rate: Interval
    expected_rate: float  # of its X-rays, if they erred as often as all X-rays of the same labels
    p: float  # corrected for all slices that were looked at
    rows: NDArray[np.int64]  # of the cases, errors first

    @property
    def significant(self) -> bool:
        """Whether so many more errors are unlikely in any slice by chance."""
        return self.p < ALPHA

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "name": self.candidate.name,
            "values": dict(self.candidate.values),
            "films": self.films,
            "patients": self.patients,
            "errors": self.errors,
            "error_rate": self.error_rate.as_dict(),
            "rest_rate": self.rest_rate.as_dict(),
            "expected_rate": round(self.expected_rate, 6),
            "p": round(self.p, 6),
            "significant": self.significant,
        }


@dataclass(frozen=True, eq=False)
class SliceSearch:
    """All slices that were looked at, the worst first."""

    slices: tuple[FoundSlice, ...]
    films: int
    error_rate: Interval
    permutations: int

    @property
    def significant(self) -> list[FoundSlice]:
        """The slices with more errors than chance explains."""
        return [found for found in self.slices if found.significant]

    def as_dict(self, most: int | None = None) -> dict[str, Any]:
        """Ready for JSON, with all slices or the worst of them."""
        return {
            "films": self.films,
            "error_rate": self.error_rate.as_dict(),
            "slices_tested": len(self.slices),
            "significant": len(self.significant),
            "false_alarm_rate": ALPHA,
            "permutations": self.permutations,
            "slices": [found.as_dict() for found in self.slices[:most]],
        }


def find_slices(
    cases: LabeledCases,
    clusters: NDArray[np.int64] | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> SliceSearch:
    """The slices of these cases, from the manifest's columns and from clusters of features where there are any."""
    wrong = ~cases.correct
    tested = candidates(cases.films, cases.patient, clusters)
    strata = np.unique(cases.film_labels, return_inverse=True)[1]
    p = corrected_p(wrong, strata, cases.patient, [slice_.films for slice_ in tested], permutations, seed)
    expected = _expected(wrong, strata)
    found = [_found(cases, wrong, slice_, float(p[k]), expected) for k, slice_ in enumerate(tested)]
    found.sort(key=lambda slice_: (slice_.p, slice_.expected_rate - slice_.error_rate.value))
    return SliceSearch(tuple(found), cases.n, proportion_interval(wrong, cases.patient), permutations)


def corrected_p(
    wrong: NDArray[np.bool_],
    strata: NDArray[np.int64],
    patient: NDArray[np.int64],
    slices: Sequence[NDArray[np.bool_]],
    permutations: int,
    seed: int,
) -> Floats:
    """The p-value of each slice, corrected by the largest statistic of each permutation.

    What is shuffled is the excess of errors of whole patients, among patients with X-rays of the same labels, so that
    a patient's X-rays stay together.
    """
    if not slices:
        return np.zeros(0)
    excess = wrong - _expected(wrong, strata)
    people = np.unique(patient, return_inverse=True)[1]
    count = int(people.max()) + 1
    kinds = np.zeros((count, int(strata.max()) + 1), np.int64)
    np.add.at(kinds, (people, strata), 1)
    kind = np.unique(kinds, axis=0, return_inverse=True)[1].ravel()
    of_patient = np.asarray(np.bincount(people, excess, count), float)
    films = np.bincount(people, minlength=count)
    share = np.stack([np.bincount(people, inside, count) / films for inside in slices])  # of a patient in the slice
    mean = np.array([of_patient[kind == k].mean() for k in range(kind.max() + 1)])[kind]
    center = share @ mean
    scale = _deviation(share, of_patient, kind)
    varies = scale > TINY  # a slice of all X-rays of some labels has no excess to speak of
    scale = np.where(varies, scale, 1)
    statistic = np.where(varies, (share @ of_patient - center) / scale, 0)
    largest, rng = np.zeros(permutations), np.random.default_rng(seed)
    groups = [np.flatnonzero(kind == k) for k in range(kind.max() + 1)]
    for start in range(0, permutations, BLOCK):
        shuffled = np.empty((count, min(BLOCK, permutations - start)))
        for members in groups:
            drawn = np.broadcast_to(of_patient[members][:, None], (len(members), shuffled.shape[1]))
            shuffled[members] = rng.permuted(drawn, axis=0)
        drawn_statistics = np.where(varies[:, None], (share @ shuffled - center[:, None]) / scale[:, None], 0)
        largest[start : start + shuffled.shape[1]] = drawn_statistics.max(axis=0)
    reached = (largest[:, None] >= statistic[None] - 1e-12).sum(axis=0)
    return np.asarray((1 + reached) / (1 + permutations))


def _deviation(share: Floats, of_patient: Floats, kind: NDArray[np.int64]) -> Floats:
    """The standard deviation of each slice's sum when values are shuffled within kinds of patients."""
    variance = np.zeros(len(share))
    for k in range(kind.max() + 1):
        members = kind == k
        size = int(members.sum())
        if size > 1:
            spread = float(of_patient[members].var(ddof=1))
            parts = share[:, members]
            variance += spread * ((parts - parts.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return np.sqrt(variance)


def _expected(wrong: NDArray[np.bool_], strata: NDArray[np.int64]) -> Floats:
    """The error rate of all X-rays with the same label, for each X-ray."""
    rates = np.bincount(strata, wrong) / np.maximum(np.bincount(strata), 1)
    return np.asarray(rates[strata])


def _found(cases: LabeledCases, wrong: NDArray[np.bool_], slice_: Candidate, p: float, expected: Floats) -> FoundSlice:
    inside = slice_.films
    rows = np.flatnonzero(inside)
    return FoundSlice(
        candidate=slice_,
        films=int(inside.sum()),
        patients=len(np.unique(cases.patient[inside])),
        errors=int(wrong[inside].sum()),
        error_rate=proportion_interval(wrong[inside], cases.patient[inside]),
        rest_rate=proportion_interval(wrong[~inside], cases.patient[~inside]),
        expected_rate=float(expected[inside].mean()),
        p=p,
        rows=rows[np.argsort(~wrong[rows], kind="stable")],
    )
