"""The figures of a fit before and after, with intervals over patients, and the X-rays that are missing for a width."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.fitting.conformal import SetQuestion, lowest_probabilities
from cxr.evaluation.fitting.fit import CrossFit, Fit
from cxr.evaluation.fitting.local_films import Floats, LocalFilms, score_of
from cxr.evaluation.fitting.operating_target import films_needed
from cxr.evaluation.intervals import Interval, effective_patients, proportion_interval
from cxr.evaluation.metric_intervals import interval_of_auc
from cxr.evaluation.metrics import calibration_error
from cxr.registry.local_fit import FitFigure, FitFigures, PredictionSets


@dataclass(frozen=True)
class MissingFilms:
    """The X-rays that are still missing, on each side, for an interval of this width."""

    width: float
    normal: int
    finding: int


def figures_before(films: LocalFilms, threshold: float | None) -> FitFigures:
    """The figures of the model as it is; without a threshold, the most probable class decides."""
    positive = films.labels.decide(films.probabilities, threshold) != films.labels.negative
    return _figures(films, films.probabilities, positive)


def figures_after(films: LocalFilms, crossed: CrossFit) -> FitFigures:
    """The figures of fits on X-rays that they did not use."""
    return _figures(films, crossed.probabilities, crossed.positive)


def missing_films(films: LocalFilms, after: FitFigures, width: float) -> MissingFilms:
    """How many more X-rays of other patients give specificity and sensitivity an interval of at most this width."""
    sides = []
    for side, figure in ((False, after.specificity), (True, after.sensitivity)):
        own = films.patient[films.has_finding == side]
        share = min(max(figure.value or 0.5, 0.02), 0.98)
        sides.append(max(0, films_needed(share, width) - int(effective_patients(own))))
    return MissingFilms(width, sides[0], sides[1])


def prediction_sets(films: LocalFilms, crossed: CrossFit, fitted: Fit, coverage: float) -> PredictionSets:
    """The prediction sets of a fit: its limits, and how the sets were on X-rays that fits did not use."""
    question = SetQuestion.of(films)
    known = question.probabilities(fitted.scores)
    limits = lowest_probabilities(known, question.answer, films.patient, coverage)
    count = crossed.answers.sum(axis=1)
    covered = {}
    for k, name in enumerate(question.answers):
        own = question.answer == k
        covered[name] = _figure(proportion_interval(crossed.answers[own, k], films.patient[own]))
    single, several, none = (
        _figure(proportion_interval(kind, films.patient)) for kind in (count == 1, count > 1, count == 0)
    )
    return PredictionSets(
        coverage=coverage,
        lowest={name: float(np.clip(limit, 0, 1)) for name, limit in zip(question.answers, limits, strict=True)},
        covered=covered,
        single=single,
        several=several,
        none=none,
    )


def _figures(films: LocalFilms, probabilities: Floats, positive: NDArray[np.bool_]) -> FitFigures:
    ill, scores = films.has_finding, score_of(probabilities, films.labels)
    return FitFigures(
        sensitivity=_figure(proportion_interval(positive[ill], films.patient[ill])),
        specificity=_figure(proportion_interval(~positive[~ill], films.patient[~ill])),
        auc=_figure(interval_of_auc(ill, scores, _numbered(films.patient))),
        calibration_error=_figure(_calibration(films, scores)),
    )


def _calibration(films: LocalFilms, scores: Floats) -> Interval:
    """The calibration error, without bounds: noise only adds to it, so its resamples lie above it."""
    value = float(calibration_error(scores, films.has_finding, np.ones((len(scores), 1)))[0])
    return Interval(value, nan, nan)


def _numbered(patient: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(patient, return_inverse=True)[1]


def _figure(interval: Interval) -> FitFigure:
    value, low, high = (float(np.clip(x, 0, 1)) if isfinite(x) else None for x in vars(interval).values())
    return FitFigure(value=value, low=low, high=high)
