"""How a model's answers in int8 differ from those in its own precision, on the same X-rays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxr.core.errors import DatasetError
from cxr.evaluation.comparison import ModelScores, compare_scores
from cxr.evaluation.intervals import Interval
from cxr.evaluation.scores import score_table
from cxr.registry.card import Card
from cxr.registry.int8_record import AucDifference, Int8Agreement

if TYPE_CHECKING:
    from cxr.inference.classifier import Prediction


@dataclass(frozen=True)
class Answers:
    """What a model says of X-rays, one after the other."""

    probabilities: list[list[float]] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    rejected: list[bool] = field(default_factory=list)

    @classmethod
    def of(cls, predictions: Sequence[Prediction]) -> Answers:
        """The answers in these predictions."""
        checks = [prediction.input_check for prediction in predictions]
        return cls(
            [prediction.probabilities.tolist() for prediction in predictions],
            [prediction.decision for prediction in predictions],
            [bool(check and check.rejected) for check in checks],
        )

    def add(self, more: Mapping[str, Any]) -> None:
        """Append the answers for more X-rays, as a step has stored them."""
        self.probabilities.extend(more["probabilities"])
        self.decisions.extend(more["decisions"])
        self.rejected.extend(more["rejected"])


def agreement(card: Card, films: pd.DataFrame, own: Answers, int8: Answers) -> Int8Agreement:
    """The differences on these films, of which `own` and `int8` have an answer each."""
    changes = np.abs(np.array(own.probabilities) - np.array(int8.probabilities)).max(axis=1)
    auc, difference = _auc_difference(card, films, own, int8)
    return Int8Agreement(
        films=len(films),
        largest_change=float(changes.max()),
        change_99=float(np.quantile(changes, 0.99)),
        decisions_changed=_differing(own.decisions, int8.decisions),
        rejections_changed=_differing(own.rejected, int8.rejected),
        auc=auc,
        auc_difference=difference,
    )


def _differing(first: Sequence[object], second: Sequence[object]) -> int:
    return sum(a != b for a, b in zip(first, second, strict=True))


def _auc_difference(
    card: Card, films: pd.DataFrame, own: Answers, int8: Answers
) -> tuple[float | None, AucDifference | None]:
    """The AUC in the model's own precision, and the difference of the other; None where the labels give none."""
    first, second = (
        ModelScores.from_card(card, score_table(films, np.array(answers.probabilities), card.classes))
        for answers in (int8, own)
    )
    try:
        compared = compare_scores(first, second)
    except DatasetError:  # no label answers the model's question
        return None, None
    auc, difference = compared.auc[1].value, compared.auc_difference
    if not isfinite(auc) or not isfinite(difference.value):
        return None, None
    return auc, _stored(difference)


def _stored(difference: Interval) -> AucDifference:
    low, high = (bound if isfinite(bound) else None for bound in (difference.low, difference.high))
    return AucDifference(value=difference.value, low=low, high=high)
