"""The evaluation that the page shows, computed once for a model, its stored scores, a threshold and a prevalence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import LabeledCases, labeled_cases
from cxr.evaluation.decisions import BinaryQuestion, binary_questions
from cxr.evaluation.evaluation import Evaluation, evaluate
from cxr.evaluation.indeterminate import SelectiveMetrics, selective_metrics
from cxr.evaluation.intervals import Interval
from cxr.evaluation.metric_intervals import decision_intervals, score_intervals
from cxr.evaluation.stored_evaluations import StoredEvaluation
from cxr.registry.card import Card
from cxr.ui.evaluate.controls import OperatingPointChoice

CacheKey = tuple[object, ...]
COMPUTING = "Computing confidence intervals ..."


@dataclass(frozen=True, eq=False)
class EvaluationView:
    """A model, the X-rays that it is evaluated on, and its results at the chosen threshold."""

    card: Card
    cache_key: CacheKey  # differs where the model or its scores differ
    table: pd.DataFrame  # the stored scores of all X-rays
    cases: LabeledCases  # the X-rays whose label the model knows, with its decisions
    prevalence: float | None  # for predictive values; None for that of these X-rays
    evaluation: Evaluation
    questions: tuple[BinaryQuestion, ...]
    intervals: Mapping[str, Interval]

    @property
    def labels(self) -> LabelSpace:
        """The classes of the model."""
        return self.cases.labels

    @property
    def threshold(self) -> float | None:
        """The chosen threshold."""
        return self.cases.threshold

    @property
    def names(self) -> list[str]:
        """Everything that charts may draw, in the order of its colors."""
        questions = [question.positive for question in self.questions]
        return list(dict.fromkeys([*self.labels.classes, *questions, *sorted(self.table["label"].unique())]))

    @property
    def band(self) -> tuple[float, float] | None:
        """The model's indeterminate band, or None where it has none or an empty one."""
        band = self.card.unsure
        return band if band and band[0] < band[1] else None

    @property
    def at_own_threshold(self) -> bool:
        """Whether the chosen threshold is the model's own."""
        return self.threshold == self.card.threshold

    def selective_metrics(self) -> SelectiveMetrics | None:
        """The metrics outside the indeterminate band, which belongs to the model's own threshold."""
        if not self.band or not self.at_own_threshold:
            return None
        key = (*self.cache_key, self.band)
        return _cached_selective_metrics(key, self.threshold, self.cases, self.band)


def evaluation_view(
    card: Card, stored: StoredEvaluation, table: pd.DataFrame, point: OperatingPointChoice
) -> EvaluationView:
    """The view of a model's stored scores at this threshold and prevalence."""
    key = (card.name, card.version, *stored.cache_key, len(table))  # some X-rays may be left out
    band = card.unsure if point.threshold == card.threshold else None
    cases = _cached_cases(key, table, LabelSpace(card.classes, card.groups)).at(point.threshold, band)
    of_scores = _cached_score_intervals(key, cases)
    return EvaluationView(
        card=card,
        cache_key=key,
        table=table,
        cases=cases,
        prevalence=point.prevalence,
        evaluation=evaluate(cases, {name: interval.value for name, interval in of_scores.items()}),
        questions=binary_questions(cases),
        intervals={**of_scores, **_cached_decision_intervals(key, point, cases)},
    )


# What these two return is shared by all visitors and never changed.
@st.cache_resource(max_entries=8, show_spinner=False)
def stored_scores(cache_key: CacheKey, _stored: StoredEvaluation) -> pd.DataFrame:
    """The scores of a stored evaluation."""
    return _stored.scores()


@st.cache_resource(max_entries=8, show_spinner=False)
def _cached_cases(cache_key: CacheKey, _table: pd.DataFrame, _labels: LabelSpace) -> LabeledCases:
    return labeled_cases(_table, _labels, None)


@st.cache_data(max_entries=16, show_spinner=COMPUTING)
def _cached_score_intervals(cache_key: CacheKey, _cases: LabeledCases) -> dict[str, Interval]:
    return score_intervals(_cases)


@st.cache_data(max_entries=64, show_spinner=COMPUTING)
def _cached_decision_intervals(
    cache_key: CacheKey, point: OperatingPointChoice, _cases: LabeledCases
) -> dict[str, Interval]:
    return decision_intervals(_cases, prevalence=point.prevalence)


@st.cache_data(max_entries=16, show_spinner=COMPUTING)
def _cached_selective_metrics(
    cache_key: CacheKey, threshold: float | None, _cases: LabeledCases, _band: tuple[float, float]
) -> SelectiveMetrics:
    return selective_metrics(_cases, _band)
