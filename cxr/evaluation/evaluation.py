"""The evaluation of a model on labeled films. Scores are stored; everything here is computed from them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from cxr.evaluation.cases import LabeledCases
from cxr.evaluation.metrics import decision_metrics, score_metrics


@dataclass(frozen=True)
class BinaryMetrics:
    """The metrics of any finding against the negative class, at the threshold."""

    n: int
    accuracy: float
    sensitivity: float
    specificity: float
    auc: float
    ppv: float  # at the prevalence among these films
    npv: float
    f1: float  # of the films as they are, whatever the prevalence
    lr_positive: float
    lr_negative: float
    average_precision: float
    brier: float
    ece: float  # expected calibration error
    calibration_bias: float  # mean score minus observed frequency
    indeterminate: float  # share of films in the indeterminate band; NaN where the cases have none


@dataclass(frozen=True)
class Evaluation:
    """A model's results on a set of films."""

    n: int
    classes: tuple[str, ...]
    threshold: float | None
    accuracy: float  # a film of a coarse label is correct with any of its classes
    macro_f1: float
    auc: Mapping[str, float]  # one-vs-rest
    confusion: tuple[tuple[int, ...], ...]  # rows: reference, columns: predicted; without films of coarse labels
    recall: Mapping[str, float]
    negative: str  # the class that means no finding; "" where there is none
    binary: BinaryMetrics | None  # any finding against it
    left_out: int  # films whose label the model does not know
    patients: int
    balanced_accuracy: float
    mcc: float
    macro_auc: float
    micro_auc: float
    average_precision: Mapping[str, float]  # one-vs-rest
    brier: float  # summed over the classes, 0 to 2
    ece: float  # of the most probable class
    precision: Mapping[str, float] = field(default_factory=dict)  # NaN for a class that is never predicted
    f1: Mapping[str, float] = field(default_factory=dict)
    coarse: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # predictions for films of each coarse label

    @property
    def rows(self) -> dict[str, tuple[int, ...]]:
        """All rows of the confusion matrix by name: the classes, then the labels that allow several of them."""
        of_classes = dict(zip(self.classes, self.confusion, strict=True))
        return of_classes | {coarse_label_name(label): row for label, row in self.coarse.items()}

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: a number that is not finite is null."""
        return {key: _plain(value) for key, value in asdict(self).items()}


def evaluate(cases: LabeledCases, of_scores: Mapping[str, float] | None = None) -> Evaluation:
    """The model's results on these films; `of_scores` are those that no threshold changes, where they are known."""
    labels, once = cases.labels, np.ones((cases.n, 1))
    values = {name: float(value[0]) for name, value in decision_metrics(cases, once).items()}
    values |= of_scores or {name: float(value[0]) for name, value in score_metrics(cases, once).items()}
    single = cases.has_single_class
    matrix = np.zeros((len(labels.classes),) * 2, int)
    np.add.at(matrix, (cases.targets.argmax(axis=1)[single], cases.predicted[single]), 1)

    def by_class(metric: str) -> dict[str, float]:
        return {name: values[f"{metric}.{name}"] for name in labels.classes}

    return Evaluation(
        n=cases.n,
        classes=labels.classes,
        threshold=cases.threshold,
        accuracy=values["accuracy"],
        macro_f1=values["macro_f1"],
        auc=by_class("auc"),
        confusion=tuple(tuple(int(v) for v in row) for row in matrix),
        recall=by_class("recall"),
        negative=labels.classes[labels.negative] if labels.negative is not None else "",
        binary=_binary_metrics(cases, values) if labels.negative is not None else None,
        left_out=cases.left_out,
        patients=cases.patients,
        balanced_accuracy=values["balanced_accuracy"],
        mcc=values["mcc"],
        macro_auc=values["macro_auc"],
        micro_auc=values["micro_auc"],
        average_precision=by_class("average_precision"),
        brier=values["brier"],
        ece=values["ece"],
        precision=by_class("precision"),
        f1=by_class("f1"),
        coarse=_coarse_rows(cases),
    )


def coarse_label_name(label: str) -> str:
    """The name of a label that allows several classes, beside those that allow one."""
    return f"{label} (any)"


def _binary_metrics(cases: LabeledCases, values: Mapping[str, float]) -> BinaryMetrics:
    names = [field.name for field in fields(BinaryMetrics) if field.name != "n"]
    n = int((cases.binary_reference >= 0).sum())
    return BinaryMetrics(n=n, **{name: values.get(f"binary.{name}", np.nan) for name in names})


def _coarse_rows(cases: LabeledCases) -> dict[str, tuple[int, ...]]:
    """How many films of each label that allows several classes are predicted as each class."""
    labels, names = cases.labels, cases.film_labels
    coarse = [name for name in labels.groups if name in names and len(labels.members(name)) > 1]
    rows = {name: np.bincount(cases.predicted[names == name], minlength=len(labels.classes)) for name in coarse}
    return {name: tuple(int(count) for count in row) for name, row in rows.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
