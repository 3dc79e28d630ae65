"""What a card stores of an evaluation: its metrics with their intervals, and the metrics of subgroups of its films."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.evaluation import evaluate
from cxr.evaluation.grouping import grouping_columns
from cxr.evaluation.metric_intervals import metric_intervals
from cxr.evaluation.subgroups import SubgroupMetrics, subgroup_metrics
from cxr.registry.results import SUBGROUP_KEYS, EvaluationResults, ModelResults

Band = tuple[float, float] | None


def model_results(scores: pd.DataFrame, labels: LabelSpace, threshold: float | None, band: Band = None) -> ModelResults:
    """The results on the validation and test films among those that were scored, as far as there are any."""
    films = {role: scores[scores["role"] == role] for role in ("val", "test")}
    present = {role: table for role, table in films.items() if len(table)}
    return ModelResults(**{role: card_results(table, labels, threshold, band) for role, table in present.items()})


def card_results(
    table: pd.DataFrame, labels: LabelSpace, threshold: float | None, band: Band = None
) -> EvaluationResults:
    """The results on these films, with intervals by metric and subgroups by column.

    The columns are those of source, view, sex and age that divide the films.
    """
    cases = labeled_cases(table, labels, threshold, band)
    results = evaluate(cases).as_dict()
    results["intervals"] = {name: interval.as_dict() for name, interval in metric_intervals(cases).items()}
    results["groups"] = {column: _of_subgroups(subgroup_metrics(cases, column)) for column in grouping_columns(table)}
    return EvaluationResults.model_validate(results)


def _of_subgroups(metrics: SubgroupMetrics) -> dict[str, Any]:
    """What a card has of each subgroup: its counts, and the metrics by which subgroups are compared.

    All metrics of all subgroups would make a card four times as large.
    """
    table = metrics.as_dict()
    groups = [{name: value for name, value in group.items() if name in SUBGROUP_KEYS} for group in table["groups"]]
    return table | {"groups": groups}
