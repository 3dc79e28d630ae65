"""How a model does in parts of its films: by source, view, sex, age."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose, isfinite, nan
from typing import Any

import numpy as np
import pandas as pd

from cxr.core.errors import DatasetError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.evaluation import PREFIX, labeled_cases
from cxr.evaluation.interval import Interval
from cxr.evaluation.intervals import RESAMPLES, bootstrap_weights, metric_intervals, percentile_interval
from cxr.evaluation.metrics import Floats, metric_values

COLUMNS = ("source", "view", "sex", "age")
MIN_PATIENTS = 20
MIN_FILMS = 10  # with the finding, or without it, where a figure is of that side
TOO_FEW = "too few"  # said in place of such a figure
SIDES = {"binary.auc": (1, 0), "binary.sensitivity": (1,), "binary.specificity": (0,)}  # of which a figure is made
MOST_GROUPS = 30
UNKNOWN = "not stated"
NO_COLUMNS = ("path", "film", "patient")
LOWER_IS_BETTER = ("brier", "ece", "lr_negative")
AGE = re.compile(r"0*(\d{1,3})(?:\.\d+)?\s*([YMWD]?)", re.IGNORECASE)  # 61, 61.0, and DICOM's 061Y, 006M
BANDS = ((18, "0 to 17"), (40, "18 to 39"), (65, "40 to 64"), (121, "65 and older"))


@dataclass(frozen=True)
class Subgroup:
    name: str
    n: int
    patients: int
    figures: Mapping[str, Interval]  # by the flat names of `with_intervals`
    positive: int | None = None  # films with the finding, and without it; None where there is no negative class
    negative: int | None = None

    def too_few(self, figure: str) -> bool:
        """Whether the figure is of a side that has so few films here that it says nothing."""
        films = {1: self.positive, 0: self.negative}
        return any((films[side] or 0) < MIN_FILMS for side in SIDES.get(figure, ()))


@dataclass(frozen=True)
class SubgroupMetrics:
    column: str
    figure: str  # by which the worst is named
    groups: tuple[Subgroup, ...]
    worst: str  # "" where none can be named
    gap: Interval  # the figure of the worst minus that of all other films
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: what is no finite number is null."""
        groups = [
            {"name": group.name, "n": group.n, "patients": group.patients}
            | {"positive": group.positive, "negative": group.negative}
            | {name: interval.as_dict() for name, interval in group.figures.items()}
            for group in self.groups
        ]
        said = {"column": self.column, "figure": self.figure, "groups": groups, "worst": self.worst}
        return said | {"gap": self.gap.as_dict(), "sentence": self.sentence}


