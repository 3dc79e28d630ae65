"""What decisions at a threshold amount to: yes-or-no questions, counts of right and wrong, the films of a cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.evaluation import Evaluation, probabilities_of

REST = "the rest"


@dataclass(frozen=True, eq=False)
class BinaryQuestion:
    """A yes-or-no question to each film that has an answer, and what the model said to it."""

    name: str  # the answer yes: "pneumonia"
    against: str  # the answer no: "normal"
    label: NDArray[np.str_]  # the films' own labels
    truth: NDArray[np.bool_]
    score: NDArray[np.float64]
    predicted: NDArray[np.bool_]  # decided at the threshold

    @property
    def answerable(self) -> bool:
        """Whether there are films of both answers, without which no curve can be drawn."""
        return bool(self.truth.any() and not self.truth.all())

    def subset(self, films: NDArray[np.bool_]) -> BinaryQuestion:
        """The same question to these films alone."""
        label, truth, score, said = self.label[films], self.truth[films], self.score[films], self.predicted[films]
        return BinaryQuestion(self.name, self.against, label, truth, score, said)

    def __str__(self) -> str:
        return f"{self.name} against {self.against}"


def binary_questions(table: pd.DataFrame, labels: LabelSpace, threshold: float | None) -> tuple[BinaryQuestion, ...]:
    """Everything else against the negative class, where there is one; then each class against the rest."""
    p = probabilities_of(table, labels.classes)
    names = table["label"].to_numpy(str)
    decided, targets = labels.decide(p, threshold), labels.targets(names)
    asked = []
    if labels.negative is not None:
        truth, score = labels.positive(names), 1 - p[:, labels.negative]
        negative = labels.classes[labels.negative]
        whole = BinaryQuestion(positive_name(labels), negative, names, truth == 1, score, decided != labels.negative)
        asked.append(whole.subset(truth >= 0))
    single = targets.sum(axis=1) == 1
    for k, name in enumerate(labels.classes):
        if not asked or name != asked[0].name:  # of two classes, the other one has been asked for
            asked.append(BinaryQuestion(name, REST, names, targets[:, k] == 1, p[:, k], decided == k).subset(single))
    return tuple(asked)


def positive_name(labels: LabelSpace) -> str:
    """What everything but the negative class is called: a class, a group that holds all of them, or "any finding"."""
    others = [name for k, name in enumerate(labels.classes) if k != labels.negative]
    if len(others) == 1:
        return others[0]
    whole = (group for group, members in labels.groups.items() if set(others) <= set(members))
    return next(whole, "any finding")


@dataclass(frozen=True)
class ConfusionCounts:
    """Right and wrong answers to a question, and the shares made of them; not a number where nothing is to share."""

    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int

    @classmethod
    def from_question(cls, question: BinaryQuestion) -> ConfusionCounts:
        truth, said = question.truth, question.predicted
        return cls(*(int(n.sum()) for n in (truth & said, truth & ~said, ~truth & said, ~truth & ~said)))

    @property
    def films(self) -> int:
        return self.true_positive + self.false_negative + self.false_positive + self.true_negative

    @property
    def prevalence(self) -> float:
        return _share(self.true_positive + self.false_negative, self.films)

    @property
    def sensitivity(self) -> float:
        return _share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float:
        return _share(self.true_negative, self.true_negative + self.false_positive)

    @property
    def precision(self) -> float:
        return _share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def accuracy(self) -> float:
        return _share(self.true_positive + self.true_negative, self.films)

    @property
    def f1(self) -> float:
        twice = 2 * self.true_positive
        return _share(twice, twice + self.false_positive + self.false_negative)

    def ppv(self, prevalence: float) -> float:
        """Of the films called positive, the share that are, were they met at this prevalence (Bayes)."""
        right = self.sensitivity * prevalence
        return _share(right, right + (1 - self.specificity) * (1 - prevalence))

    def npv(self, prevalence: float) -> float:
        """Of the films called negative, the share that are, were they met at this prevalence."""
        right = self.specificity * (1 - prevalence)
        return _share(right, right + (1 - self.sensitivity) * prevalence)


def class_report(evaluation: Evaluation) -> pd.DataFrame:
    """Precision, recall, F1 and films of each class, then their mean and their mean weighted by films."""
    names = evaluation.classes
    films = np.array(evaluation.confusion).sum(axis=1)
    of_class = {"precision": evaluation.precision, "recall": evaluation.recall, "F1": evaluation.f1}
    shares = {column: [of[name] for name in names] for column, of in of_class.items()}
    rows = pd.DataFrame({"class": names, **shares, "films": films})
    there = rows[rows["films"] > 0].fillna(0.0)  # as scikit-learn: what was never decided has a precision of 0
    means: list[dict[str, object]] = []
    for name, weights in (("mean of classes", np.ones(len(there))), ("mean of films", there["films"].to_numpy(float))):
        mean = {column: float(np.average(there[column], weights=weights)) for column in ("precision", "recall", "F1")}
        means.append({"class": name, **mean, "films": int(films.sum())})
    return pd.concat([rows, pd.DataFrame(means)], ignore_index=True)


def cell_films(
    table: pd.DataFrame, labels: LabelSpace, threshold: float | None, truth: str, decision: str
) -> pd.DataFrame:
    """The films of one class, or of one label that names several, that the model called that.

    Those come first to whose class, or classes together, it gave the least probability.
    """
    p, members = probabilities_of(table, labels.classes), labels.members(truth)
    names = table["label"]
    asked = names == truth if len(members) > 1 else names.map(lambda name: labels.members(name) == members)
    chosen = asked.to_numpy(bool) & (labels.decide(p, threshold) == labels.classes.index(decision))
    order = np.argsort(p[chosen][:, list(members)].sum(axis=1), kind="stable")
    return table[chosen].iloc[order].reset_index(drop=True)


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
