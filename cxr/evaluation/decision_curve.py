"""Decision curves: the net benefit of acting on the model, against treating all or none (Vickers and Elkin 2006)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxr.core.errors import DatasetError
from cxr.evaluation.cases import LabeledCases
from cxr.evaluation.metrics import Floats, ratio

STEPS = np.arange(1, 100) / 100


@dataclass(frozen=True, eq=False)
class DecisionCurve:
    """Net benefit per patient, in true positives; treating none is 0 everywhere."""

    thresholds: Floats  # threshold probability: its odds are the false positives that one true positive is worth
    model: Floats
    treat_all: Floats

    def table(self) -> pd.DataFrame:
        """The curves as a table."""
        return pd.DataFrame(
            {"threshold": self.thresholds, "model": self.model, "treat_all": self.treat_all, "none": 0.0}
        )


def decision_curve(cases: LabeledCases, thresholds: Floats = STEPS, prevalence: float | None = None) -> DecisionCurve:
    """The net benefit at each threshold: true positives less false positives weighted by the odds of the threshold.

    It takes the probabilities as they are, so it depends on their calibration. Without a prevalence it uses that of
    these films, which a test set seldom shares with a ward.
    """
    if cases.labels.negative is None:
        raise DatasetError("The model has no class 'normal' to compare the others with.", code="no-negative-class")
    known = cases.binary_reference >= 0
    scores, reference = cases.binary_scores[known], cases.binary_reference[known] == 1
    if reference.all() or not reference.any():
        raise DatasetError("A decision curve needs X-rays with a finding and X-rays without.", code="one-sided")
    positive = float(reference.mean()) if prevalence is None else prevalence
    odds = thresholds / (1 - thresholds)
    sensitivity, false_alarms = (_share_at_or_above(scores[side], thresholds) for side in (reference, ~reference))
    return DecisionCurve(
        thresholds=thresholds,
        model=positive * sensitivity - (1 - positive) * false_alarms * odds,
        treat_all=positive - (1 - positive) * odds,
    )


def _share_at_or_above(scores: Floats, thresholds: Floats) -> Floats:
    """The share of the scores at or above each threshold."""
    return ratio(len(scores) - np.searchsorted(np.sort(scores), thresholds - 1e-12), len(scores))
