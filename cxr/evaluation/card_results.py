"""What a card keeps of an evaluation: its figures, their intervals, and how parts of its films do."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.evaluation import evaluate
from cxr.evaluation.intervals import metric_intervals
from cxr.evaluation.subgroups import SubgroupMetrics, groupings, subgroup_metrics

COUNTS = ("name", "n", "patients", "positive", "negative")
OF_A_GROUP = (*COUNTS, "accuracy", "binary.auc", "binary.sensitivity", "binary.specificity")


def card_results(table: pd.DataFrame, labels: LabelSpace, threshold: float | None) -> dict[str, Any]:
    """The evaluation of these films ready for JSON, with `intervals` by flat name, and `groups` by column.

    The columns are those of source, view, sex and age that part the films; cards of earlier days have `sources` alone.
    """
    found = evaluate(table, labels, threshold).as_dict()
    found["intervals"] = {
        name: interval.as_dict() for name, interval in metric_intervals(table, labels, threshold).items()
    }
    parted = {column: _of_groups(subgroup_metrics(table, labels, threshold, column)) for column in groupings(table)}
    return found | {"groups": parted} if parted else found


def _of_groups(found: SubgroupMetrics) -> dict[str, Any]:
    """What a card keeps of groups: how many films each has, and the figures by which they are told apart."""
    said = found.as_dict()
    groups = [{name: value for name, value in group.items() if name in OF_A_GROUP} for group in said["groups"]]
    return said | {"groups": groups}
