"""Metrics in subgroups of the films: by source, view, sex or age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isclose, isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.core.number_format import decimal, interval_range
from cxr.evaluation.cases import LabeledCases
from cxr.evaluation.grouping import group_names, in_order
from cxr.evaluation.intervals import (
    LEVEL,
    MIN_DEFINED,
    RESAMPLES,
    UNKNOWN,
    Interval,
    bootstrap_weights,
    effective_patients,
)
from cxr.evaluation.metric_intervals import metric_intervals
from cxr.evaluation.metrics import Floats, binary_score_metrics, decision_metrics, metric_value, score_metrics
from cxr.evaluation.standard_errors import MANY_PATIENTS

MIN_PATIENTS = 20
MIN_FILMS = 10  # with the finding, or without it, where a metric is of that side
TOO_FEW = "too few"  # in place of such a metric
BOTH = (1, 0)
SIDES = {  # of which a metric is made: without negative films, each PPV is 1
    "binary.sensitivity": (1,),
    "binary.specificity": (0,),
    **dict.fromkeys(("binary.auc", "binary.ppv", "binary.npv"), BOTH),
}
_NAMES = {  # of metrics, in a sentence
    "accuracy": "multiclass accuracy",
    "binary.auc": "AUC",
    "binary.accuracy": "accuracy",
    "binary.sensitivity": "sensitivity",
    "binary.specificity": "specificity",
}
LOWER_IS_BETTER = ("brier", "ece", "lr_negative")


@dataclass(frozen=True)
class Subgroup:
    """The metrics of the films that share a value of a column."""

    name: str
    n: int
    patients: int
    metrics: Mapping[str, Interval]  # by the flat names of `metric_intervals`
    positive: int | None = None  # films with the finding, and without it; None where there is no negative class
    negative: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: a number that is not finite is null."""
        facts = {"name": self.name, "n": self.n, "patients": self.patients}
        sides = {"positive": self.positive, "negative": self.negative}
        return facts | sides | {name: interval.as_dict() for name, interval in self.metrics.items()}

    def too_few(self, metric: str) -> bool:
        """Whether the metric is of a side with too few films here to mean anything."""
        films = {1: self.positive, 0: self.negative}
        counts = [films[side] for side in SIDES.get(metric, ())]
        return any(count is not None and count < MIN_FILMS for count in counts)

    def comparable(self, metric: str) -> bool:
        """Whether the subgroup has patients and films enough to be named the worst by the metric."""
        return self.patients >= MIN_PATIENTS and isfinite(self.metrics[metric].high) and not self.too_few(metric)


