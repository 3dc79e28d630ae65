"""Standard errors of metrics over many patients, from the influence of each patient: no resampling.

The influence of a film on a metric is the derivative of the metric by the film's weight. The sum of squares over
patients, each with the influence of all its films, is the variance that a bootstrap of patients approaches as they
become many (the infinitesimal jackknife, Efron 1982). For an AUC these are DeLong's placements (1988), by patient as
Obuchowski has them (1997). Of 100,000 films this takes a fraction of a second, a bootstrap most of a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.cases import LabeledCases
from cxr.evaluation.metrics import (
    BINARY_OUTCOMES,
    Floats,
    binary_metrics_of,
    binary_outcomes,
    calibration_metrics,
    class_metrics_of,
    decision_cells,
)

MANY_PATIENTS = 10_000  # from which on intervals are made of these; tests compare both at fewer
STEP = 1e-4  # of the films, by which a count is changed to see what it does to a metric


class MetricEstimate(NamedTuple):
    """A metric and its standard error, which is NaN where it has none."""

    value: float
    error: float = nan


class Ranking(NamedTuple):
    """The AUC and the average precision, and the influence of each film on them; NaN where one side has no films."""

    auc: float
    average_precision: float
    of_auc: Floats
    of_precision: Floats


def score_estimates(cases: LabeledCases) -> dict[str, MetricEstimate]:
    """Every metric of `score_metrics` with its standard error; a calibration error has none."""
    single, names = np.flatnonzero(cases.has_single_class), cases.labels.classes
    p, targets, patient = cases.probabilities[single], cases.targets[single], cases.patient[single]
    ranks = [ranking(p[:, k], targets[:, k]) for k in range(len(names))]
    defined = [rank for rank in ranks if isfinite(rank.auc)]
    micro = ranking(p.ravel(), targets.ravel(), precision=False)
    unknown = np.full(len(single), nan)
    found = {
        "macro_auc": (
            float(np.mean([rank.auc for rank in defined])) if defined else nan,
            np.mean([rank.of_auc for rank in defined], axis=0) if defined else unknown,
        ),
        "micro_auc": (micro.auc, micro.of_auc.reshape(p.shape).sum(axis=1)),
        **{f"auc.{name}": (rank.auc, rank.of_auc) for name, rank in zip(names, ranks, strict=True)},
        **{
            f"average_precision.{name}": (rank.average_precision, rank.of_precision)
            for name, rank in zip(names, ranks, strict=True)
        },
    }
    of_classes = {name: MetricEstimate(value, _error(influence, patient)) for name, (value, influence) in found.items()}
    errors = {"brier": _error_of_mean(((p - targets) ** 2).sum(axis=1), patient)}
    if cases.labels.negative is not None:
        known = np.flatnonzero(cases.binary_reference >= 0)
        score, truth, patient = cases.binary_scores[known], cases.binary_reference[known] == 1, cases.patient[known]
        auc, average_precision, of_auc, of_precision = ranking(score, truth)
        of_classes["binary.auc"] = MetricEstimate(auc, _error(of_auc, patient))
        of_classes["binary.average_precision"] = MetricEstimate(average_precision, _error(of_precision, patient))
        errors["binary.brier"] = _error_of_mean((score - truth) ** 2, patient)
        errors["binary.calibration_bias"] = _error_of_mean(score - truth, patient)
    means = calibration_metrics(cases, np.ones((cases.n, 1)))
    return of_classes | {name: MetricEstimate(float(value[0]), errors.get(name, nan)) for name, value in means.items()}


def decision_errors(cases: LabeledCases) -> dict[str, float]:
    """The standard error of each metric of `decision_metrics` that is made of counts; NaN where it is not defined."""
    cell, single = decision_cells(cases)
    classes = cases.labels.classes
    errors = _errors_of_counts(
        _Cells(cell[single], cases.patient[single], len(classes) ** 2),
        lambda counts: class_metrics_of(counts.reshape(len(classes), len(classes), -1), classes),
    )
    if cases.labels.negative is None:
        return errors
    outcome, known = binary_outcomes(cases)
    cells = _Cells(outcome[known], cases.patient[known], len(BINARY_OUTCOMES))
    binary = _errors_of_counts(cells, lambda counts: binary_metrics_of(counts, None))
    return errors | {f"binary.{name}": error for name, error in binary.items()}


def _error(influence: Floats, patient: NDArray[np.int64]) -> float:
    return float(np.sqrt((np.bincount(patient, influence) ** 2).sum()))


def _error_of_mean(values: Floats, patient: NDArray[np.int64]) -> float:
    return _error((values - values.mean()) / len(values), patient) if len(values) else 0.0


def ranking(score: Floats, truth: NDArray[np.bool_], *, precision: bool = True) -> Ranking:
    """The ranking metrics of these scores, equal to those of `ranking_metrics`; without `precision` the AUC alone."""
    order = np.argsort(score)
    in_order, positive = score[order], truth[order]
    films, positives = len(score), int(np.count_nonzero(truth))
    unknown = np.full(films, nan)
    if positives in (0, films):
        return Ranking(nan, 1.0 if positives else nan, unknown, unknown)
    starts = np.flatnonzero(np.diff(in_order, prepend=-np.inf))  # films of one score come together
    together = np.diff(starts, append=films)
    own = np.add.reduceat(positive.astype(float), starts)
    others = together - own
    negatives = films - positives
    # The films of one score that are positive have one influence, those that are negative another.
    place = np.empty(films, np.intp)
    place[order] = np.repeat(np.arange(len(starts)), together) + np.where(positive, 0, len(starts))
    below = (np.cumsum(others) - others / 2) / negatives  # of a positive film, the share of negatives below it
    above = (positives - np.cumsum(own) + own / 2) / positives  # of a negative film, the share of positives above it
    auc = float(own @ below) / positives
    of_auc = np.concatenate([(below - auc) / positives, (above - auc) / negatives])[place]
    if not precision:
        return Ranking(auc, nan, of_auc, unknown)
    hits = positives - np.cumsum(own) + own  # positives that score as high or higher
    called = films - starts
    share = hits / called
    average = float(own @ share) / positives
    # A film also changes the precision at every positive film that scores as low or lower.
    as_hit = np.cumsum(own * (called - hits) / called**2) / positives
    as_false_alarm = np.cumsum(own * hits / called**2) / positives
    of_precision = np.concatenate([(share - average) / positives + as_hit, -as_false_alarm])[place]
    return Ranking(auc, average, of_auc, of_precision)


class _Cells(NamedTuple):
    """The cell of a table in which each film is counted, and its patient."""

    of_film: NDArray[np.int64]
    patient: NDArray[np.int64]
    cells: int


def _errors_of_counts(cells: _Cells, metrics_of: Callable[[Floats], dict[str, Floats]]) -> dict[str, float]:
    """The standard errors of metrics that are made of counts alone: a film's influence is that of one more in its cell.

    So the variance needs, of every two cells, only how often patients have films in both.
    """
    from scipy.sparse import csr_array

    films = len(cells.of_film)
    counts = np.bincount(cells.of_film, minlength=cells.cells).astype(float)
    steps = np.minimum(STEP * films, counts / 2)  # no count becomes negative
    moved = np.concatenate([counts[:, None] + np.diag(steps), counts[:, None] - np.diag(steps)], axis=1)
    people = int(cells.patient.max(initial=-1)) + 1
    by_patient = csr_array((np.ones(films), (cells.patient, cells.of_film)), shape=(people, cells.cells))
    together = (by_patient.T @ by_patient).toarray()
    errors = {}
    for name, values in metrics_of(moved).items():
        more, fewer = values[: cells.cells], values[cells.cells :]
        slope = np.divide(more - fewer, 2 * steps, out=np.zeros(cells.cells), where=steps > 0)
        variance = float(slope @ together @ slope)
        errors[name] = variance if np.isnan(variance) else max(variance, 0.0) ** 0.5
    return errors
