"""Probes: small classifiers on features of films, tested on patients that they were not trained on.

A probe is a regularized logistic regression on standardized features with equal class weights, cross-validated with
each patient's films together. Its interval is a bootstrap over patients of the held-out scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import nan

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.intervals import (
    LEVEL,
    RESAMPLES,
    Interval,
    Support,
    bootstrap_weights,
    effective_patients,
    logit_interval,
    percentile_interval,
)
from cxr.evaluation.metrics import Floats, ranking_metrics, ratio

FOLDS = 5
REGULARIZATION = 10.0  # C for one feature; divided by their number, as many features could be memorized
MACRO = "macro"
# The AUC of a probe varies by so much more than the resamples of its held-out scores, as the probes of its folds vary
# too (Nadeau and Bengio 2003); measured where there is nothing to learn: `bench/coverage.py heads`.
CROSS_VALIDATED = 1.3


@dataclass(frozen=True, eq=False)
class ProbeTarget:
    """The class that a probe predicts for each film, and the film's patient."""

    classes: tuple[str, ...]
    class_index: NDArray[np.int64]  # of each film
    patient: NDArray[np.int64]  # numbered from 0

    @classmethod
    def from_values(cls, values: Iterable[str], patient: NDArray[np.int64], order: Sequence[str]) -> ProbeTarget:
        """The target with the classes that occur among these values, in this order."""
        values = list(values)
        names = [name for name in order if name in set(values)]
        return cls(tuple(names), np.array([names.index(value) for value in values]), patient)

    def subset(self, mask: NDArray[np.bool_]) -> ProbeTarget:
        """The target of these films alone, with all classes."""
        return ProbeTarget(self.classes, self.class_index[mask], np.unique(self.patient[mask], return_inverse=True)[1])

    @property
    def membership(self) -> list[NDArray[np.bool_]]:
        """Which films are of each class."""
        return [self.class_index == k for k in range(len(self.classes))]

    @property
    def patients(self) -> NDArray[np.int64]:
        """The number of patients with films of each class."""
        return np.array([len(np.unique(self.patient[side])) for side in self.membership])


def cross_validated_probabilities(features: Floats, target: ProbeTarget, seed: int = 0) -> Floats:
    """The probabilities (films, classes) by probes that were not trained on any film of the same patient."""
    scores = np.zeros((len(features), len(target.classes)))
    for train, test in _folds(target, seed):
        scores[test] = probe_probabilities(
            features[train], target.class_index[train], features[test], len(target.classes)
        )
    return scores


@lru_cache(maxsize=4)  # several sets of features have one target, and dealing its patients takes long
def _folds(target: ProbeTarget, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The films that are trained on and tested in each fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(min(FOLDS, int(target.patients.min())), shuffle=True, random_state=seed)
    return list(folds.split(target.class_index, target.class_index, target.patient))


def probe_probabilities(features: Floats, class_index: NDArray[np.int64], tested: Floats, classes: int) -> Floats:
    """The probabilities (films, classes) for the features `tested` by a probe trained on `features`."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    known, scores = np.unique(class_index), np.zeros((len(tested), classes))
    if len(known) == 1:
        scores[:, known] = 1
        return scores
    strength = REGULARIZATION / features.shape[1]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=1000))
    with threadpool_limits(1):  # on a busy machine, threads of BLAS wait for each other ten times longer than they work
        scores[:, known] = model.fit(features, class_index).predict_proba(tested)
    return scores


def auc_intervals(
    scores: Floats,
    target: ProbeTarget,
    resamples: int = RESAMPLES,
    seed: int = 0,
    *,
    spread: float = CROSS_VALIDATED,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """The AUC of each class against the rest, and their mean under "macro", with 95% intervals over patients.

    Of two classes, both one-vs-rest questions are the same, so there is the mean alone. `spread` is 1 for scores that
    were not cross-validated, such as a model's own.
    """
    drawn = auc_resamples(scores, target, resamples, seed)
    values = auc_resamples(scores, target, 0, seed)
    sides = [min(effective_patients(target.patient[side]) for side in (own, ~own)) for own in target.membership]
    fewest = {MACRO: min(filter(None, sides), default=0.0), **dict(zip(target.classes, sides, strict=True))}
    names = [MACRO] if len(target.classes) == 2 else [MACRO, *target.classes]
    return {
        name: logit_interval(float(values[name][0]), drawn[name], Support(fewest[name], spread=spread), level)
        for name in names
    }


def auc_resamples(scores: Floats, target: ProbeTarget, resamples: int, seed: int = 0) -> Mapping[str, Floats]:
    """The same AUCs in each resample of the patients; with 0 resamples, of the films as they are."""
    weights = [np.ones((len(scores), 1), np.float32)]
    blocks = bootstrap_weights(target.patient, resamples, seed) if resamples else weights
    sides = list(zip(scores.T, target.membership, strict=True))
    parts = [np.array([ranking_metrics(score, side, block)[0] for score, side in sides]) for block in blocks]
    aucs = np.concatenate(parts, axis=1).astype(float)
    defined = np.isfinite(aucs)
    mean = ratio(np.where(defined, aucs, 0).sum(axis=0), defined.sum(axis=0))
    return {MACRO: mean, **dict(zip(target.classes, aucs, strict=True))}


def retained_share(
    part: Floats, whole: Floats, target: ProbeTarget, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The share of the whole's AUC above chance, 0.5, that the scores of the part retain."""

    def above_chance(scores: Floats, times: int) -> Floats:
        return auc_resamples(scores, target, times, seed)[MACRO] - 0.5

    def retained(times: int) -> Floats:
        total = above_chance(whole, times)
        return np.where(total > 0, ratio(above_chance(part, times), total), nan)

    return percentile_interval(float(retained(0)[0]), retained(resamples))
