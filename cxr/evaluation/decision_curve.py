"""Decision curves: what acting on the model is worth, against treating all or none (Vickers and Elkin 2006)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxr.core.errors import DatasetError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.evaluation import labeled_cases
from cxr.evaluation.metrics import Floats, ratio

STEPS = np.arange(1, 100) / 100


@dataclass(frozen=True, eq=False)
class DecisionCurve:
    """Net benefit a film, in true positives; treating none is 0 everywhere."""

    threshold: Floats  # the probability from which one would act: how many false alarms a hit is worth
    model: Floats
    treat_all: Floats

    def table(self) -> pd.DataFrame:
        return pd.DataFrame(
            {"threshold": self.threshold, "model": self.model, "treat_all": self.treat_all, "none": 0.0}
        )


def decision_curve(
    table: pd.DataFrame, labels: LabelSpace, thresholds: Floats = STEPS, prevalence: float | None = None
) -> DecisionCurve:
    """Net benefit at each threshold: true positives less false ones, each weighed by the odds of the threshold.

    It takes the probabilities at their word, so it is worth what their calibration is. Without a prevalence it is that
    of these films, which a test set seldom shares with a ward.
    """
    if labels.negative is None:
        raise DatasetError("These classes have no 'normal' to hold the others against.")
    cases = labeled_cases(table, labels, None)
    score, truth = cases.score[cases.positive >= 0], cases.positive[cases.positive >= 0] == 1
    if truth.all() or not truth.any():
        raise DatasetError("A decision curve needs films with a finding and films without.")
    sick = float(truth.mean()) if prevalence is None else prevalence
    odds = thresholds / (1 - thresholds)
    sensitivity, alarms = (_reach(score[side], thresholds) for side in (truth, ~truth))
    return DecisionCurve(
        threshold=thresholds,
        model=sick * sensitivity - (1 - sick) * alarms * odds,
        treat_all=sick - (1 - sick) * odds,
    )


def _reach(score: Floats, thresholds: Floats) -> Floats:
    """Share of the scores that reach each threshold."""
    return ratio(len(score) - np.searchsorted(np.sort(score), thresholds - 1e-12), len(score))
