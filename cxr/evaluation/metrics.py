"""Metrics of weighted films: one column of weights for each resample of a bootstrap, all columns at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cxr.evaluation.cases import LabeledCases

BINS = 15  # of the calibration error, as in Guo 2017
BINARY_OUTCOMES = ("hit", "missed", "cleared", "false alarm")

Floats = NDArray[np.floating]


def metric_values(cases: LabeledCases, weights: Floats, prevalence: float | None = None) -> dict[str, Floats]:
    """Every metric under its flat name, with one value for each column of weights (films, columns).

    Metrics of classes use the films whose label allows one class; `binary.` is any finding against the negative class.
    The Brier score is Brier's own sum over classes, 0 to 2, and 0 to 1 for the binary question. With a prevalence,
    the predictive values are those expected where that share of films is positive. The share of indeterminate films is
    there where the cases have a band.
    """
    return score_metrics(cases, weights) | decision_metrics(cases, weights, prevalence)


def score_metrics(cases: LabeledCases, weights: Floats) -> dict[str, Floats]:
    """The metrics of `metric_values` that no threshold changes."""
    return (
        _class_ranking_metrics(cases, weights)
        | binary_score_metrics(cases, weights)
        | _class_calibration(cases, weights)
    )


def binary_score_metrics(cases: LabeledCases, weights: Floats) -> dict[str, Floats]:
    """Those of `score_metrics` that are of any finding against the negative class; none where no class is that."""
    if cases.labels.negative is None:
        return {}
    known = np.flatnonzero(cases.binary_reference >= 0)
    truth = cases.binary_reference[known] == 1
    auc, average_precision = ranking_metrics(cases.binary_scores[known], truth, weights[known])
    return {
        "binary.auc": auc,
        "binary.average_precision": average_precision,
        **_binary_calibration(cases, weights),
    }


def calibration_metrics(cases: LabeledCases, weights: Floats) -> dict[str, Floats]:
    """The metrics of `score_metrics` that are no rankings: Brier scores, calibration errors and bias."""
    binary = {} if cases.labels.negative is None else _binary_calibration(cases, weights)
    return _class_calibration(cases, weights) | binary


def decision_metrics(cases: LabeledCases, weights: Floats, prevalence: float | None = None) -> dict[str, Floats]:
    """The metrics of `metric_values` that depend on the decisions."""
    cell, single = decision_cells(cases)
    count = len(cases.labels.classes)
    matrix = _sums(cell[single], count**2, weights[single]).reshape(count, count, -1)
    values = {"accuracy": ratio(_sum(cases.correct, weights), weights.sum(axis=0))}
    values |= class_metrics_of(matrix, cases.labels.classes)
    if cases.labels.negative is None:
        return values
    outcome, known = binary_outcomes(cases)
    binary = binary_metrics_of(_sums(outcome[known], len(BINARY_OUTCOMES), weights[known]), prevalence)
    if cases.band is not None:
        binary["indeterminate"] = ratio(_sum(cases.in_band[known], weights[known]), weights[known].sum(axis=0))
    return values | {f"binary.{name}": value for name, value in binary.items()}


def metric_value(cases: LabeledCases, name: str, weights: Floats) -> Floats:
    """One metric of `metric_values`; the accuracy, by which subgroups are compared, without computing the others."""
    if name == "accuracy":
        return ratio(_sum(cases.correct, weights), weights.sum(axis=0))
    return metric_values(cases, weights)[name]


def ratio(part: Any, whole: Any) -> Floats:
    """Part divided by whole; NaN where both are 0, infinite where the whole alone is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part, float) / np.asarray(whole, float)


def predictive_values(sensitivity: Any, specificity: Any, prevalence: float) -> tuple[Floats, Floats]:
    """PPV and NPV expected where this share of films is positive (Bayes)."""
    sensitivity, specificity = np.asarray(sensitivity, float), np.asarray(specificity, float)
    true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    missed, cleared = (1 - sensitivity) * prevalence, specificity * (1 - prevalence)
    return ratio(true, true + false), ratio(cleared, cleared + missed)


