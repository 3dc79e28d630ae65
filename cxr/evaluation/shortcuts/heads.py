"""Light heads on numbers of films: what can be told from those numbers, of patients that a head has not seen.

A head is a regularised logistic regression on standardised numbers, all classes of the same weight, cross-validated
with each patient's films together. Its interval is a bootstrap over patients of the held-out scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.intervals import RESAMPLES, Interval, bootstrap_weights, percentile_interval, wilson_interval
from cxr.evaluation.metrics import Floats, ranking_metrics, ratio

FOLDS = 5
STRENGTH = 10.0  # C of a head of one number; divided by their count for one of many, which could learn by heart
MACRO = "macro"


@dataclass(frozen=True, eq=False)
class ProbeTarget:
    """What a head is to tell of each film, and whose film it is."""

    classes: tuple[str, ...]
    class_index: NDArray[np.int64]  # index of a name, a film
    patient: NDArray[np.int64]  # numbered from 0

    @classmethod
    def from_values(cls, values: Iterable[str], patient: NDArray[np.int64], order: Sequence[str]) -> ProbeTarget:
        """The names that films have, in this order."""
        values = list(values)
        names = [name for name in order if name in set(values)]
        return cls(tuple(names), np.array([names.index(value) for value in values]), patient)

    def where(self, mask: NDArray[np.bool_]) -> ProbeTarget:
        return ProbeTarget(self.classes, self.class_index[mask], np.unique(self.patient[mask], return_inverse=True)[1])

    @property
    def sides(self) -> list[NDArray[np.bool_]]:
        """Which films are of each name."""
        return [self.class_index == k for k in range(len(self.classes))]

    @property
    def patients(self) -> NDArray[np.int64]:
        """How many patients have films of each name."""
        return np.array([len(np.unique(self.patient[side])) for side in self.sides])


def held_out_probabilities(numbers: Floats, truth: ProbeTarget, seed: int = 0) -> Floats:
    """The probability of each name for each film (films, names), by a head that has seen no film of its patient."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(min(FOLDS, int(truth.patients.min())), shuffle=True, random_state=seed)
    scores = np.zeros((len(numbers), len(truth.classes)))
    for learnt, judged in folds.split(numbers, truth.class_index, truth.patient):
        scores[judged] = head_probabilities(
            numbers[learnt], truth.class_index[learnt], numbers[judged], len(truth.classes)
        )
    return scores


def head_probabilities(numbers: Floats, kind: NDArray[np.int64], asked: Floats, names: int) -> Floats:
    """The probabilities (films, names) that a head trained on `numbers` gives to the films that are asked about."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    known, scores = np.unique(kind), np.zeros((len(asked), names))
    if len(known) == 1:
        scores[:, known] = 1
        return scores
    strength = STRENGTH / numbers.shape[1]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=1000))
    with threadpool_limits(1):  # on a busy machine, BLAS' threads wait for each other ten times longer than they work
        scores[:, known] = model.fit(numbers, kind).predict_proba(asked)
    return scores


def auc_intervals(scores: Floats, truth: ProbeTarget, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Interval]:
    """The AUC of each name against the rest, and their mean under "macro", with 95 % intervals over patients.

    Of two names, each against the rest is the same question, so there is the mean alone. Sides that do not overlap at
    all do so in every resample, which is more than few patients can say: no bound is surer than Wilson's is of a share
    of 1 among the patients of the smaller side.
    """
    drawn = auc_resamples(scores, truth, resamples, seed)
    values = auc_resamples(scores, truth, 0, seed)
    people = [min(len(np.unique(truth.patient[side])) for side in (of, ~of)) for of in truth.sides]
    fewest = {MACRO: min(filter(None, people), default=0), **dict(zip(truth.classes, people, strict=True))}
    names = [MACRO] if len(truth.classes) == 2 else [MACRO, *truth.classes]
    return {name: _bounded(percentile_interval(float(values[name][0]), drawn[name]), fewest[name]) for name in names}


def auc_resamples(scores: Floats, truth: ProbeTarget, resamples: int, seed: int = 0) -> Mapping[str, Floats]:
    """The same areas, one for each time that patients were drawn anew; for none, of the films as they are."""
    blocks = bootstrap_weights(truth.patient, resamples, seed) if resamples else [np.ones((len(scores), 1), np.float32)]
    sides = list(zip(scores.T, truth.sides, strict=True))
    parts = [np.array([ranking_metrics(score, side, weights)[0] for score, side in sides]) for weights in blocks]
    found = np.concatenate(parts, axis=1).astype(float)
    there = np.isfinite(found)
    mean = ratio(np.where(there, found, 0).sum(axis=0), there.sum(axis=0))
    return {MACRO: mean, **dict(zip(truth.classes, found, strict=True))}


def _bounded(found: Interval, patients: int) -> Interval:
    least = wilson_interval(patients, patients).low
    return Interval(found.value, float(np.minimum(found.low, least)), float(np.maximum(found.high, 1 - least)))


def retained_share(
    part: Floats, whole: Floats, truth: ProbeTarget, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """How much of what the scores of the whole tell above chance, an AUC of 0.5, those of the part tell too."""

    def above_chance(scores: Floats, times: int) -> Floats:
        return auc_resamples(scores, truth, times, seed)[MACRO] - 0.5

    def kept(times: int) -> Floats:
        of = above_chance(whole, times)
        return np.where(of > 0, ratio(above_chance(part, times), of), nan)

    return percentile_interval(float(kept(0)[0]), kept(resamples))