def subgroup_metrics(
    table: pd.DataFrame,
    labels: LabelSpace,
    threshold: float | None,
    column: str,
    figure: str = "accuracy",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> SubgroupMetrics:
    """Every figure in every group of the column, and the group that does worst; ages go into bands.

    The worst is the group whose interval ends lowest: the one of which the films say for sure that it is bad. A small
    group's figure lies far off by chance alone, but its interval is wide and ends high, so it is not named for being
    small. Groups of fewer than 20 patients, without an interval, or with fewer than 10 films of a side that the figure
    is made of, are shown and never named; nor is any where all do alike. The gap to all other films has an interval of
    its own; one that holds 0 may be chance, and of many groups one will look bad by chance.
    """
    if figure.rpartition(".")[2] in LOWER_IS_BETTER:
        raise DatasetError(f"The worst group is named by a figure that is better when higher, not by {figure}.")
    names = _group_names(table, column)
    groups = [
        _group(name, table[(names == name).to_numpy()], (labels, threshold), (resamples, seed))
        for name in _in_order(names.iloc[np.flatnonzero(labels.targets(table["label"]).any(axis=1))])
    ]
    if groups and figure not in groups[0].figures:
        raise DatasetError(f"There is no figure '{figure}'. Known: {', '.join(groups[0].figures)}.")
    able = [g for g in groups if g.patients >= MIN_PATIENTS and _known(g, figure)]
    worst = min(able, key=lambda g: (g.figures[figure].high, g.figures[figure].value), default=None)
    if worst is None or len(able) < 2:
        why = (
            f"Fewer than two groups have {MIN_PATIENTS} patients and films for an interval, so none is named the worst."
        )
        return SubgroupMetrics(column, figure, tuple(groups), "", Interval(nan, nan, nan), why)
    value = worst.figures[figure].value
    if all(isclose(group.figures[figure].value, value) for group in able):
        why = f"No {column} does worse than another: {figure} {value:.3f} in each that has {MIN_PATIENTS} patients."
        return SubgroupMetrics(column, figure, tuple(groups), "", Interval(nan, nan, nan), why)
    gap = _gap(table, (labels, threshold), (names == worst.name).to_numpy(), figure, (resamples, seed))
    return SubgroupMetrics(column, figure, tuple(groups), worst.name, gap, _sentence(column, figure, worst, gap))


def groupings(table: pd.DataFrame) -> list[str]:
    """By which of source, view, sex and age these films fall into more than one group."""
    there = [column for column in COLUMNS if column in table]
    return [column for column in there if 1 < _values(table, column).nunique() <= MOST_GROUPS]


def age_band(age: str) -> str:
    """The band of an age as manifests and DICOM write it."""
    found = AGE.fullmatch(str(age).strip())
    if not found:
        return UNKNOWN
    years = int(found[1]) if found[2].upper() in ("", "Y") else 0  # months, weeks and days are written up to 999
    return next((name for end, name in BANDS if years < end), UNKNOWN)


def _group_names(table: pd.DataFrame, column: str) -> pd.Series:
    known = [str(one) for one in table if one not in NO_COLUMNS and not str(one).startswith(PREFIX)]
    if column not in known:
        raise DatasetError(f"These films have no column '{column}'. They can be grouped by: {', '.join(known)}.")
    names = _values(table, column)
    if names.nunique() > MOST_GROUPS:
        raise DatasetError(f"'{column}' has {names.nunique()} values, too many for groups (at most {MOST_GROUPS}).")
    return names


def _values(table: pd.DataFrame, column: str) -> pd.Series:
    values = table[column].fillna("").astype(str).str.strip()
    return values.map(age_band) if column == "age" else values.replace("", UNKNOWN)


def _in_order(names: pd.Series) -> list[str]:
    """Ages rise; all else by the alphabet; what is not stated comes last."""
    rank = {name: f"{i}" for i, (_, name) in enumerate(BANDS)}
    return sorted(names.unique(), key=lambda name: (name == UNKNOWN, rank.get(name, name)))


def _group(name: str, films: pd.DataFrame, judge: tuple[LabelSpace, float | None], draws: tuple[int, int]) -> Subgroup:
    cases = labeled_cases(films, *judge)
    figures = metric_intervals(films, *judge, *draws)
    if judge[0].negative is None:
        return Subgroup(name, len(cases.p), cases.patients, figures)
    positive, negative = (int((cases.positive == side).sum()) for side in (1, 0))
    return Subgroup(name, len(cases.p), cases.patients, figures, positive, negative)


def _known(group: Subgroup, figure: str) -> bool:
    """Whether the figure has an interval, on films enough of either side that it is made of."""
    return isfinite(group.figures[figure].high) and not group.too_few(figure)


def _gap(
    table: pd.DataFrame,
    judge: tuple[LabelSpace, float | None],
    inside: np.ndarray[Any, np.dtype[np.bool_]],
    figure: str,
    draws: tuple[int, int],
) -> Interval:
    """The figure inside minus outside; a patient with films on both sides is drawn for both."""
    known = judge[0].targets(table["label"]).any(axis=1)
    cases, inside = labeled_cases(table, *judge), inside[known]

    def difference(weights: Floats) -> Floats:
        ones, others = (metric_values(cases, weights * side[:, None])[figure] for side in (inside, ~inside))
        return ones - others

    (value,) = difference(np.ones((len(inside), 1)))
    return percentile_interval(
        float(value), np.concatenate([difference(w) for w in bootstrap_weights(cases.patient, *draws)])
    )


def _sentence(column: str, figure: str, worst: Subgroup, gap: Interval) -> str:
    own = worst.figures[figure]
    said = f"{column} {worst.name} does worst: {figure} {own.value:.3f} ({own.low:.3f} to {own.high:.3f})"
    if not isfinite(gap.low):
        return f"{said}; what lies between it and the other films cannot be told."
    between = f"{gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f}) against all other films"
    return f"{said}, {between}{', which may be chance' if gap.high >= 0 else ''}."
