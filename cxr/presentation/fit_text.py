"""A model's fit to one hospital in words, for the page, the card and the command line alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from cxr.core.number_format import counted, decimal, joined, percent, with_interval
from cxr.presentation.prediction_set import answer_name
from cxr.registry.local_fit import FitFigure, FitFigures, LocalFit, PredictionSets

if TYPE_CHECKING:
    from cxr.evaluation.fitting.figures import MissingFilms

FIT_ROWS = {
    "specificity": "Specificity",
    "sensitivity": "Sensitivity",
    "auc": "AUC",
    "calibration_error": "Calibration error",
}


def fit_sentence(record: LocalFit, threshold: float) -> str:
    """What a fit used and found, in two sentences."""
    patients = (
        f"{counted(record.patients['normal'], 'normal patient')} and {record.patients['finding']:,} with a finding"
    )
    layer = "fitted" if record.last_layer else "unchanged"
    return (
        f"Fitted '{record.parent}' to {counted(sum(record.films.values()), 'X-ray')} of {patients} "
        f"({joined(record.datasets)}), for a {record.target}. Threshold {decimal(threshold, 4)}, temperature "
        f"{decimal(record.temperature, 2)}, last layer {layer}."
    )


def fit_table(record: LocalFit) -> pd.DataFrame:
    """The figures before and after, each with its interval."""
    rows = [
        {"": title, "Before": fit_figure(record.before, key), "After": fit_figure(record.after, key)}
        for key, title in FIT_ROWS.items()
    ]
    return pd.DataFrame(rows)


def sets_table(sets: PredictionSets) -> pd.DataFrame:
    """For each answer of a prediction set, its coverage, and from which probability on it is in a set."""
    rows = []
    for name, figure in sets.covered.items():
        answer, lowest = answer_name(name), sets.lowest[name]
        rows.append(
            {
                "Answer": answer[:1].upper() + answer[1:],
                "Coverage": _with_interval(figure),
                "In a set from a probability of": decimal(lowest) if lowest else "always (too few patients)",
            }
        )
    return pd.DataFrame(rows)


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


def _with_interval(figure: FitFigure) -> str:
    return with_interval(figure.value, figure.low, figure.high)


def _percent(figure: FitFigure) -> str:
    return percent(figure.value or 0.0)
