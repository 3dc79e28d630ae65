"""Standard errors of metrics over many patients, from the influence of each patient: no resampling.

The influence of a film on a metric is the derivative of the metric by the film's weight. The sum of squares over
patients, each with the influence of all its films, is the variance that a bootstrap of patients approaches as they
become many (the infinitesimal jackknife, Efron 1982). For an AUC these are DeLong's placements (1988), by patient as
Obuchowski has them (1997). Of 100,000 films this takes a fraction of a second, a bootstrap most of a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.cases import LabeledCases
from cxr.evaluation.metrics import (
    BINARY_OUTCOMES,
    Floats,
    binary_metrics_of,
    binary_outcomes,
    class_metrics_of,
    decision_cells,
)

MANY_PATIENTS = 10_000  # from which on intervals are made of these; tests compare both at fewer
STEP = 1e-4  # of the films, by which a count is changed to see what it does to a metric

Influence = dict[str, Floats]  # by metric: of each film


def standard_errors(cases: LabeledCases, of_scores: bool, of_decisions: bool) -> dict[str, float]:
    """The standard error of each metric of `score_metrics` and `decision_metrics`, by its flat name.

    Not of shares of films, which have intervals of their own, nor of calibration errors, which have none. NaN where a
    metric is not defined.
    """
    influence = _of_scores(cases) if of_scores else {}
    errors = {name: _error(values, cases.patient) for name, values in influence.items()}
    return errors | (_errors_of_decisions(cases) if of_decisions else {})


def _error(influence: Floats, patient: NDArray[np.int64]) -> float:
    return float(np.sqrt((np.bincount(patient, influence) ** 2).sum()))


def ranking_influence(score: Floats, truth: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The influence of each film on the AUC and on the average precision; NaN where one side has no films."""
    order = np.argsort(score)
    score, positive = score[order], truth[order]
    films, positives = len(score), int(positive.sum())
    if positives in (0, films):
        return np.full(films, np.nan), np.full(films, np.nan)
    starts = np.flatnonzero(np.diff(score, prepend=-np.inf))  # films of one score come together
    tie = np.repeat(np.arange(len(starts)), np.diff(starts, append=films))
    own = np.add.reduceat(positive.astype(float), starts)
    others = np.diff(starts, append=films) - own
    negatives = films - positives
    below = (np.cumsum(others) - others / 2) / negatives  # of a positive film, the share of negatives below it
    above = (positives - np.cumsum(own) + own / 2) / positives  # of a negative film, the share of positives above it
    auc = float(own @ below) / positives
    of_auc = np.where(positive, (below[tie] - auc) / positives, (above[tie] - auc) / negatives)
    hits = positives - np.cumsum(own) + own  # positives that score as high or higher
    called = films - starts
    precision = hits / called
    average = float(own @ precision) / positives
    # A film also changes the precision at every positive film that scores as low or lower.
    as_hit = np.cumsum(own * (called - hits) / called**2) / positives
    as_false_alarm = np.cumsum(own * hits / called**2) / positives
    of_precision = np.where(positive, (precision[tie] - average) / positives + as_hit[tie], -as_false_alarm[tie])
    unsorted = np.empty((2, films))
    unsorted[:, order] = of_auc, of_precision
    return unsorted[0], unsorted[1]


def _of_scores(cases: LabeledCases) -> Influence:
    single, names = np.flatnonzero(cases.has_single_class), cases.labels.classes
    p, targets = cases.probabilities[single], cases.targets[single]
    ranks = [ranking_influence(p[:, k], targets[:, k]) for k in range(len(names))]
    defined = [auc for auc, _ in ranks if np.isfinite(auc).all()]
    micro, _ = ranking_influence(p.ravel(), targets.ravel())
    found = {
        "macro_auc": np.mean(defined, axis=0) if defined else np.full(len(single), np.nan),
        "micro_auc": micro.reshape(p.shape).sum(axis=1),
        "brier": _of_mean(((p - targets) ** 2).sum(axis=1)),
        **{f"auc.{name}": auc for name, (auc, _) in zip(names, ranks, strict=True)},
        **{f"average_precision.{name}": value for name, (_, value) in zip(names, ranks, strict=True)},
    }
    influence = {name: _placed(values, single, cases.n) for name, values in found.items()}
    if cases.labels.negative is None:
        return influence
    known = np.flatnonzero(cases.binary_reference >= 0)
    score, truth = cases.binary_scores[known], cases.binary_reference[known] == 1
    auc, precision = ranking_influence(score, truth)
    binary = {"auc": auc, "average_precision": precision}
    binary |= {"brier": _of_mean((score - truth) ** 2), "calibration_bias": _of_mean(score - truth)}
    return influence | {f"binary.{name}": _placed(values, known, cases.n) for name, values in binary.items()}


def _of_mean(values: Floats) -> Floats:
    return (values - values.mean()) / len(values) if len(values) else values


def _placed(values: Floats, films: NDArray[np.int64], count: int) -> Floats:
    """The influence of these films, among all, of which the others have none."""
    placed = np.zeros(count)
    placed[films] = values
    return placed


def _errors_of_decisions(cases: LabeledCases) -> dict[str, float]:
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
