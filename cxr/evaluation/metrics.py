"""Metrics of films that count as often as they were drawn: one column of weights a resample, all at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.datasets.labels import LabelSpace

BINS = 15  # of the calibration error, as in Guo 2017

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class LabeledCases:
    """The films whose label the model knows, one row each."""

    labels: LabelSpace
    p: Floats  # (films, classes)
    targets: NDArray[np.bool_]  # (films, classes): what the film may be
    decided: NDArray[np.int64]  # index of a class
    positive: NDArray[np.int64]  # 1, 0, or -1 where the label does not say, or there is no negative class
    patient: NDArray[np.int64]  # numbered from 0
    left_out: int  # films whose label says nothing to this model

    @property
    def patients(self) -> int:
        return int(self.patient.max()) + 1

    @property
    def single(self) -> NDArray[np.bool_]:
        """Films whose label names one class."""
        return self.targets.sum(axis=1) == 1

    @property
    def correct(self) -> NDArray[np.bool_]:
        return self.targets[np.arange(len(self.p)), self.decided]

    @property
    def score(self) -> Floats:
        """The probability of anything but the negative class."""
        return 1 - self.p[:, self.labels.negative]


def metric_values(cases: LabeledCases, weights: Floats, prevalence: float | None = None) -> dict[str, Floats]:
    """Every figure under its flat name, one value a column of weights (films, columns).

    Classes are judged by the films whose label names one; `binary.` is everything else against the negative class.
    The Brier score is Brier's own sum over classes, 0 to 2, and 0 to 1 for the binary question. With a prevalence,
    the predictive values are those to be expected where so many films are positive.
    """
    found = {"accuracy": ratio(_sum(cases.correct, weights), weights.sum(axis=0))} | _of_classes(cases, weights)
    if cases.labels.negative is not None:
        of_binary = _of_binary(cases, weights, prevalence)
        found |= {f"binary.{name}": value for name, value in of_binary.items()}
    return found


def ratio(part: Any, whole: Any) -> Floats:
    """Part of a whole; not a number where both are none, infinite where the whole alone is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part, float) / np.asarray(whole, float)


def predictive_values(sensitivity: Any, specificity: Any, prevalence: float) -> tuple[Floats, Floats]:
    """PPV and NPV to be expected where this share of films is positive (Bayes)."""
    sensitivity, specificity = np.asarray(sensitivity, float), np.asarray(specificity, float)
    true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    missed, cleared = (1 - sensitivity) * prevalence, specificity * (1 - prevalence)
    return ratio(true, true + false), ratio(cleared, cleared + missed)


def ranking_metrics(
    score: Floats, truth: NDArray[np.bool_], weights: Floats, film: NDArray[np.int64] | None = None
) -> tuple[Floats, Floats]:
    """Area under the ROC curve and average precision of each column of weights; equal scores count half.

    Scores are sorted once for all columns. `film` has the row of weights of each score, where it is not its own.
    """
    row = np.arange(len(score)) if film is None else film
    order = np.argsort(-score, kind="stable")
    ones, zeros = order[truth[order]], order[~truth[order]]
    drawn, passed = weights[row[ones]], _running(weights[row[zeros]])
    own, other = -score[ones], -score[zeros]
    above = passed[np.searchsorted(other, own, "right")]  # negatives that score as high as each positive, or higher
    higher = passed[np.searchsorted(other, own, "left")]
    positives = drawn.sum(axis=0)
    area = 1 - ratio(np.einsum("nr,nr->r", drawn, higher + above) / 2, positives * passed[-1])
    found = _running(drawn)[np.searchsorted(own, own, "right")]
    above += found
    precision = np.divide(found, above, out=found, where=above > 0)
    return area, ratio(np.einsum("nr,nr->r", drawn, precision), positives)


def _running(rows: Floats) -> Floats:
    """Sums of the first 0, 1, 2, ... rows."""
    sums = np.zeros((len(rows) + 1, rows.shape[1]), rows.dtype)
    np.cumsum(rows, axis=0, out=sums[1:])
    return sums


