"""The fit of a model to a hospital's X-rays, and its figures on X-rays that were not used for it.

A fit has three steps. The last layer is fitted where there are enough patients and it reads X-rays better that it was
not fitted to. The temperature and then the threshold are chosen on scores of X-rays that the layer was not fitted to
either. The figures before and after come from folds of patients: each X-ray is read by a fit to the other folds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.calibration import apply_temperature, fit_temperature
from cxr.evaluation.fitting.conformal import SetQuestion, lowest_probabilities, sets
from cxr.evaluation.fitting.last_layer import LastLayer, fit_last_layer, softmax
from cxr.evaluation.fitting.local_films import Floats, Indexes, LocalFilms, patient_folds, score_of
from cxr.evaluation.fitting.operating_target import OperatingTarget

COVERAGE = 0.9  # of prediction sets, for each answer
PENALTIES = (0.3, 0.03, 0.003)  # strengths that hold the last layer near the trained one
MIN_PATIENTS = 30  # on each side, from which on the last layer may be fitted
SURE = 2.0  # standard errors by which a fitted last layer must be better, as several are tried
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Fit:
    """A model's last layer and threshold after a fit."""

    layer: LastLayer  # with the temperature in it
    penalty: float | None  # of the last layer; None: it is the trained one
    temperature: float
    threshold: float
    scores: Floats  # of the fitted X-rays, by layers that were fitted to others

    def probabilities(self, features: Floats) -> Floats:
        """The probabilities of X-rays with these features."""
        return softmax(self.layer.logits(features))


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Each X-ray as fits to the other folds read it."""

    probabilities: Floats
    positive: NDArray[np.bool_]  # at the threshold of its fold's fit
    thresholds: tuple[float, ...]  # one for each fold
    answers: NDArray[np.bool_]  # (films, answers of the prediction sets): which are in the X-ray's set


def fit(films: LocalFilms, layer: LastLayer, target: OperatingTarget, seed: int = 0) -> Fit:
    """The fit to all these X-rays."""
    films.check()
    return _fit(films, layer, target, seed, _may_fit_layer(films))


def _may_fit_layer(films: LocalFilms) -> bool:
    """Whether there are enough patients on each side for the last layer to be fitted."""
    sides = [films.patient[films.has_finding == side] for side in (False, True)]
    return min(len(np.unique(side)) for side in sides) >= MIN_PATIENTS


def _fit(films: LocalFilms, layer: LastLayer, target: OperatingTarget, seed: int, with_layer: bool) -> Fit:
    """The fit to these X-rays, which may be those of some of the folds and few; of the last layer too if it may be."""
    folds = patient_folds(films, seed)
    trained = softmax(layer.logits(films.features))
    penalty, apart = _chosen_penalty(films, layer, folds, trained) if with_layer else (None, trained)
    fitted = layer if penalty is None else fit_last_layer(layer, films.features, films.targets, penalty)
    temperature = fit_temperature(apart, films.targets.astype(float)).value
    apart = apply_temperature(apart, temperature)
    threshold = target.threshold(score_of(apart, films.labels), films.has_finding)
    return Fit(fitted.scaled(temperature), penalty, temperature, round(threshold, 7), apart)


def cross_fit(
    films: LocalFilms, layer: LastLayer, target: OperatingTarget, coverage: float = COVERAGE, seed: int = 0
) -> CrossFit:
    """Every X-ray read by a fit that did not use its patient, and that may fit what a fit to all X-rays may."""
    films.check()
    with_layer = _may_fit_layer(films)
    question, fold = SetQuestion.of(films), patient_folds(films, seed + 1)
    probabilities, positive, thresholds = np.empty_like(films.probabilities), np.empty(len(fold), bool), []
    answers = np.empty((len(fold), len(question.answers)), bool)
    for number in np.unique(fold):
        rows, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        fitted = _fit(films.subset(others), layer, target, seed, with_layer)
        probabilities[rows] = fitted.probabilities(films.features[rows])
        positive[rows] = score_of(probabilities[rows], films.labels) >= fitted.threshold
        thresholds.append(fitted.threshold)
        known = question.probabilities(fitted.scores)
        limits = lowest_probabilities(known, question.answer[others], films.patient[others], coverage)
        answers[rows] = sets(question.probabilities(probabilities[rows]), limits)
    return CrossFit(probabilities, positive, tuple(thresholds), answers)


def _chosen_penalty(
    films: LocalFilms, layer: LastLayer, folds: Indexes, trained: Floats
) -> tuple[float | None, Floats]:
    """The penalty of the best last layer, None for the trained one; and the probabilities that chose it."""
    best, chosen, loss = None, trained, _losses(trained, films.targets)
    for penalty in PENALTIES:
        apart = np.empty_like(trained)
        for number in np.unique(folds):
            rows, others = np.flatnonzero(folds == number), np.flatnonzero(folds != number)
            fitted = fit_last_layer(layer, films.features[others], films.targets[others], penalty)
            apart[rows] = softmax(fitted.logits(films.features[rows]))
        gain = loss - (new := _losses(apart, films.targets))
        if gain.mean() > SURE * gain.std() / np.sqrt(len(gain)):
            best, chosen, loss = penalty, apart, new
    return best, chosen


def _losses(probabilities: Floats, targets: NDArray[np.bool_]) -> Floats:
    """The log loss of each X-ray at the temperature that suits these probabilities."""
    calibrated = apply_temperature(probabilities, fit_temperature(probabilities, targets.astype(float)).value)
    return -np.log(np.maximum(np.where(targets, calibrated, 0).sum(axis=1), TINY))
