"""What separates X-rays in feature space: their class, or their source, view or sex.

Class and source usually go together in a collection, so each is asked for while the other is the same. A probe learns
to tell the sources of X-rays, and its AUC is taken between X-rays of one class; another learns the classes, and its
AUC is taken between X-rays of one source. Both are means over all such pairs, with 0.5 for chance, so they compare
whatever the numbers of classes and sources. Training weights give each class the same weight within a source, and each
source within a class, so that neither probe profits from the other's question. No patient is in training and test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from math import hypot
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.evaluation.grouping import NOT_STATED
from cxr.evaluation.intervals import (
    UNKNOWN,
    Interval,
    Support,
    bootstrap_weights,
    effective_patients,
    logit_interval,
)
from cxr.evaluation.metrics import Floats, ranking_metrics
from cxr.evaluation.shortcuts.probes import CROSS_VALIDATED, FOLDS, REGULARIZATION

FEWEST_FILMS, FEWEST_PATIENTS = 10, 5  # of one class and one source, to be compared
MOST_VALUES = 8  # of a column: its largest
RESAMPLES = 200
Z = 1.96

Texts = NDArray[np.str_]


class Verdict(StrEnum):
    """Which of two questions the features answer better."""

    FACTOR = "factor"  # source, view or sex rather than disease
    NOT_CROSSED = "not-crossed"  # they never occur apart, so nothing can tell them apart
    UNCLEAR = "unclear"
    CLASS = "class"


@dataclass(frozen=True)
class Separation:
    """How well a column of the manifest is told by the features, beside how well the class is."""

    column: str
    values: tuple[str, ...]
    films: int
    factor: Interval  # AUC of its values among X-rays of one class; NaN where it could not be asked
    by_class: Interval  # AUC of classes among X-rays of one value
    difference: Interval  # factor minus class
    verdict: Verdict

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        intervals = {name: getattr(self, name).as_dict() for name in ("factor", "by_class", "difference")}
        return {"column": self.column, "values": list(self.values), "films": self.films, "verdict": self.verdict} | {
            "auc_" + name if name != "difference" else name: value for name, value in intervals.items()
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Separation:
        """What `as_dict` has made; KeyError, TypeError or ValueError where it is something else."""
        return cls(
            str(stored["column"]),
            tuple(map(str, stored["values"])),
            int(stored["films"]),
            Interval.from_dict(stored["auc_factor"]),
            Interval.from_dict(stored["auc_by_class"]),
            Interval.from_dict(stored["difference"]),
            Verdict(stored["verdict"]),
        )


def separation(axes: Floats, films: pd.DataFrame, patient: NDArray[np.int64], column: str) -> Separation | None:
    """What separates more, this column or the class; None where the column has fewer than two values with X-rays."""
    label, value = films["label"].to_numpy(str), films[column].replace("", NOT_STATED).to_numpy(str)
    usual = pd.Series(value[(value != NOT_STATED) & (label != "")]).value_counts()
    values = tuple(str(name) for name in usual.index[usual >= FEWEST_FILMS][:MOST_VALUES])
    if len(values) < 2 or len(set(label) - {""}) < 2:
        return None
    known = np.isin(value, values) & (label != "")
    cells = _cells(label, value, patient, known)
    factor = _question(axes, value, label, patient, {(one, other) for other, one in cells})
    by_class = _question(axes, label, value, patient, cells)
    if factor is None or by_class is None:
        told = [UNKNOWN if answer is None else answer.interval() for answer in (factor, by_class)]
        return Separation(column, values, int(known.sum()), told[0], told[1], UNKNOWN, Verdict.NOT_CROSSED)
    difference = _difference(factor, by_class)
    verdict = Verdict.FACTOR if difference.low > 0 else Verdict.CLASS if difference.high < 0 else Verdict.UNCLEAR
    return Separation(column, values, int(known.sum()), factor.interval(), by_class.interval(), difference, verdict)


@dataclass(frozen=True, eq=False)
class _Answer:
    """The mean AUC of a question, in the data and in each resample of the patients."""

    value: float
    samples: Floats
    patients: float  # on its smaller side

    def interval(self) -> Interval:
        return logit_interval(self.value, self.samples, Support(self.patients, spread=CROSS_VALIDATED))


def _cells(label: Texts, value: Texts, patient: NDArray[np.int64], known: NDArray[np.bool_]) -> set[tuple[str, str]]:
    """The pairs of class and value with enough X-rays and patients."""
    table = pd.DataFrame({"label": label, "value": value, "patient": patient})[known]
    counts = table.groupby(["label", "value"])["patient"].agg(["size", "nunique"])
    enough = counts[(counts["size"] >= FEWEST_FILMS) & (counts["nunique"] >= FEWEST_PATIENTS)]
    return {(str(pair[0]), str(pair[1])) for pair in enough.index}


def _question(
    axes: Floats, asked: Texts, within: Texts, patient: NDArray[np.int64], cells: set[tuple[str, str]]
) -> _Answer | None:
    """How well `asked` is told among X-rays that agree in `within`; None where no two of its values do.

    `cells` has the pairs of both with enough X-rays.
    """
    values_of = Counter(w for _, w in cells)
    mixed = {(a, w) for a, w in cells if values_of[w] > 1}
    usable = np.array([pair in mixed for pair in zip(asked.tolist(), within.tolist(), strict=True)], bool)
    if not usable.any():
        return None
    asked, within, axes, patient = asked[usable], within[usable], axes[usable], patient[usable]
    people = np.unique(patient, return_inverse=True)[1]
    scores, names = _held_out_scores(axes, asked, within, people)
    sides = [min(effective_patients(people[asked == name]) for name in names)]
    weights = [np.ones((len(asked), 1), np.float32), *bootstrap_weights(people, RESAMPLES, 0)]
    pairs = [
        np.concatenate([ranking_metrics(score, side, block[rows])[0] for block in weights])
        for rows, score, side in _pairs(scores, names, asked, within)
    ]
    with np.errstate(invalid="ignore"):
        means = np.nanmean(np.stack(pairs), axis=0)
    return _Answer(float(means[0]), means[1:], float(sides[0]))


def _pairs(
    scores: Floats, names: list[str], asked: Texts, within: Texts
) -> Iterator[tuple[NDArray[np.int64], Floats, NDArray[np.bool_]]]:
    """For every two values of one stratum: the rows, the score for the first of them, and which rows are of it."""
    for stratum in np.unique(within):
        here = within == stratum
        for first, second in combinations(np.unique(asked[here]), 2):
            rows = np.flatnonzero(here & np.isin(asked, [first, second]))
            score = scores[rows, names.index(str(first))] - scores[rows, names.index(str(second))]
            yield rows, score, asked[rows] == first


def _held_out_scores(axes: Floats, asked: Texts, within: Texts, people: NDArray[np.int64]) -> tuple[Floats, list[str]]:
    """The log probabilities (films, values) by probes that were trained on other patients, and the values."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    cell = np.unique(np.stack([asked, within], axis=1), axis=0, return_inverse=True)[1].ravel()
    weight = 1 / np.bincount(cell)[cell]
    weight *= len(weight) / weight.sum()
    names = [str(name) for name in np.unique(asked)]
    scores = np.full((len(asked), len(names)), np.nan)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    with threadpool_limits(1):
        for train, test in folds.split(axes, cell, people):
            probe = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARIZATION / axes.shape[1], max_iter=1000))
            probe.fit(axes[train], asked[train], logisticregression__sample_weight=weight[train])
            known = [names.index(str(name)) for name in probe.classes_]
            scores[np.ix_(test, known)] = probe.predict_log_proba(axes[test])
    return np.where(np.isnan(scores), scores[np.isfinite(scores)].min(), scores), names


def _difference(factor: _Answer, by_class: _Answer) -> Interval:
    """The difference of two AUCs with its interval; both were resampled by themselves, so their errors add up."""
    value = factor.value - by_class.value
    spreads = [float(np.nanstd(answer.samples)) * CROSS_VALIDATED for answer in (factor, by_class)]
    reach = Z * hypot(*spreads)
    return Interval(value, value - reach, value + reach)
