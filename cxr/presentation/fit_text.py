"""A model's fit to one hospital in words, for the page, the card and the command line alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxr.core.number_format import decimal, joined, percent, with_interval
from cxr.datasets.labels import display_in_sentence
from cxr.registry.local_fit import FitFigure, FitFigures, PredictionSets

if TYPE_CHECKING:
    from cxr.evaluation.fitting.figures import MissingFilms

FIT_ROWS = {
    "specificity": "Specificity",
    "sensitivity": "Sensitivity",
    "auc": "AUC",
    "calibration_error": "Calibration error",
}
NAMES = {"finding": "a finding"}


def fit_figure(figures: FitFigures, key: str) -> str:
    """One of the figures with its interval."""
    return _with_interval(getattr(figures, key))


def missing_sentence(missing: MissingFilms) -> str:
    """How many X-rays are still missing for intervals of the wanted width, in a sentence."""
    if missing.normal or missing.finding:
        return (
            f"For intervals {decimal(missing.width, 2)} wide, X-rays of {missing.normal:,} more normal patients and "
            f"{missing.finding:,} more with a finding are needed."
        )
    return f"The intervals of specificity and sensitivity are at most {decimal(missing.width, 2)} wide."


def sets_sentence(sets: PredictionSets) -> str:
    """What prediction sets cover, and how many X-rays get a single answer, in two sentences."""
    covered = joined([f"{answer_name(name)} {_with_interval(figure)}" for name, figure in sets.covered.items()])
    always = [answer_name(name) for name, lowest in sets.lowest.items() if not lowest]
    open_ = f" {joined(always)}: too few patients, so that every set has it." if always else ""
    return (
        f"Prediction sets for a coverage of {percent(sets.coverage)}, on X-rays not used for the fit: {covered}. "
        f"One answer for {_percent(sets.single)} of the X-rays, several for {_percent(sets.several)}, none for "
        f"{_percent(sets.none)}.{open_[:1]}{open_[1:2].upper()}{open_[2:]}"
    )


def answer_name(name: str) -> str:
    """The name of an answer of a prediction set, within a sentence."""
    return NAMES.get(name) or display_in_sentence(name)


def _with_interval(figure: FitFigure) -> str:
    return with_interval(figure.value, figure.low, figure.high)


def _percent(figure: FitFigure) -> str:
    return percent(figure.value or 0.0)