def ranking_metrics(
    score: Floats, truth: NDArray[np.bool_], weights: Floats, film: NDArray[np.int64] | None = None
) -> tuple[Floats, Floats]:
    """The AUC and the average precision of each column of weights; ties count one half.

    The AUC is that of `cxr.core.ranking.roc_auc` where all weights are 1. Scores are sorted once for all columns.
    `film` has the row of weights of each score, where it is not its own.
    """
    if weights.shape[1] == 1 and (weights == 1).all():
        return _unweighted_ranking_metrics(score, truth)
    row = np.arange(len(score)) if film is None else film
    order = np.argsort(-score)
    positive_rows, negative_rows = order[truth[order]], order[~truth[order]]
    drawn, passed = weights[row[positive_rows]], _running(weights[row[negative_rows]])
    own, other = -score[positive_rows], -score[negative_rows]
    at_least = passed[np.searchsorted(other, own, "right")]  # negatives that score as high as each positive, or higher
    higher = passed[np.searchsorted(other, own, "left")]
    positives = drawn.sum(axis=0)
    auc = 1 - ratio(np.einsum("nr,nr->r", drawn, higher + at_least) / 2, positives * passed[-1])
    hits = _running(drawn)[np.searchsorted(own, own, "right")]
    at_least += hits
    precision = np.divide(hits, at_least, out=hits, where=at_least > 0)
    return auc, ratio(np.einsum("nr,nr->r", drawn, precision), positives)


