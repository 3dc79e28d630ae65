"""The operating point of a model, chosen on validation films: threshold, indeterminate band, and the results there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxr.core.errors import DatasetError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.card_results import model_results
from cxr.evaluation.indeterminate import choose_band
from cxr.evaluation.scores import probabilities_of
from cxr.registry.recipe import Recipe
from cxr.registry.results import ModelResults


@dataclass(frozen=True)
class ThresholdRule:
    """How a threshold is chosen: the highest that keeps a sensitivity, or, without one, the best Youden index."""

    sensitivity: float | None = None

    def __post_init__(self) -> None:
        if self.sensitivity is not None and not 0 < self.sensitivity <= 1:
            raise DatasetError(
                f"A required sensitivity is above 0 and at most 1, not {self.sensitivity:g}.", code="bad-sensitivity"
            )

    def __str__(self) -> str:
        return "Youden" if self.sensitivity is None else f"sensitivity of at least {self.sensitivity:g}"


YOUDEN = ThresholdRule()


def choose_threshold(table: pd.DataFrame, labels: LabelSpace, rule: ThresholdRule = YOUDEN) -> float | None:
    """The threshold that the rule gives on these films, halfway to the next lower score.

    Youden's has the largest sensitivity + specificity - 1. None where all films are positive, or all negative.
    """
    if labels.negative is None:
        return None
    reference = labels.positive(table["label"])
    scores = 1 - probabilities_of(table, labels.classes)[:, labels.negative]
    reference, scores = reference[reference >= 0], scores[reference >= 0]
    if reference.all() or not reference.any():
        return None
    values = np.unique(scores)
    positives_below = np.searchsorted(np.sort(scores[reference == 1]), values)
    negatives_below = np.searchsorted(np.sort(scores[reference == 0]), values)
    sensitivity = 1 - positives_below / (reference == 1).sum()
    if rule.sensitivity is None:
        youden = sensitivity + negatives_below / (reference == 0).sum() - 1
        best = np.flatnonzero(youden >= youden.max() - 1e-12)
        chosen = int(best[len(best) // 2])
    else:
        chosen = int(np.flatnonzero(sensitivity >= rule.sensitivity - 1e-12)[-1])
    below = values[chosen - 1] if chosen else 0.0
    return round(float((below + values[chosen]) / 2), 7)  # one digit more than the scores have


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
        band = choose_band(validation, labels, threshold, recipe.decision.sure)
        source = f"{rule} on validation X-rays" if threshold is not None else ""
        results = model_results(scores, labels, threshold, band.range)
        return cls(threshold, source, band.range, band.rule, results)


def threshold_rule(recipe: Recipe) -> ThresholdRule:
    """The rule by which the recipe chooses its model's threshold."""
    return ThresholdRule(recipe.decision.sensitivity if recipe.decision.rule == "sensitivity" else None)
