"""The metrics of an evaluation with their intervals, and its tables of classes, subgroups and X-rays."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from cxr.core.number_format import UNKNOWN, decimal, interval_range, signed_decimal, with_interval
from cxr.datasets.labels import display_in_sentence, display_name
from cxr.evaluation.decisions import REST, BinaryQuestion, ConfusionCounts, class_report
from cxr.evaluation.evaluation import Evaluation
from cxr.evaluation.indeterminate import SelectiveMetrics
from cxr.evaluation.intervals import Interval
from cxr.evaluation.scores import PREFIX
from cxr.evaluation.subgroups import TOO_FEW, Subgroup
from cxr.presentation.metric_definitions import (
    ADDITIONAL_KEYS,
    CALIBRATION_BIAS,
    CLASS_METRICS,
    DEFINITIONS,
    METRIC_KEYS,
    MULTICLASS_KEYS,
    SOURCE_METRICS,
    SUBGROUP_CALIBRATION,
    SUBGROUP_KEYS,
    SUBGROUP_METRICS,
)

_BAND = re.compile(r"^(\d+) to (\d+)$")  # of ages
Bounds = tuple[float, float]
BoundsByName = Mapping[str, Bounds]
NO_BOUNDS: BoundsByName = {}
MACRO_AVERAGE, WEIGHTED_AVERAGE = "Macro average", "Weighted average"
CI_COLUMN = "95% CI"
ALL = "All"  # the row of all X-rays beside those of subgroups


@dataclass(frozen=True)
class KeyMetric:
    """A metric under the name that pages show, with the bounds of its interval where they are known."""

    name: str
    value: float
    bounds: Bounds | None

    @property
    def definition(self) -> str:
        """What the metric means."""
        return DEFINITIONS[self.name]

    @property
    def interval(self) -> str | None:
        """The bounds as text, or None where they are not known."""
        return interval_range(*self.bounds) if self.bounds else None


def question_title(question: BinaryQuestion) -> str:
    """The name of a binary question: "Pneumonia vs normal", or "COVID-19 vs rest"."""
    against = "rest" if question.negative == REST else display_in_sentence(question.negative)
    return f"{display_name(question.positive)} vs {against}"


def with_bounds(value: float, bounds: Bounds | None) -> str:
    """The value with its interval where that is known, as in 0.912 (0.887–0.934)."""
    low, high = bounds or (None, None)
    return with_interval(value, low, high)


def key_metrics(
    evaluation: Evaluation, question: BinaryQuestion | None, prevalence: float | None, bounds: BoundsByName = NO_BOUNDS
) -> list[KeyMetric]:
    """The main metrics of a question, with predictive values at the prevalence; without a question, of the classes."""
    values = {"Multiclass accuracy": evaluation.accuracy, "Macro F1": evaluation.macro_f1}
    if question is not None:
        counts = ConfusionCounts.from_question(question)
        share = counts.prevalence if prevalence is None else prevalence
        multiclass = {"Multiclass accuracy": evaluation.accuracy} if len(evaluation.classes) > 2 else {}
        values = {
            "AUC": evaluation.binary.auc if evaluation.binary else math.nan,
            "Sensitivity": counts.sensitivity,
            "Specificity": counts.specificity,
            "PPV": counts.ppv(share),
            "NPV": counts.npv(share),
            "Accuracy": counts.accuracy,
            "F1": counts.f1,
        } | multiclass
    return [KeyMetric(name, value, bounds.get(name)) for name, value in values.items()]


def selective_prediction_metrics(metrics: SelectiveMetrics) -> list[KeyMetric]:
    """Coverage and selective accuracy outside the indeterminate band."""
    accuracy = metrics.accuracy
    bounds = (accuracy.low, accuracy.high) if accuracy.known else None
    return [
        KeyMetric("Coverage", metrics.coverage, None),
        KeyMetric("Selective accuracy", accuracy.value, bounds),
    ]


def additional_metrics(intervals: Mapping[str, Interval], classes: int) -> pd.DataFrame:
    """A row for each further metric: its value, its 95% confidence interval, and its definition."""
    names = ADDITIONAL_KEYS | (MULTICLASS_KEYS if classes > 2 else {})
    rows = [(name, intervals[key]) for name, key in names.items() if key in intervals]
    return pd.DataFrame(
        [(name, decimal(x.value), interval_range(x.low, x.high), DEFINITIONS[name]) for name, x in rows],
        columns=["Metric", "Value", CI_COLUMN, "Definition"],
    )


def bounds_by_name(intervals: Mapping[str, Interval], names: Mapping[str, str] = METRIC_KEYS) -> BoundsByName:
    """The finite bounds of these metrics, by the name that pages show."""
    known = {name: intervals[key] for name, key in names.items() if key in intervals}
    return {name: (x.low, x.high) for name, x in known.items() if x.known}


def metric_keys(questions: Sequence[BinaryQuestion], metric: str) -> dict[str, str]:
    """The key of a metric ("auc", "average_precision") in the results, by the question's name."""
    return {q.positive: f"{metric}.{q.positive}" if q.negative == REST else f"binary.{metric}" for q in questions}


