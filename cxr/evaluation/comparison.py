"""Two models on the same films: which is better, by how much, and on which films they differ."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite, nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import LabeledCases, labeled_cases
from cxr.evaluation.intervals import RESAMPLES, Interval, bootstrap_weights, delong_covariance, percentile_interval
from cxr.evaluation.metrics import Floats, metric_values, ranking_metrics
from cxr.registry.card import Card

OR_NOT = " or not"
SHOWN = ("dataset", "path", "film", "label", "source")
RIGHT = ("first", "second", "both", "neither")  # both only where a label is coarse


@dataclass(frozen=True, eq=False)
class ModelScores:
    """A model's scores of some films, and how it decides by them."""

    name: str
    scores: pd.DataFrame
    labels: LabelSpace
    threshold: float | None

    @classmethod
    def from_card(cls, card: Card, scores: pd.DataFrame) -> ModelScores:
        """The model of this card, at its own threshold."""
        return cls(card.name, scores, LabelSpace(card.classes, card.groups), card.threshold)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The first model against the second; differences are first minus second.

    Intervals come from a bootstrap over patients that draws the same ones for both models. The two tests take every
    film for independent: they are there to be checked against, and are too sure where a patient has several films.
    """

    first: str
    second: str
    question: str  # what accuracy is of: "class", or "normal or not" where their classes differ
    n: int
    patients: int
    left_out: int  # films that only one of the two was asked about, or knows the label of
    accuracy: tuple[Interval, Interval]
    accuracy_difference: Interval
    auc: tuple[Interval, Interval]  # of everything else against the negative class; without one, mean of the classes
    auc_difference: Interval
    only_first_right: int
    only_second_right: int
    mcnemar_p: float
    delong_p: float
    differing: pd.DataFrame  # films on which they decide differently: decisions, which is right, scores of a finding

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: what is no finite number is null."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def compare_scores(first: ModelScores, second: ModelScores, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """The two models on the films that both have scores of.

    Films are the same by their bytes (the column `film`), or by dataset and path where a table is without it.
    Models of the same classes are compared by the class they name; others by "normal or not", if they share that.
    """
    question = _question(first.labels, second.labels)
    a, b, left_out = _same_films(first, second)
    cases = [labeled_cases(a, first.labels, first.threshold), labeled_cases(b, second.labels, second.threshold)]
    rights, decisions = zip(*(_answers(one, question) for one in cases), strict=True)
    drawn = [_both(cases, rights, weights) for weights in bootstrap_weights(cases[0].patient, resamples, seed)]
    values = _both(cases, rights, np.ones((len(a), 1)))[..., 0]
    samples = np.concatenate(drawn, axis=2)  # (accuracy and AUC, model, resample)
    found = [[percentile_interval(float(values[i, k]), samples[i, k]) for k in (0, 1)] for i in (0, 1)]
    apart = [percentile_interval(float(values[i, 0] - values[i, 1]), samples[i, 0] - samples[i, 1]) for i in (0, 1)]
    only_first, only_second = int((rights[0] & ~rights[1]).sum()), int((rights[1] & ~rights[0]).sum())
    return Comparison(
        first=first.name,
        second=second.name,
        question=question,
        n=len(a),
        patients=cases[0].patients,
        left_out=left_out,
        accuracy=(found[0][0], found[0][1]),
        accuracy_difference=apart[0],
        auc=(found[1][0], found[1][1]),
        auc_difference=apart[1],
        only_first_right=only_first,
        only_second_right=only_second,
        mcnemar_p=mcnemar(only_first, only_second),
        delong_p=_delong_p(cases),
        differing=_differing(a, cases, rights, decisions),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p of McNemar's exact test: 1 where the two are never right alone."""
    from scipy.stats import binomtest

    return float(binomtest(only_first, only_first + only_second).pvalue) if only_first + only_second else 1.0


def _question(first: LabelSpace, second: LabelSpace) -> str:
    if set(first.classes) == set(second.classes) and dict(first.groups) == dict(second.groups):
        return "class"
    negatives = [one.classes[one.negative] if one.negative is not None else None for one in (first, second)]
    if negatives[0] is None or negatives[0] != negatives[1]:
        raise DatasetError(
            f"These models answer different questions and cannot be compared: {', '.join(first.classes)}; "
            f"and {', '.join(second.classes)}."
        )
    return f"{negatives[0]}{OR_NOT}"


