"""The operating point of a model, chosen on validation films: threshold, indeterminate band, and the results there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.core.number_format import decimal
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.card_results import model_results
from cxr.evaluation.indeterminate import choose_band
from cxr.evaluation.scores import probabilities_of
from cxr.registry.recipe import Recipe
from cxr.registry.results import ModelResults


@dataclass(frozen=True)
class ThresholdRule:
    """How a threshold is chosen: the highest that keeps a sensitivity, the lowest that keeps a specificity in every
    source, or, without either, the one with the best Youden index.
    """

    sensitivity: float | None = None
    specificity: float | None = None

    def __post_init__(self) -> None:
        for name in ("sensitivity", "specificity"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise DatasetError(f"A required {name} is above 0 and at most 1, not {value:g}.", code=f"bad-{name}")

    def __str__(self) -> str:
        if self.specificity is not None:
            return f"specificity of at least {self.specificity:g} in every source"
        return "Youden" if self.sensitivity is None else f"sensitivity of at least {self.sensitivity:g}"


YOUDEN = ThresholdRule()
BY_HAND = "set by a person"  # instead of a rule
MIN_NORMALS = 20  # X-rays without a finding of a source; with fewer its specificity says little
RESAMPLES, SPREAD = 200, (0.1, 0.9)


def choose_threshold(table: pd.DataFrame, labels: LabelSpace, rule: ThresholdRule = YOUDEN) -> float | None:
    """The threshold that the rule gives on these films, halfway to the next lower score.

    Youden's has the largest sensitivity + specificity - 1. A specificity is kept in each source that has enough
    films without a finding, as one threshold for all would be decided by the source with the most. None where all
    films are positive, or all negative.
    """
    if labels.negative is None:
        return None
    return _threshold(_Decisions.of(table, labels), rule)


def threshold_spread(
    table: pd.DataFrame, labels: LabelSpace, rule: ThresholdRule = YOUDEN, seed: int = 0
) -> tuple[float, float] | None:
    """The range of 80% of the thresholds that the rule gives on resampled patients; None where there is none."""
    if labels.negative is None or not len(table):
        return None
    decisions = _Decisions.of(table, labels)
    patient = pd.factorize(table["patient"] if "patient" in table else pd.Series(range(len(table))))[0]
    patient = patient[labels.positive(table["label"]) >= 0]
    rows_of = np.split(np.argsort(patient, kind="stable"), np.cumsum(np.bincount(patient))[:-1])
    rng = np.random.default_rng(seed)
    drawn = (
        np.concatenate([rows_of[k] for k in rng.integers(0, len(rows_of), len(rows_of))]) for _ in range(RESAMPLES)
    )
    thresholds = [chosen for rows in drawn if (chosen := _threshold(decisions.at(rows), rule)) is not None]
    if not thresholds:
        return None
    low, high = np.quantile(thresholds, SPREAD)
    return round(float(low), 7), round(float(high), 7)


@dataclass(frozen=True, eq=False)
class _Decisions:
    """Scores with what they are to say; only films whose label says whether there is a finding."""

    scores: NDArray[np.float64]
    positive: NDArray[np.bool_]
    source: NDArray[np.int64]

    @classmethod
    def of(cls, table: pd.DataFrame, labels: LabelSpace) -> _Decisions:
        reference = labels.positive(table["label"])
        scores = 1 - probabilities_of(table, labels.classes)[:, labels.negative]
        source = pd.factorize(table["source"])[0] if "source" in table else np.zeros(len(table), np.int64)
        known = reference >= 0
        return cls(scores[known], reference[known] == 1, source[known])

    def at(self, rows: NDArray[np.int64]) -> _Decisions:
        return _Decisions(self.scores[rows], self.positive[rows], self.source[rows])


def rule_in_words(rule: ThresholdRule, table: pd.DataFrame, labels: LabelSpace, threshold: float) -> str:
    """The rule by which the threshold was chosen on these films, and the specificity where it is not the asked one.

    No threshold between scores reaches it where too many films without a finding have the highest score of all.
    """
    if rule.specificity is None:
        return str(rule)
    reached = float(_worst_specificity(_Decisions.of(table, labels), np.array([threshold]))[0])
    return str(rule) if reached >= rule.specificity - 1e-12 else f"{rule}, where {decimal(reached)} was reached,"


def _threshold(decisions: _Decisions, rule: ThresholdRule) -> float | None:
    positive, scores = decisions.positive, decisions.scores
    if positive.all() or not positive.any():
        return None
    values = np.unique(scores)
    sensitivity = 1 - np.searchsorted(np.sort(scores[positive]), values) / positive.sum()
    if rule.specificity is not None:
        kept = np.flatnonzero(_worst_specificity(decisions, values) >= rule.specificity - 1e-12)
        chosen = int(kept[0]) if len(kept) else len(values) - 1
    elif rule.sensitivity is not None:
        chosen = int(np.flatnonzero(sensitivity >= rule.sensitivity - 1e-12)[-1])
    else:
        youden = sensitivity + np.searchsorted(np.sort(scores[~positive]), values) / (~positive).sum() - 1
        best = np.flatnonzero(youden >= youden.max() - 1e-12)
        chosen = int(best[len(best) // 2])
    below = values[chosen - 1] if chosen else 0.0
    return round(float((below + values[chosen]) / 2), 7)  # one digit more than the scores have


def _worst_specificity(decisions: _Decisions, thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lowest specificity of a source at each threshold; of all films where no source has enough of them."""
    normals = [decisions.scores[~decisions.positive & (decisions.source == k)] for k in np.unique(decisions.source)]
    enough = [scores for scores in normals if len(scores) >= MIN_NORMALS] or [decisions.scores[~decisions.positive]]
    return np.min([np.searchsorted(np.sort(scores), thresholds) / len(scores) for scores in enough], axis=0)