def class_table(evaluation: Evaluation, intervals: Mapping[str, Interval]) -> pd.DataFrame:
    """Precision, recall, F1 and one-vs-rest AUC of each class with intervals; averages are of classes with X-rays."""
    report = class_report(evaluation)
    area = report["class"].map(evaluation.auc)
    known = area.notna()
    area.iloc[-2] = area[known].mean()
    area.iloc[-1] = np.average(area[known], weights=report["films"][known]) if known.any() else math.nan
    report.insert(4, "AUC", area)
    report.columns = pd.Index(["Class", "Precision", "Recall", "F1", "AUC", "X-rays"])
    bounds = bounds_by_name(intervals, {name: name for name in intervals})
    for column, (metric, mean) in CLASS_METRICS.items():
        ends = [bounds.get(key) for key in (*(f"{metric}.{name}" for name in evaluation.classes), mean, "")]
        report[column] = [with_bounds(value, end) for value, end in zip(report[column], ends, strict=True)]
    names = [display_name(name) for name in evaluation.classes]
    return report.assign(Class=[*names, MACRO_AVERAGE, WEIGHTED_AVERAGE])


def displayed_subgroup(name: str) -> str:
    """The subgroup as people read it: 18–39 for the age band that files call 18 to 39."""
    return _BAND.sub(r"\1–\2", name)


def subgroup_table(column: str, groups: Sequence[Subgroup], everything: Subgroup | None = None) -> pd.DataFrame:
    """A row for all X-rays and for each subgroup: its X-rays, its patients, and its metrics with intervals."""
    return _rows(column, groups, everything, SUBGROUP_METRICS, sizes=True)


def subgroup_calibration_table(
    column: str, groups: Sequence[Subgroup], everything: Subgroup | None = None
) -> pd.DataFrame:
    """A row for all X-rays and for each subgroup: calibration with its sign, and the share of indeterminate X-rays.

    Without rows where no subgroup has such a metric, as on cards before 0.3.
    """
    if not any(_has(groups, name) for name in SUBGROUP_CALIBRATION):
        return pd.DataFrame()
    return _rows(column, groups, everything, SUBGROUP_CALIBRATION, sizes=False)


def _rows(
    column: str, groups: Sequence[Subgroup], everything: Subgroup | None, names: Sequence[str], sizes: bool
) -> pd.DataFrame:
    """The rows; a metric that no subgroup has, as on cards of earlier versions, gets no column."""
    shown = [group for group in (everything, *groups) if group is not None]
    rows = []
    for group in shown:
        row: dict[str, str | int] = {column.capitalize(): displayed_subgroup(group.name), "X-rays": group.n}
        if sizes and group.positive is not None and group.negative is not None:
            row |= {"Finding present": group.positive, "Finding absent": group.negative}
        row |= {"Patients": group.patients or UNKNOWN} if sizes else {}  # cards before 0.3 have no number for all
        rows.append(row | {name: subgroup_metric(group, SUBGROUP_KEYS[name]) for name in names if _has(groups, name)})
    return pd.DataFrame(rows)


def _has(groups: Sequence[Subgroup], name: str) -> bool:
    return any(SUBGROUP_KEYS[name] in group.metrics for group in groups)


def subgroup_metric(group: Subgroup, key: str) -> str:
    """The metric of the subgroup with its interval, or that it rests on too few X-rays."""
    if group.too_few(key):
        return TOO_FEW
    metric = group.metrics.get(key)
    if metric is None or math.isnan(metric.value):
        return UNKNOWN if metric else ""
    return signed_text(metric) if key == SUBGROUP_KEYS[CALIBRATION_BIAS] else metric.text()


def signed_text(metric: Interval, places: int = 3) -> str:
    """A metric that may be negative, with its sign and its interval: +0.043 (+0.020 to +0.066)."""
    value, low, high = (signed_decimal(bound, places) for bound in (metric.value, metric.low, metric.high))
    return f"{value} ({low} to {high})" if metric.known else value


def source_table(sources: Sequence[Subgroup], everything: Subgroup | None = None) -> pd.DataFrame:
    """A row for all X-rays and for each source: the metrics that people choose a model by, without intervals."""
    rows = []
    for group in (everything, *sources):
        if group is not None:
            unbounded = {key: Interval(metric.value, math.nan, math.nan) for key, metric in group.metrics.items()}
            plain = replace(group, metrics=unbounded)
            shown = {name: SUBGROUP_KEYS[name] for name in SOURCE_METRICS if _has(sources, name)}
            values = {name: subgroup_metric(plain, key) for name, key in shown.items()}
            rows.append({"Source": group.name, "X-rays": group.n} | values)
    return pd.DataFrame(rows)


def score_columns(films: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """A row for each X-ray: its probabilities, dataset and patient number. No file name, as it is often a patient's."""
    scores = {f"P({display_in_sentence(name)})": films[PREFIX + name] for name in classes}
    return pd.DataFrame({**scores, "Dataset": films["dataset"], "Patient": films["patient"]})