def _same_films(first: ModelScores, second: ModelScores) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """The rows of either table, film by film, and how many films are in one of them only."""
    tables = [_known(one) for one in (first, second)]
    by = ["film"] if all("film" in table for table in tables) else ["dataset", "path"]
    keys = [table.set_index([*by, "label"]).index for table in tables]
    tables = [table[~key.duplicated()] for table, key in zip(tables, keys, strict=True)]  # copies of a film count once
    keys = [key.unique() for key in keys]
    shared = keys[0].intersection(keys[1], sort=False)
    if shared.empty:
        raise DatasetError(
            f"There is no film that both '{first.name}' and '{second.name}' may be judged by. "
            "Evaluate both on the same films first."
        )
    a, b = (table.iloc[key.get_indexer(shared)] for table, key in zip(tables, keys, strict=True))
    alone = len(_union(first, second, by)) - len(shared)
    if "patient" in a:  # numbered within a table: the first one's numbers are for both
        b = b.assign(patient=a["patient"].to_numpy())
    return a.reset_index(drop=True), b.reset_index(drop=True), alone


def _union(first: ModelScores, second: ModelScores, by: list[str]) -> pd.DataFrame:
    return pd.concat([first.scores[by], second.scores[by]]).drop_duplicates()


def _known(one: ModelScores) -> pd.DataFrame:
    """The films whose label speaks of the model's question."""
    speaks = one.labels.targets(one.scores["label"]).any(axis=1)
    if one.labels.negative is not None:
        speaks &= one.labels.positive(one.scores["label"]) >= 0
    return one.scores.iloc[np.flatnonzero(speaks)]


def _answers(cases: LabeledCases, question: str) -> tuple[NDArray[np.bool_], NDArray[np.str_]]:
    """Whether each answer is right, and the answer in words."""
    if question == "class":
        return cases.correct, np.array(cases.labels.classes)[cases.predicted]
    called, negative = cases.predicted != cases.labels.negative, question.removesuffix(OR_NOT)
    return called == (cases.binary_reference == 1), np.where(called, f"not {negative}", negative)


def _both(cases: list[LabeledCases], rights: tuple[NDArray[np.bool_], ...], weights: Floats) -> Floats:
    """(accuracy and AUC, model, column of weights)."""
    accuracy = [np.einsum("n,nr->r", right.astype(weights.dtype), weights) for right in rights]
    return np.array([np.array(accuracy) / weights.sum(axis=0), [_area(one, weights) for one in cases]])


def _area(cases: LabeledCases, weights: Floats) -> Floats:
    if cases.labels.negative is None:
        return metric_values(cases, weights)["macro_auc"]
    return ranking_metrics(cases.binary_scores, cases.binary_reference == 1, weights)[0]


def _delong_p(cases: list[LabeledCases]) -> float:
    """Two-sided p of DeLong's test of the two AUCs; not a number without a negative class or a difference to see."""
    from scipy.stats import norm

    if cases[0].labels.negative is None:
        return nan
    areas, covariance = delong_covariance(
        cases[0].binary_reference == 1, np.stack([one.binary_scores for one in cases])
    )
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    if not variance > 1e-15:
        return nan
    return float(2 * norm.sf(abs(areas[0] - areas[1]) / np.sqrt(variance)))


def _differing(
    table: pd.DataFrame,
    cases: list[LabeledCases],
    rights: tuple[NDArray[np.bool_], ...],
    decisions: tuple[NDArray[np.str_], ...],
) -> pd.DataFrame:
    one, other = rights
    right = np.select([one & ~other, other & ~one, one & other], RIGHT[:3], RIGHT[3])
    found = table[[name for name in SHOWN if name in table]]
    found = found.assign(first=decisions[0], second=decisions[1], right=right)
    if cases[0].labels.negative is not None:
        found = found.assign(p_first=cases[0].binary_scores.round(6), p_second=cases[1].binary_scores.round(6))
    return found[decisions[0] != decisions[1]].reset_index(drop=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Interval):
        return value.as_dict()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, pd.DataFrame):
        return value.to_dict("records")
    return None if isinstance(value, float) and not isfinite(value) else value
