"""What is chosen on validation films once a model's probabilities are known, and how it does by that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.card_results import card_results
from cxr.evaluation.evaluation import ThresholdRule, choose_threshold
from cxr.evaluation.indeterminate import choose_band
from cxr.registry.recipe import Recipe


@dataclass(frozen=True)
class OperatingPoint:
    """As a card has them."""

    threshold: float | None
    threshold_rule: str
    unsure: tuple[float, float] | None
    unsure_rule: str
    results: dict[str, Any]

    @classmethod
    def choose(cls, recipe: Recipe, labels: LabelSpace, scores: pd.DataFrame) -> OperatingPoint:
        """Threshold and unsure band by the recipe's rules, from the validation films among those that were scored."""
        held, rule = scores[scores["role"] == "val"], threshold_rule(recipe)
        threshold = choose_threshold(held, labels, rule)
        band = choose_band(held, labels, threshold, recipe.decision.sure)
        results = {
            role: card_results(scores[scores["role"] == role], labels, threshold)
            for role in ("val", "test")
            if (scores["role"] == role).any()
        }
        said = f"{rule} on validation films" if threshold is not None else ""
        return cls(threshold, said, band.range, band.rule, results)


def threshold_rule(recipe: Recipe) -> ThresholdRule:
    """How the recipe wants its model's threshold to be chosen."""
    return ThresholdRule(recipe.decision.sensitivity if recipe.decision.rule == "sensitivity" else None)