@dataclass(frozen=True)
class SubgroupMetrics:
    """The metrics of all subgroups of a column, and the subgroup with the worst performance."""

    column: str
    metric: str  # by which the worst is named
    groups: tuple[Subgroup, ...]
    worst: str  # "" where none can be named
    gap: Interval  # the metric of the worst minus that of all other films; corrected for the choice among `compared`
    sentence: str
    compared: int = 0  # subgroups among which the worst was chosen

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: a number that is not finite is null."""
        groups = [group.as_dict() for group in self.groups]
        facts = {"column": self.column, "figure": self.metric, "groups": groups, "worst": self.worst}
        return facts | {"gap": self.gap.as_dict(), "sentence": self.sentence, "compared": self.compared}


def subgroup_metrics(
    cases: LabeledCases,
    column: str,
    metric: str = "accuracy",
    resamples: int = RESAMPLES,
    seed: int = 0,
    prevalence: float | None = None,
) -> SubgroupMetrics:
    """The metrics of every subgroup of the column, and the worst subgroup; ages go into bands.

    The worst is the one whose interval ends lowest: the one that is bad with most certainty. A small subgroup's metric
    is far off by chance alone, but its interval is wide and ends high, so it is not named for being small. Subgroups
    of fewer than 20 patients, without an interval, or with fewer than 10 films of a side that the metric is made of,
    are listed and never named; nor is any where all are equal. The gap to all other films has an interval of its own,
    which is wider the more subgroups the worst was chosen among; one that holds 0 may be chance. With a prevalence,
    the predictive values are those expected where that share of films is positive.
    """
    if metric.rpartition(".")[2] in LOWER_IS_BETTER:
        raise DatasetError(
            f"The worst subgroup needs a metric that is better when higher, not {metric}.", code="unusable-metric"
        )
    names = group_names(cases.films, column)
    parts = {name: cases.subset(names == name) for name in in_order(names)}
    groups = tuple(
        subgroup(name, part, metric_intervals(part, resamples, seed, prevalence=prevalence))
        for name, part in parts.items()
    )
    if metric not in groups[0].metrics:
        raise DatasetError(
            f"There is no metric '{metric}'. Known: {', '.join(groups[0].metrics)}.", code="unknown-metric"
        )
    comparable = [group for group in groups if group.comparable(metric)]
    worst = min(comparable, key=lambda group: (group.metrics[metric].high, group.metrics[metric].value), default=None)
    if worst is None or len(comparable) < 2:
        reason = (
            f"Fewer than two subgroups have {MIN_PATIENTS} patients and enough X-rays for an interval, "
            "so no worst subgroup is named."
        )
        return SubgroupMetrics(column, metric, groups, "", UNKNOWN, reason)
    value = worst.metrics[metric].value
    if all(isclose(group.metrics[metric].value, value) for group in comparable):
        same = f"{_NAMES.get(metric, metric)}, {decimal(value)}"
        reason = f"All subgroups of {column} with at least {MIN_PATIENTS} patients have the same {same}."
        return SubgroupMetrics(column, metric, groups, "", UNKNOWN, reason)
    sides = [names == group.name for group in comparable]
    gap = worst_gap(cases, sides, comparable.index(worst), metric, resamples, seed)
    sentence = _sentence(column, metric, worst, gap, len(comparable))
    return SubgroupMetrics(column, metric, groups, worst.name, gap, sentence, len(comparable))


@dataclass(frozen=True, eq=False)
class Partition:
    """The subgroups of a column, and the metrics of each that no threshold changes."""

    names: tuple[str, ...]
    films: NDArray[np.bool_]  # (films, subgroups): which are in which
    of_scores: Mapping[str, Floats]  # by metric: of each subgroup

    @classmethod
    def of(cls, cases: LabeledCases, column: str, *, of_classes: bool = True) -> Partition:
        """The partition of these films by the column; without `of_classes`, only the binary metrics of scores."""
        of_film = group_names(cases.films, column)
        names = in_order(of_film)
        films = np.stack([of_film == name for name in names], axis=1)
        bare = replace(cases, films=cases.films[[]])  # selecting texts is slow, and no metric uses them
        metrics = score_metrics if of_classes else binary_score_metrics
        parts = [bare.subset(chosen) for chosen in films.T]
        of_parts = [metrics(part, np.ones((part.n, 1))) for part in parts]
        return cls(tuple(names), films, {name: np.concatenate([v[name] for v in of_parts]) for name in of_parts[0]})

    def values(self, cases: LabeledCases, prevalence: float | None = None) -> tuple[Subgroup, ...]:
        """Every subgroup with its metrics, without intervals, which take time; with the decisions of these cases."""
        metrics = {**self.of_scores, **decision_metrics(cases, self.films.astype(float), prevalence)}
        return tuple(
            subgroup(
                name,
                cases,
                {metric: Interval(float(values[place]), nan, nan) for metric, values in metrics.items()},
                self.films[:, place],
            )
            for place, name in enumerate(self.names)
        )


def subgroup(
    name: str, cases: LabeledCases, metrics: Mapping[str, Interval], films: NDArray[np.bool_] | None = None
) -> Subgroup:
    """These films, or those that are chosen of them, as a subgroup with these metrics."""
    chosen = np.ones(cases.n, bool) if films is None else films
    n, patients = int(chosen.sum()), int(np.count_nonzero(np.bincount(cases.patient[chosen])))
    if cases.labels.negative is None:
        return Subgroup(name, n, patients, metrics)
    positive, negative = (int(((cases.binary_reference == side) & chosen).sum()) for side in (1, 0))
    return Subgroup(name, n, patients, metrics, positive, negative)


def worst_gap(
    cases: LabeledCases, groups: list[NDArray[np.bool_]], worst: int, metric: str, resamples: int, seed: int
) -> Interval:
    """The metric in the worst group minus that of all other films, for a group that was chosen as the worst.

    Of several equally good groups, one always looks bad. So in each resample the gap of every group is compared with
    its value, in units of the group's size, and the interval reaches as far as the lowest of them falls in 95% of the
    resamples (one side of a simultaneous confidence band). A patient with films in several groups is drawn for all.
    """

    def gaps(weights: Floats) -> Floats:
        inside = [metric_value(cases, metric, weights * own[:, None]) for own in groups]
        outside = [metric_value(cases, metric, weights * ~own[:, None]) for own in groups]
        return np.stack(inside) - np.stack(outside)

    values = gaps(np.ones((cases.n, 1)))[:, 0]
    value = float(values[worst])
    drawn: Floats
    if metric == "accuracy" and cases.patients >= MANY_PATIENTS:
        drawn = _accuracy_gaps_of_many(cases, groups, values, resamples, seed)
    else:
        drawn = np.concatenate([gaps(weights) for weights in bootstrap_weights(cases.patient, resamples, seed)], axis=1)
    defined = np.isfinite(drawn).all(axis=0)
    if not np.isfinite(values).all() or defined.mean() < MIN_DEFINED:
        return Interval(value, nan, nan)
    sizes = [[effective_patients(cases.patient[side]) for side in (own, ~own)] for own in groups]
    scales = np.sqrt([1 / own + 1 / others for own, others in sizes])
    lowest = ((values[:, None] - drawn[:, defined]) / scales[:, None]).max(axis=0)
    reach = float(np.quantile(lowest, LEVEL) * scales[worst])
    return Interval(value, value - reach, value + reach) if reach > 0 else Interval(value, nan, nan)


def _accuracy_gaps_of_many(
    cases: LabeledCases, groups: list[NDArray[np.bool_]], values: Floats, resamples: int, seed: int
) -> Floats:
    """Gaps (groups, resamples) as a bootstrap of many patients has them: normal, correlated as patients make them.

    The influence of a film on a gap is that on the mean of its side; see `cxr.evaluation.standard_errors`.
    """
    influence = []
    for own in groups:
        correct = cases.correct.astype(float)
        for side, sign in ((own, 1), (~own, -1)):
            correct[side] = sign * (correct[side] - correct[side].mean()) / side.sum()
        influence.append(np.bincount(cases.patient, correct))
    of_patients = np.stack(influence)
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal(values, of_patients @ of_patients.T, resamples, method="eigh").T


def _sentence(column: str, metric: str, worst: Subgroup, gap: Interval, compared: int) -> str:
    start = f"Worst subgroup: {column} {worst.name}, {_NAMES.get(metric, metric)} {worst.metrics[metric].text()}"
    if not gap.known:
        return f"{start}. The difference from all other X-rays cannot be estimated."
    chance = "; this may be chance" if gap.high >= 0 else ""
    return (
        f"{start}. Difference from all other X-rays: {gap.value:+.3f} ({interval_range(gap.low, gap.high)}, corrected "
        f"for the choice among {compared} subgroups){chance}."
    )
