"""Labels and probabilities become metrics. Scores are stored; everything here is computed again from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.metrics import LabeledCases, metric_values

PREFIX = "p_"  # of a probability's column
TEXTS = ("dataset", "path", "film", "label", "source", "view", "sex", "age", "role")


@dataclass(frozen=True)
class BinaryMetrics:
    """How everything else is told from the negative class, at the threshold."""

    n: int
    accuracy: float
    sensitivity: float
    specificity: float
    auc: float
    ppv: float  # at the share of positives among these films
    npv: float
    f1: float  # of the films as they are, whatever the prevalence
    lr_positive: float
    lr_negative: float
    average_precision: float
    brier: float
    ece: float  # expected calibration error


@dataclass(frozen=True)
class Evaluation:
    """A model's results on a set of films."""

    n: int
    classes: tuple[str, ...]
    threshold: float | None
    accuracy: float  # of the decisions; a film of a coarse label is right with any of its classes
    macro_f1: float
    auc: Mapping[str, float]  # each class against the rest
    confusion: tuple[tuple[int, ...], ...]  # rows: truth, columns: decision; films of coarse labels are not in it
    recall: Mapping[str, float]
    negative: str  # the class that means nothing was found; "" where there is none
    binary: BinaryMetrics | None  # of everything else against it
    left_out: int  # films whose label says nothing to this model
    balanced_accuracy: float
    mcc: float
    macro_auc: float
    micro_auc: float
    average_precision: Mapping[str, float]  # each class against the rest
    brier: float  # summed over the classes, 0 to 2
    ece: float  # of the most probable class
    precision: Mapping[str, float] = field(default_factory=dict)  # not a number for a class that was never decided
    f1: Mapping[str, float] = field(default_factory=dict)
    coarse: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # decisions on films of each coarse label

    @property
    def rows(self) -> dict[str, tuple[int, ...]]:
        """All rows of the matrix by what they are called: the classes, then the labels that name several of them."""
        of_classes = dict(zip(self.classes, self.confusion, strict=True))
        return of_classes | {coarse_label_name(label): row for label, row in self.coarse.items()}

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: what is no finite number is null."""
        return {key: _plain(value) for key, value in asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value


def score_table(films: pd.DataFrame, probabilities: NDArray[np.floating], classes: tuple[str, ...]) -> pd.DataFrame:
    """One row a film, to be stored: where it is, what it is labelled, what the model said. Patients are numbered.

    Films that the model was trained on have no probabilities; they are listed so that it is never judged by them.
    """
    table = films[[column for column in TEXTS if column in films]].copy()
    person = films["dataset"] + "/" + films["patient_id"]
    table.insert(2, "patient", pd.factorize(person)[0])
    for k, name in enumerate(classes):
        table[PREFIX + name] = np.round(probabilities[:, k].astype(float), 6)
    return table.reset_index(drop=True)


def read_scores(path: Path) -> pd.DataFrame:
    """The films of a stored score table that the model was not trained on."""
    table = read_films(path)
    scores = table[[name for name in table if str(name).startswith(PREFIX)]]
    return table[scores.notna().all(axis=1)].reset_index(drop=True)


def read_films(path: Path) -> pd.DataFrame:
    """All films of a stored score table."""
    try:
        names = pd.read_csv(path, nrows=0).columns
        missing = {name: [""] for name in names if name.startswith(PREFIX)}
        table = pd.read_csv(path, keep_default_na=False, na_values=missing, dtype=dict.fromkeys(TEXTS, str))
    except (OSError, ValueError) as error:
        raise DatasetError("The stored scores cannot be read.") from error
    if not {"dataset", "path", "label", "role"} <= set(table):
        raise DatasetError("The stored scores cannot be read as a table of films.")
    return table


def probabilities_of(table: pd.DataFrame, classes: tuple[str, ...]) -> NDArray[np.float64]:
    return table[[PREFIX + name for name in classes]].to_numpy(float)


def labeled_cases(table: pd.DataFrame, labels: LabelSpace, threshold: float | None) -> LabeledCases:
    """The films whose label the model knows, decided; a DatasetError where there is none.

    A table without the column `patient` has one film a patient.
    """
    targets = labels.targets(table["label"]) > 0
    known = targets.any(axis=1)
    if not known.any():
        raise DatasetError("None of these films has a label that the model knows, so there is nothing to evaluate.")
    chosen = table.iloc[np.flatnonzero(known)]
    p = probabilities_of(chosen, labels.classes)
    nowhere = np.full(len(p), -1)
    return LabeledCases(
        labels=labels,
        p=p,
        targets=targets[known],
        decided=labels.decide(p, threshold),
        positive=nowhere if labels.negative is None else labels.positive(chosen["label"]),
        patient=pd.factorize(chosen["patient"])[0] if "patient" in chosen else np.arange(len(p)),
        left_out=int((~known).sum()),
    )


def evaluate(table: pd.DataFrame, labels: LabelSpace, threshold: float | None) -> Evaluation:
    """The results of the films in the table; a DatasetError where none has a label that the model knows."""
    cases = labeled_cases(table, labels, threshold)
    found = {name: float(value[0]) for name, value in metric_values(cases, np.ones((len(cases.p), 1))).items()}
    matrix = np.zeros((len(labels.classes),) * 2, int)
    np.add.at(matrix, (cases.targets.argmax(axis=1)[cases.single], cases.decided[cases.single]), 1)

    def of_class(figure: str) -> dict[str, float]:
        return {name: found[f"{figure}.{name}"] for name in labels.classes}

    def of_binary() -> BinaryMetrics:
        names = [one.name for one in fields(BinaryMetrics) if one.name != "n"]
        return BinaryMetrics(n=int((cases.positive >= 0).sum()), **{name: found[f"binary.{name}"] for name in names})

    return Evaluation(
        n=len(cases.p),
        classes=labels.classes,
        threshold=threshold,
        accuracy=found["accuracy"],
        macro_f1=found["macro_f1"],
        auc=of_class("auc"),
        confusion=tuple(tuple(int(v) for v in row) for row in matrix),
        recall=of_class("recall"),
        negative=labels.classes[labels.negative] if labels.negative is not None else "",
        binary=of_binary() if labels.negative is not None else None,
        left_out=cases.left_out,
        balanced_accuracy=found["balanced_accuracy"],
        mcc=found["mcc"],
        macro_auc=found["macro_auc"],
        micro_auc=found["micro_auc"],
        average_precision=of_class("average_precision"),
        brier=found["brier"],
        ece=found["ece"],
        precision=of_class("precision"),
        f1=of_class("f1"),
        coarse=_of_coarse_labels(table, labels, threshold),
    )


def _of_coarse_labels(table: pd.DataFrame, labels: LabelSpace, threshold: float | None) -> dict[str, tuple[int, ...]]:
    """How many films of each label that names several classes were called each class."""
    names, decided = table["label"].to_numpy(str), labels.decide(probabilities_of(table, labels.classes), threshold)
    there = [name for name in labels.groups if name in names and len(labels.members(name)) > 1]
    counts = {name: np.bincount(decided[names == name], minlength=len(labels.classes)) for name in there}
    return {name: tuple(int(count) for count in row) for name, row in counts.items()}


def coarse_label_name(label: str) -> str:
    """What a label that names several classes is called beside those that name one."""
    return f"{label} (any)"


@dataclass(frozen=True)
class ThresholdRule:
    """How a threshold is chosen: the highest that keeps a sensitivity, or, without one, the best Youden index."""

    sensitivity: float | None = None

    def __post_init__(self) -> None:
        if self.sensitivity is not None and not 0 < self.sensitivity <= 1:
            raise DatasetError(f"A sensitivity to keep lies above 0 and up to 1, not at {self.sensitivity:g}.")

    def __str__(self) -> str:
        return "Youden" if self.sensitivity is None else f"sensitivity of at least {self.sensitivity:g}"


YOUDEN = ThresholdRule()


def choose_threshold(table: pd.DataFrame, labels: LabelSpace, rule: ThresholdRule = YOUDEN) -> float | None:
    """The threshold that the rule asks for on these films, halfway to its next lower score.

    Youden's is the one with the largest sensitivity + specificity - 1. None where one side has no film.
    """
    if labels.negative is None:
        return None
    truth = labels.positive(table["label"])
    score = 1 - probabilities_of(table, labels.classes)[:, labels.negative]
    truth, score = truth[truth >= 0], score[truth >= 0]
    if truth.all() or not truth.any():
        return None
    values = np.unique(score)
    positive = np.searchsorted(np.sort(score[truth == 1]), values)  # positives below each value
    negative = np.searchsorted(np.sort(score[truth == 0]), values)
    sensitivity = 1 - positive / (truth == 1).sum()
    if rule.sensitivity is None:
        youden = sensitivity + negative / (truth == 0).sum() - 1
        best = np.flatnonzero(youden >= youden.max() - 1e-12)
        first = int(best[len(best) // 2])
    else:
        first = int(np.flatnonzero(sensitivity >= rule.sensitivity - 1e-12)[-1])
    below = values[first - 1] if first else 0.0
    return round(float((below + values[first]) / 2), 7)  # one digit more than the scores have


def auc(truth: NDArray[np.bool_], score: NDArray[np.floating]) -> float:
    """Area under the ROC curve; not a number where one side is empty."""
    from scipy.stats import rankdata

    ones = int(truth.sum())
    zeros = len(truth) - ones
    if not ones or not zeros:
        return float("nan")
    return float((rankdata(score)[truth].sum() - ones * (ones + 1) / 2) / (ones * zeros))