def _unweighted_ranking_metrics(score: Floats, truth: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The same for one column of ones: sorting values takes a fraction of the time of sorting places."""
    own, other = np.sort(score[truth]), np.sort(score[~truth])
    at_least = len(other) - np.searchsorted(other, own, "left")  # negatives that score as high as each positive
    higher = len(other) - np.searchsorted(other, own, "right")
    hits = len(own) - np.searchsorted(own, own, "left")
    auc = 1 - ratio([(higher + at_least).sum() / 2], len(own) * len(other))
    return auc, ratio([(hits / (hits + at_least)).sum()], len(own))


def _running(rows: Floats) -> Floats:
    """The sums of the first 0, 1, 2, ... rows."""
    sums = np.zeros((len(rows) + 1, rows.shape[1]), rows.dtype)
    np.cumsum(rows, axis=0, out=sums[1:])
    return sums


def _class_ranking_metrics(cases: LabeledCases, weights: Floats) -> dict[str, Floats]:
    single, names = np.flatnonzero(cases.has_single_class), cases.labels.classes
    p, weights, targets = cases.probabilities[single], weights[single], cases.targets[single]
    ranks = [ranking_metrics(p[:, k], targets[:, k], weights) for k in range(len(names))]
    film = np.repeat(np.arange(len(single)), len(names))
    return {
        "macro_auc": _mean(np.array([auc for auc, _ in ranks])),
        "micro_auc": ranking_metrics(p.ravel(), targets.ravel(), weights, film)[0],
        **{f"auc.{name}": auc for name, (auc, _) in zip(names, ranks, strict=True)},
        **{f"average_precision.{name}": value for name, (_, value) in zip(names, ranks, strict=True)},
    }


def _class_calibration(cases: LabeledCases, weights: Floats) -> dict[str, Floats]:
    single = np.flatnonzero(cases.has_single_class)
    p, weights, targets = cases.probabilities[single], weights[single], cases.targets[single]
    return {
        "brier": ratio(_sum(((p - targets) ** 2).sum(axis=1), weights), weights.sum(axis=0)),
        "ece": calibration_error(p.max(axis=1), targets[np.arange(len(p)), p.argmax(axis=1)], weights),
    }


def _binary_calibration(cases: LabeledCases, weights: Floats) -> dict[str, Floats]:
    known = np.flatnonzero(cases.binary_reference >= 0)
    score, truth, weights = cases.binary_scores[known], cases.binary_reference[known] == 1, weights[known]
    total = weights.sum(axis=0)
    return {
        "binary.brier": ratio(_sum((score - truth) ** 2, weights), total),
        "binary.ece": calibration_error(score, truth, weights),
        "binary.calibration_bias": ratio(_sum(score - truth, weights), total),
    }


def decision_cells(cases: LabeledCases) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cell of the confusion matrix of each film, row by row; and the films that have one, of a single class."""
    cell = cases.targets.argmax(axis=1) * len(cases.labels.classes) + cases.predicted
    return cell, np.flatnonzero(cases.has_single_class)


def class_metrics_of(matrix: Floats, names: tuple[str, ...]) -> dict[str, Floats]:
    """The metrics of classes of confusion matrices (reference, predicted, column)."""
    hits, in_reference, in_predicted = np.einsum("kkr->kr", matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    recall, precision = ratio(hits, in_reference), ratio(hits, in_predicted)
    f1 = np.where(in_reference > 0, ratio(2 * hits, in_reference + in_predicted), np.nan)
    return {
        "macro_f1": _mean(f1),
        "balanced_accuracy": _mean(recall),
        "mcc": _mcc(hits.sum(axis=0), in_reference, in_predicted),
        **{f"recall.{name}": value for name, value in zip(names, recall, strict=True)},
        **{f"precision.{name}": value for name, value in zip(names, precision, strict=True)},
        **{f"f1.{name}": value for name, value in zip(names, f1, strict=True)},
    }


def binary_outcomes(cases: LabeledCases) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each film's place in `BINARY_OUTCOMES`; and the films that have one, whose label says if there is a finding."""
    positive, is_negative = cases.predicted != cases.labels.negative, cases.binary_reference != 1
    return 2 * is_negative + (positive == is_negative), np.flatnonzero(cases.binary_reference >= 0)


def binary_metrics_of(counts: Floats, prevalence: float | None) -> dict[str, Floats]:
    """The metrics of counts of `BINARY_OUTCOMES` (outcome, column)."""
    hits, missed, cleared, false_alarms = counts
    sensitivity, specificity = ratio(hits, hits + missed), ratio(cleared, cleared + false_alarms)
    if prevalence is None:
        ppv, npv = ratio(hits, hits + false_alarms), ratio(cleared, cleared + missed)
    else:
        ppv, npv = predictive_values(sensitivity, specificity, prevalence)
    return {
        "accuracy": ratio(hits + cleared, counts.sum(axis=0)),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": ppv,
        "npv": npv,
        "f1": ratio(2 * hits, 2 * hits + false_alarms + missed),
        "lr_positive": ratio(sensitivity, 1 - specificity),
        "lr_negative": ratio(1 - sensitivity, specificity),
    }


def bin_index(probability: Floats) -> NDArray[np.int64]:
    """The bin of each probability among `BINS` equal ones, from 0; one on an edge belongs to the lower bin."""
    return np.clip(np.ceil(probability * BINS).astype(np.int64) - 1, 0, BINS - 1)


def calibration_error(probability: Floats, observed: NDArray[np.bool_], weights: Floats) -> Floats:
    """The expected calibration error: the mean distance of probability and observed frequency over equal bins."""
    gaps = _sums(bin_index(probability), BINS, (probability - observed)[:, None].astype(weights.dtype) * weights)
    return ratio(np.abs(gaps).sum(axis=0), weights.sum(axis=0))


def _mcc(hits: Floats, in_reference: Floats, in_predicted: Floats) -> Floats:
    """Matthews correlation coefficient for any number of classes (Gorodkin 2004); NaN where one side does not vary."""
    total = in_reference.sum(axis=0)
    covariance = hits * total - (in_reference * in_predicted).sum(axis=0)
    variances = (total**2 - (in_reference**2).sum(axis=0)) * (total**2 - (in_predicted**2).sum(axis=0))
    return ratio(covariance, np.sqrt(variances))


# No matrix products below: on a busy machine, the threads of BLAS wait for each other longer than the sums take.


def _sum(values: Any, weights: Floats) -> Floats:
    """The weighted sum of one value per film."""
    return np.einsum("n,nr->r", values.astype(weights.dtype), weights)


def _sums(group: NDArray[np.int64], groups: int, rows: Floats) -> Floats:
    """The sums of the rows of each group 0, 1, ..., `groups` - 1."""
    return np.stack([rows[group == k].sum(axis=0) for k in range(groups)])


def _mean(values: Floats) -> Floats:
    """The mean over the classes that have a value."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(axis=0), defined.sum(axis=0))
