"""Two models on the same films: their metrics, the differences with intervals, and the films they disagree on."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import isfinite, nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.datasets.labels import LabelSpace, display_in_sentence
from cxr.evaluation.cases import LabeledCases, labeled_cases
from cxr.evaluation.intervals import (
    RESAMPLES,
    Interval,
    bootstrap_weights,
    percentile_interval,
    proportion_interval,
)
from cxr.evaluation.metric_intervals import auc_interval
from cxr.evaluation.metrics import Floats, metric_values, ranking_metrics
from cxr.evaluation.significance import delong_p, mcnemar_p
from cxr.registry.card import Card
from cxr.registry.film_ids import recognized

OR_NOT = " or not"
SHOWN = ("dataset", "path", "film", "label", "source")
RIGHT = ("first", "second", "both", "neither")  # both: only where a label is coarse


@dataclass(frozen=True, eq=False)
class ModelScores:
    """A model's score table, with its classes and its threshold."""

    name: str
    scores: pd.DataFrame
    labels: LabelSpace
    threshold: float | None

    @classmethod
    def from_card(cls, card: Card, scores: pd.DataFrame) -> ModelScores:
        """The scores of the model of this card, at its own threshold."""
        return cls(card.name, scores, LabelSpace(card.classes, card.groups), card.threshold)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The comparison of a first model with a second; differences are first minus second.

    Intervals of differences come from a bootstrap over patients that draws the same patients for both models. Both
    tests take the films of a patient together.
    """

    first: str
    second: str
    thresholds: tuple[float | None, float | None]  # that predictions were made at; None: the most likely class
    question: str  # that accuracy refers to: "class", or "normal or not" where their classes differ
    n: int
    patients: int
    left_out: int  # films that only one of the two has scores of, or knows the label of
    accuracy: tuple[Interval, Interval]
    accuracy_difference: Interval
    auc: tuple[Interval, Interval]  # of any finding against the negative class; without one, the macro average
    auc_difference: Interval
    only_first_right: int
    only_second_right: int
    mcnemar_p: float
    delong_p: float
    differing: pd.DataFrame  # films with different predictions: predictions, which is correct, scores of a finding

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: a number that is not finite is null."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def compare_scores(first: ModelScores, second: ModelScores, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """The comparison of two models on the films that both have scores of.

    Films are the same by their bytes (the column `film`), or by dataset and path where a table is without it.
    Models of the same classes are compared by the predicted class; others by "normal or not", if they share that class.
    """
    question = _question(first.labels, second.labels)
    a, b, left_out = _same_films(first, second)
    cases = [labeled_cases(a, first.labels, first.threshold), labeled_cases(b, second.labels, second.threshold)]
    if question == "class":
        cases[1] = _in_order_of(first.labels, cases[1])
    correct, predicted = zip(*(_predictions(model, question) for model in cases), strict=True)
    drawn = [_both(cases, correct, weights) for weights in bootstrap_weights(cases[0].patient, resamples, seed)]
    values = _both(cases, correct, np.ones((len(a), 1)))[..., 0]
    samples = np.concatenate(drawn, axis=2)  # (accuracy and AUC, model, resample)
    accuracies = [proportion_interval(right, cases[0].patient) for right in correct]
    aucs = [auc_interval(cases[k], float(values[1, k]), samples[1, k]) for k in (0, 1)]
    differences = [
        percentile_interval(float(values[i, 0] - values[i, 1]), samples[i, 0] - samples[i, 1]) for i in (0, 1)
    ]
    only_first, only_second = int((correct[0] & ~correct[1]).sum()), int((correct[1] & ~correct[0]).sum())
    return Comparison(
        first=first.name,
        second=second.name,
        thresholds=(first.threshold, second.threshold),
        question=question,
        n=len(a),
        patients=cases[0].patients,
        left_out=left_out,
        accuracy=(accuracies[0], accuracies[1]),
        accuracy_difference=differences[0],
        auc=(aucs[0], aucs[1]),
        auc_difference=differences[1],
        only_first_right=only_first,
        only_second_right=only_second,
        mcnemar_p=mcnemar_p(correct[0], correct[1], cases[0].patient),
        delong_p=_delong_p(cases),
        differing=_differing(a, cases, correct, predicted),
    )


def _question(first: LabelSpace, second: LabelSpace) -> str:
    if set(first.classes) == set(second.classes) and dict(first.groups) == dict(second.groups):
        return "class"
    negatives = [model.classes[model.negative] if model.negative is not None else None for model in (first, second)]
    if negatives[0] is None or negatives[0] != negatives[1]:
        raise DatasetError(
            f"These models answer different questions and cannot be compared: {_named(first)}; and {_named(second)}.",
            code="different-questions",
        )
    return f"{negatives[0]}{OR_NOT}"


def _same_films(first: ModelScores, second: ModelScores) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """The rows of both tables for the same films, and how many films are in one of them only."""
    first, second = with_shared_ids(first, second)
    tables = [_known(model) for model in (first, second)]
    by = ["film"] if all("film" in table for table in tables) else ["dataset", "path"]
    keys = [table.set_index([*by, "label"]).index for table in tables]
    tables = [table[~key.duplicated()] for table, key in zip(tables, keys, strict=True)]  # copies of a film count once
    keys = [key.unique() for key in keys]
    shared = keys[0].intersection(keys[1], sort=False)
    if shared.empty:
        raise DatasetError(
            f"There is no X-ray held out from both '{first.name}' and '{second.name}' with scores of both. "
            "Evaluate both on the same X-rays first.",
            code="nothing-shared",
        )
    a, b = (table.iloc[key.get_indexer(shared)] for table, key in zip(tables, keys, strict=True))
    unshared = len(_union(first, second, by)) - len(shared)
    if "patient" in a:  # numbered within a table: the first table's numbers apply to both
        b = b.assign(patient=a["patient"].to_numpy())
    return a.reset_index(drop=True), b.reset_index(drop=True), unshared


def with_shared_ids(first: ModelScores, second: ModelScores) -> tuple[ModelScores, ModelScores]:
    """Both models' scores, with the same id for the same film where one of them is from an exported model."""
    if "film" not in first.scores or "film" not in second.scores:
        return first, second
    a, b = first.scores["film"].tolist(), second.scores["film"].tolist()
    return (
        replace(first, scores=first.scores.assign(film=recognized(a, b))),
        replace(second, scores=second.scores.assign(film=recognized(b, a))),
    )