def _of_classes(cases: LabeledCases, weights: Floats) -> dict[str, Floats]:
    single = np.flatnonzero(cases.single)
    p, weights, decided = cases.p[single], weights[single], cases.decided[single]
    names, is_of = cases.labels.classes, cases.targets[single]
    cells = _sums(is_of.argmax(axis=1) * len(names) + decided, len(names) ** 2, weights)
    matrix = cells.reshape(len(names), len(names), -1)  # (truth, decision, column)
    right, of_truth, of_decision = np.einsum("kkr->kr", matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    recall, precision, total = ratio(right, of_truth), ratio(right, of_decision), weights.sum(axis=0)
    f1 = np.where(of_truth > 0, ratio(2 * right, of_truth + of_decision), np.nan)
    ranks = [ranking_metrics(p[:, k], is_of[:, k], weights) for k in range(len(names))]
    film = np.repeat(np.arange(len(single)), len(names))
    return {
        "macro_f1": _mean(f1),
        "balanced_accuracy": _mean(recall),
        "mcc": _mcc(right.sum(axis=0), of_truth, of_decision),
        "macro_auc": _mean(np.array([area for area, _ in ranks])),
        "micro_auc": ranking_metrics(p.ravel(), is_of.ravel(), weights, film)[0],
        "brier": ratio(_sum(((p - is_of) ** 2).sum(axis=1), weights), total),
        "ece": calibration_error(p.max(axis=1), is_of[np.arange(len(p)), p.argmax(axis=1)], weights),
        **{f"auc.{name}": area for name, (area, _) in zip(names, ranks, strict=True)},
        **{f"average_precision.{name}": value for name, (_, value) in zip(names, ranks, strict=True)},
        **{f"recall.{name}": value for name, value in zip(names, recall, strict=True)},
        **{f"precision.{name}": value for name, value in zip(names, precision, strict=True)},
        **{f"f1.{name}": value for name, value in zip(names, f1, strict=True)},
    }


def _of_binary(cases: LabeledCases, weights: Floats, prevalence: float | None) -> dict[str, Floats]:
    says = np.flatnonzero(cases.positive >= 0)
    score, truth, weights = cases.score[says], cases.positive[says] == 1, weights[says]
    called = cases.decided[says] != cases.labels.negative
    hits, alarms = _sum(truth & called, weights), _sum(~truth & called, weights)
    missed, cleared = _sum(truth & ~called, weights), _sum(~truth & ~called, weights)
    sensitivity, specificity = ratio(hits, hits + missed), ratio(cleared, cleared + alarms)
    if prevalence is None:
        ppv, npv = ratio(hits, hits + alarms), ratio(cleared, cleared + missed)
    else:
        ppv, npv = predictive_values(sensitivity, specificity, prevalence)
    area, average_precision = ranking_metrics(score, truth, weights)
    return {
        "accuracy": ratio(hits + cleared, weights.sum(axis=0)),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "auc": area,
        "ppv": ppv,
        "npv": npv,
        "f1": ratio(2 * hits, 2 * hits + alarms + missed),
        "lr_positive": ratio(sensitivity, 1 - specificity),
        "lr_negative": ratio(1 - sensitivity, specificity),
        "average_precision": average_precision,
        "brier": ratio(_sum((score - truth) ** 2, weights), weights.sum(axis=0)),
        "ece": calibration_error(score, truth, weights),
    }


def bin_of(probability: Floats) -> NDArray[np.int64]:
    """In which of the equal bins each probability lies, 0 to `BINS` - 1; one on an edge belongs to the lower bin."""
    return np.clip(np.ceil(probability * BINS).astype(np.int64) - 1, 0, BINS - 1)


def calibration_error(probability: Floats, happened: NDArray[np.bool_], weights: Floats) -> Floats:
    """Expected calibration error: how far probability and frequency lie apart, on the mean over equal bins."""
    apart = _sums(bin_of(probability), BINS, (probability - happened)[:, None].astype(weights.dtype) * weights)
    return ratio(np.abs(apart).sum(axis=0), weights.sum(axis=0))


def _mcc(right: Floats, of_truth: Floats, of_decision: Floats) -> Floats:
    """Matthews' correlation, of any number of classes (Gorodkin 2004); not a number where one side does not vary."""
    total = of_truth.sum(axis=0)
    together = right * total - (of_truth * of_decision).sum(axis=0)
    apart = (total**2 - (of_truth**2).sum(axis=0)) * (total**2 - (of_decision**2).sum(axis=0))
    return ratio(together, np.sqrt(apart))


# No matrix products below: on a busy machine, BLAS' threads wait longer for each other than the sums take.


def _sum(values: Any, weights: Floats) -> Floats:
    """Weighted sum of one value a film."""
    return np.einsum("n,nr->r", values.astype(weights.dtype), weights)


def _sums(which: NDArray[np.int64], of: int, rows: Floats) -> Floats:
    """Sum of the rows of each kind 0, 1, ..., `of` - 1."""
    return np.stack([rows[which == kind].sum(axis=0) for kind in range(of)])


def _mean(values: Floats) -> Floats:
    """Mean over the classes that have a value."""
    there = ~np.isnan(values)
    return ratio(np.where(there, values, 0).sum(axis=0), there.sum(axis=0))