@dataclass(frozen=True)
class OperatingPoint:
    """The fields of a model card that are chosen on validation films, under the card's own names."""

    threshold: float | None
    threshold_rule: str
    unsure: tuple[float, float] | None
    unsure_rule: str
    results: ModelResults

    @classmethod
    def choose(cls, recipe: Recipe, labels: LabelSpace, scores: pd.DataFrame) -> OperatingPoint:
        """Threshold and indeterminate band by the recipe's rules, from the validation films among those scored."""
        validation, rule = scores[scores["role"] == "val"], threshold_rule(recipe)
        threshold = choose_threshold(validation, labels, rule)
        spread = threshold_spread(validation, labels, rule)
        band = choose_band(validation, labels, threshold, recipe.decision.sure, spread)
        words = "" if threshold is None else rule_in_words(rule, validation, labels, threshold)
        source = f"{words} on validation X-rays" if words else ""
        results = model_results(scores, labels, threshold, band.range)
        return cls(threshold, source, band.range, band.rule, results)

    @classmethod
    def at(cls, threshold: float, recipe: Recipe, labels: LabelSpace, scores: pd.DataFrame) -> OperatingPoint:
        """A threshold that a person has set, with the indeterminate band that the recipe's rule gives around it."""
        if labels.negative is None or not 0 < threshold < 1:
            raise DatasetError(
                "A threshold is between 0 and 1, of a model with a negative class.", code="bad-threshold"
            )
        validation = scores[scores["role"] == "val"]
        band = choose_band(validation, labels, threshold, recipe.decision.sure, None)
        results = model_results(scores, labels, threshold, band.range)
        return cls(threshold, BY_HAND, band.range, band.rule, results)


def threshold_rule(recipe: Recipe) -> ThresholdRule:
    """The rule by which the recipe chooses its model's threshold."""
    decision = recipe.decision
    return ThresholdRule(
        sensitivity=decision.sensitivity if decision.rule == "sensitivity" else None,
        specificity=decision.specificity if decision.rule == "specificity" else None,
    )