def _union(first: ModelScores, second: ModelScores, by: list[str]) -> pd.DataFrame:
    return pd.concat([first.scores[by], second.scores[by]]).drop_duplicates()


def _known(model: ModelScores) -> pd.DataFrame:
    """The films whose label answers the model's question."""
    known = model.labels.targets(model.scores["label"]).any(axis=1)
    if model.labels.negative is not None:
        known &= model.labels.positive(model.scores["label"]) >= 0
    return model.scores.iloc[np.flatnonzero(known)]


def _named(labels: LabelSpace) -> str:
    return ", ".join(display_in_sentence(name) for name in labels.classes)


def _in_order_of(labels: LabelSpace, cases: LabeledCases) -> LabeledCases:
    """The cases with the classes in this order, by which two classes know the negative one; decisions stay."""
    if cases.labels.classes == labels.classes:
        return cases
    place = np.array([labels.classes.index(name) for name in cases.labels.classes])
    return replace(labeled_cases(cases.films, labels, None), predicted=place[cases.predicted])


def _predictions(cases: LabeledCases, question: str) -> tuple[NDArray[np.bool_], NDArray[np.str_]]:
    """Whether each prediction is correct, and its name."""
    if question == "class":
        return cases.correct, np.array(cases.labels.classes)[cases.predicted]
    positive, negative = cases.predicted != cases.labels.negative, question.removesuffix(OR_NOT)
    return positive == (cases.binary_reference == 1), np.where(positive, f"not {negative}", negative)


def _both(cases: list[LabeledCases], correct: tuple[NDArray[np.bool_], ...], weights: Floats) -> Floats:
    """(accuracy and AUC, model, column of weights)."""
    accuracy = [np.einsum("n,nr->r", right.astype(weights.dtype), weights) for right in correct]
    return np.array([np.array(accuracy) / weights.sum(axis=0), [_auc(model, weights) for model in cases]])


def _auc(cases: LabeledCases, weights: Floats) -> Floats:
    if cases.labels.negative is None:
        return metric_values(cases, weights)["macro_auc"]
    return ranking_metrics(cases.binary_scores, cases.binary_reference == 1, weights)[0]


def _delong_p(cases: list[LabeledCases]) -> float:
    """The p-value of DeLong's test of the two AUCs; NaN without a negative class or any difference."""
    if cases[0].labels.negative is None:
        return nan
    scores = np.stack([model.binary_scores for model in cases])
    return delong_p(cases[0].binary_reference == 1, scores, cases[0].patient)


def _differing(
    table: pd.DataFrame,
    cases: list[LabeledCases],
    correct: tuple[NDArray[np.bool_], ...],
    predicted: tuple[NDArray[np.str_], ...],
) -> pd.DataFrame:
    first, second = correct
    right = np.select([first & ~second, second & ~first, first & second], RIGHT[:3], RIGHT[3])
    films = table[[name for name in SHOWN if name in table]]
    films = films.assign(first=predicted[0], second=predicted[1], right=right)
    if cases[0].labels.negative is not None:
        films = films.assign(p_first=cases[0].binary_scores.round(6), p_second=cases[1].binary_scores.round(6))
    return films[predicted[0] != predicted[1]].reset_index(drop=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Interval):
        return value.as_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, pd.DataFrame):
        return value.to_dict("records")
    return None if isinstance(value, float) and not isfinite(value) else value
