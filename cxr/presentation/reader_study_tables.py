"""A reader's score and a reader study as tables and sentences, for the page, files and the command line alike."""

from __future__ import annotations

from math import isfinite, isnan

import pandas as pd

from cxr.core.number_format import UNKNOWN, counted, decimal, percent_with_interval, signed_decimal, with_interval
from cxr.evaluation.intervals import Interval
from cxr.evaluation.reader_study.jackknife import Figure
from cxr.evaluation.reader_study.obuchowski_rockette import Difference, ReaderComparison
from cxr.evaluation.reader_study.performance import Performance
from cxr.evaluation.reader_study.score import Changes, ReaderScore
from cxr.evaluation.reader_study.study import ReaderStudy

ALONE, WITH_MODEL, MODEL = "Reader alone", "Reader with the model", "Model"
FIGURE_NAMES = {Figure.AUC: "AUC", Figure.SENSITIVITY: "Sensitivity", Figure.SPECIFICITY: "Specificity"}
METHOD = (
    "Obuchowski and Rockette's method with Hillis' degrees of freedom (Hillis 2007, Statistics in Medicine 26: "
    "596-619); the covariance is a jackknife over X-rays."
)


def score_table(score: ReaderScore) -> pd.DataFrame:
    """Sensitivity, specificity, accuracy and AUC of the reader alone, with the model, and of the model."""
    rows = [(ALONE, score.alone), (WITH_MODEL, score.together), (MODEL, score.model)]
    return pd.DataFrame([{"": name, **_figures(found)} for name, found in rows if found])


def _figures(found: Performance) -> dict[str, str]:
    return {
        "Sensitivity": _share(found.sensitivity),
        "Specificity": _share(found.specificity),
        "Accuracy": _share(found.accuracy),
        "AUC": found.auc.text(2),
    }


def _share(interval: Interval) -> str:
    return percent_with_interval(interval.value, interval.low, interval.high)


def kappa_sentence(score: ReaderScore) -> str:
    """The reader's agreement with the reference and with the model, beyond chance."""
    sentence = (
        f"Kappa with the reference {score.kappa_with_reference.text(2)}, with the model "
        f"{score.kappa_with_model.text(2)}."
    )
    if score.class_kappa_with_reference is None:
        return sentence
    return f"{sentence} Kappa of the classes with the reference {score.class_kappa_with_reference.text(2)}."


def changes_sentence(changes: Changes | None) -> str:
    """How often the model changed the reader's answer for the better and for the worse."""
    if changes is None:
        return "No answers were given after the model's."
    test = "" if isnan(changes.p) else f" (McNemar p = {decimal(changes.p)})"
    return (
        f"After seeing the model's answer, {counted(changes.better, 'answer')} changed for the better and "
        f"{changes.worse} for the worse{test}; {changes.stayed_right} stayed right and {changes.stayed_wrong} stayed "
        "wrong."
    )


def readers_table(study: ReaderStudy) -> pd.DataFrame:
    """A row for each reader alone and, where there are such answers, with the model; then the model."""
    rows = []
    for name, score in study.readers.items():
        rows.append({"Reader": name, "Condition": "alone", "X-rays": score.cases, **_figures(score.alone)})
        if score.together and score.changes:
            rows.append(
                {"Reader": "", "Condition": "with model", "X-rays": score.changes.cases, **_figures(score.together)}
            )
    model = {"Reader": study.model_name, "Condition": "model", "X-rays": study.cases, **_figures(study.model)}
    return pd.DataFrame([*rows, model])


def agreement_sentence(study: ReaderStudy) -> str:
    """Fleiss' kappa of the readers, alone and with the model."""
    agreement = study.agreement
    if agreement is None:
        return "Agreement needs two readers who read the same X-rays."
    together = f", with the model {agreement.with_model.text(2)}" if agreement.with_model else ""
    return (
        f"Agreement of {counted(len(study.readers), 'reader')} on {counted(agreement.cases, 'X-ray')}: Fleiss' kappa "
        f"{agreement.alone.text(2)} alone{together}."
    )


def comparison_table(study: ReaderStudy) -> pd.DataFrame:
    """Reading with the model minus reading alone, for each measure: for readers like these, and for these alone."""
    rows = [_comparison_row(FIGURE_NAMES[figure], found) for figure, found in study.comparisons.items()]
    return pd.DataFrame(rows)


def _comparison_row(name: str, found: ReaderComparison) -> dict[str, str]:
    readers = len(found.each_reader) > 1
    alone, together = found.means
    return {
        "": name,
        "Alone": _mean(alone),
        "With model": _mean(together),
        "Difference, readers like these": _difference(found.all_readers) if readers else "needs two readers",
        "p": _p_value(found.all_readers.p) if readers else UNKNOWN,
        "Difference, these readers": _difference(found.these_readers),
        "p, these readers": _p_value(found.these_readers.p),
    }


def _mean(interval: Interval) -> str:
    """A mean with its interval, which the method lets reach beyond 0 and 1."""
    return with_interval(interval.value, max(interval.low, 0.0), min(interval.high, 1.0))


def _difference(difference: Difference) -> str:
    interval = difference.interval
    if not (isfinite(interval.low) and isfinite(interval.high)):
        return signed_decimal(interval.value)
    return f"{signed_decimal(interval.value)} ({signed_decimal(interval.low)} to {signed_decimal(interval.high)})"


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else decimal(p)


def study_sentence(study: ReaderStudy) -> str:
    """How many readers, X-rays and findings the study has, and what was left out."""
    left_out = ""
    if study.left_out:
        left_out = f" {counted(study.left_out, 'response')} left out: without an own answer, or without a label."
    return (
        f"{counted(len(study.readers), 'reader')}, {counted(study.cases, 'X-ray')}, {study.with_finding} with a "
        f"finding.{left_out}"
    )
