"""Probes on image properties within each source: does a property predict the class, and does the model follow it?

Over several sources a property tells the source, which tells the class; that is measured elsewhere. Within a source, a
property that predicts the class is a shortcut. All intervals are corrected for their number (Bonferroni), so that 95 of
100 audits without any such shortcut have no false one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cxr.evaluation.intervals import LEVEL, Interval, bootstrap_weights
from cxr.evaluation.metrics import Floats
from cxr.evaluation.shortcuts.audited_films import AuditedFilms
from cxr.evaluation.shortcuts.probes import (
    CROSS_VALIDATED,
    FOLDS,
    MACRO,
    ProbeTarget,
    auc_intervals,
    cross_validated_probabilities,
)
from cxr.evaluation.shortcuts.report import PROPERTIES, WHOLE, PropertyResult
from cxr.evaluation.shortcuts.sampling import MIN_PATIENTS, sources_of

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SourceFilms:
    """The films of one source that are of a class with enough patients there."""

    source: str
    chosen: Bools  # among all audited films
    target: ProbeTarget


def property_results(read: AuditedFilms) -> tuple[PropertyResult, ...]:
    """The result of every property that varies, within every source of at least two classes of 10 patients each."""
    tests = [
        (films, name, values)
        for films in _sources(read)
        for name in PROPERTIES
        if np.ptp(values := _features(read, films, name), axis=0).any()
    ]
    level = 1 - (1 - LEVEL) / max(1, len(tests))
    score = _model_score(read)
    results = []
    for films, name, values in tests:
        settings = read.settings
        scores = cross_validated_probabilities(values, films.target, settings.seed)
        aucs = auc_intervals(scores, films.target, settings.resamples, settings.seed, level=level)
        followed = _followed(values, score[films.chosen], films.target, read, level)
        results.append(
            PropertyResult(
                name=name,
                auc=aucs.pop(MACRO),
                classes=aucs,
                source=films.source,
                films=int(films.chosen.sum()),
                followed=followed,
            )
        )
    return tuple(results)


def _sources(read: AuditedFilms) -> Iterator[SourceFilms]:
    source, labels = sources_of(read.films), read.films.labels.to_numpy(object)
    for name in sorted(set(source)):
        own = source == name
        patients = pd.Series(read.target.patient[own]).groupby(labels[own]).nunique()
        classes = [str(label) for label, count in patients.items() if count >= MIN_PATIENTS]
        if len(classes) > 1:
            chosen = own & np.isin(labels, classes)
            patient = pd.factorize(read.target.patient[chosen])[0]
            target = ProbeTarget.from_values(labels[chosen], patient, read.target.classes)
            yield SourceFilms(str(name), chosen, target)


def _features(read: AuditedFilms, films: SourceFilms, name: str) -> Floats:
    return np.stack([read.images[i].properties[name] for i in np.flatnonzero(films.chosen).tolist()])


def _model_score(read: AuditedFilms) -> Floats:
    """The logit of the model's probability of the first class, the negative one in most models."""
    first = np.array([prediction.probabilities[0] for prediction in read.predictions[WHOLE]], float)
    first = np.clip(first, 1e-6, 1 - 1e-6)
    return np.log(first / (1 - first))


def _followed(values: Floats, score: Floats, target: ProbeTarget, read: AuditedFilms, level: float) -> Interval | None:
    """The rank correlation of the model's score with what the property predicts of it, both less their labels' means.

    The prediction is a ridge regression that was not trained on films of the same patient. None where the score is
    the same for all films of each label.
    """
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    beyond = _less_label_means(score, target)
    within = np.column_stack([_less_label_means(column, target) for column in values.T])
    if np.ptp(beyond) < 1e-9 or not np.ptp(within, axis=0).any():
        return None
    predicted = np.zeros(len(score))
    for train, test in GroupKFold(FOLDS).split(within, groups=target.patient):
        model = make_pipeline(StandardScaler(), Ridge(alpha=within.shape[1]))
        predicted[test] = model.fit(within[train], beyond[train]).predict(within[test])
    ranks = [stats.rankdata(part) for part in (beyond, predicted)]
    blocks = bootstrap_weights(target.patient, read.settings.resamples, read.settings.seed)
    drawn = np.concatenate([_correlation(ranks, weights) for weights in blocks])
    value = float(_correlation(ranks, np.ones((len(score), 1)))[0])
    z = CROSS_VALIDATED * stats.norm.ppf((1 + level) / 2)
    spread = np.arctanh(drawn[np.isfinite(drawn)]).std()
    low, high = (float(np.tanh(np.arctanh(value) + side * z * spread)) for side in (-1, 1))
    return Interval(value, low, high)


def _less_label_means(values: Floats, target: ProbeTarget) -> Floats:
    means = np.array([values[side].mean() for side in target.membership])
    return values - means[target.class_index]


def _correlation(ranks: Sequence[Floats], weights: Floats) -> Floats:
    """The correlation of two rows of ranks in each column of weights, at most 0.999 either way."""
    total = weights.sum(axis=0)
    first, second = (row[:, None] - (row @ weights) / total for row in ranks)
    covariance = (weights * first * second).sum(axis=0)
    size = np.sqrt((weights * first**2).sum(axis=0) * (weights * second**2).sum(axis=0))
    return np.clip(np.divide(covariance, size, out=np.full(len(total), nan), where=size > 0), -0.999, 0.999)
