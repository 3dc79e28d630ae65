"""Labels and probabilities become metrics. Scores are stored; everything here is computed again from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.datasets.labels import LabelSpace
from cxr.errors import DatasetError

PREFIX = "p_"  # of a probability's column
TEXTS = ("dataset", "path", "film", "label", "source", "view", "sex", "age", "role")


@dataclass(frozen=True)
class Binary:
    """How everything else is told from the negative class, at the threshold."""

    n: int
    accuracy: float
    sensitivity: float
    specificity: float
    auc: float


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
    binary: Binary | None  # of everything else against it
    left_out: int  # films whose label says nothing to this model

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: what is not a number is null."""
        return {key: _plain(value) for key, value in asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value


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


def evaluate(table: pd.DataFrame, labels: LabelSpace, threshold: float | None) -> Evaluation:
    """The results of the films in the table; a DatasetError where none has a label that the model knows."""
    p = probabilities_of(table, labels.classes)
    targets = labels.targets(table["label"])
    known = targets.any(axis=1)
    if not known.any():
        raise DatasetError("None of these films has a label that the model knows, so there is nothing to evaluate.")
    p, targets, names = p[known], targets[known], table["label"].to_numpy()[known]
    decided = labels.decide(p, threshold)
    single = targets.sum(axis=1) == 1
    truth = targets[single].argmax(axis=1)
    matrix = np.zeros((len(labels.classes),) * 2, int)
    np.add.at(matrix, (truth, decided[single]), 1)
    return Evaluation(
        n=int(known.sum()),
        classes=labels.classes,
        threshold=threshold,
        accuracy=float(targets[np.arange(len(p)), decided].mean(dtype=float)),
        macro_f1=_macro_f1(matrix),
        auc={name: auc(truth == k, p[single, k]) for k, name in enumerate(labels.classes)},
        confusion=tuple(tuple(int(v) for v in row) for row in matrix),
        recall={name: _share(matrix[k, k], matrix[k].sum()) for k, name in enumerate(labels.classes)},
        negative=labels.classes[labels.negative] if labels.negative is not None else "",
        binary=_binary(p, labels, labels.positive(names), decided) if labels.negative is not None else None,
        left_out=int((~known).sum()),
    )


def choose_threshold(table: pd.DataFrame, labels: LabelSpace) -> float | None:
    """The threshold with the largest sensitivity + specificity - 1 (Youden), halfway to its next lower score."""
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
    youden = 1 - positive / (truth == 1).sum() + negative / (truth == 0).sum() - 1
    best = np.flatnonzero(youden >= youden.max() - 1e-12)
    first = int(best[len(best) // 2])
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


def _binary(p: NDArray[np.float64], labels: LabelSpace, truth: NDArray[np.int64], decided: NDArray[np.int64]) -> Binary:
    says = truth >= 0
    truth, positive = truth[says] == 1, decided[says] != labels.negative
    return Binary(
        n=int(says.sum()),
        accuracy=_share((truth == positive).sum(), len(truth)),
        sensitivity=_share((truth & positive).sum(), truth.sum()),
        specificity=_share((~truth & ~positive).sum(), (~truth).sum()),
        auc=auc(np.asarray(truth, bool), 1 - p[says, labels.negative]),
    )


def _macro_f1(matrix: NDArray[np.int64]) -> float:
    """Mean of the F1 of the classes that occur in truth."""
    there = matrix.sum(axis=1) > 0
    f1 = 2 * np.diag(matrix) / np.maximum(matrix.sum(axis=0) + matrix.sum(axis=1), 1)
    return float(f1[there].mean()) if there.any() else float("nan")


def _share(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else float("nan")
