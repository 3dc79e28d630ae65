"""Decisions at a threshold: binary questions, their confusion counts, the report of classes, the films of a cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import LabeledCases
from cxr.evaluation.evaluation import Evaluation
from cxr.evaluation.metrics import Floats

REST = "rest"


@dataclass(frozen=True, eq=False)
class BinaryQuestion:
    """A class against another or the rest: reference, scores and predictions of the films that it applies to."""

    positive: str  # "pneumonia"
    negative: str  # "normal", or REST
    labels: NDArray[np.object_]  # the films' own labels
    reference: NDArray[np.bool_]
    scores: Floats
    predicted: NDArray[np.bool_]  # at the threshold

    @property
    def answerable(self) -> bool:
        """Whether there are positive and negative films, without which no curve can be drawn."""
        return bool(self.reference.any() and not self.reference.all())

    def __str__(self) -> str:
        return f"{self.positive} vs {self.negative}"


def binary_questions(cases: LabeledCases) -> tuple[BinaryQuestion, ...]:
    """Any finding against the negative class, where there is one; then each class against the rest."""
    labels, questions = cases.labels, []
    if labels.negative is not None:
        known = cases.binary_reference >= 0
        questions.append(
            BinaryQuestion(
                labels.finding,
                labels.classes[labels.negative],
                cases.film_labels[known],
                cases.binary_reference[known] == 1,
                cases.binary_scores[known],
                cases.predicted[known] != labels.negative,
            )
        )
    single = cases.has_single_class
    for k, name in enumerate(labels.classes):
        if not questions or name != questions[0].positive:  # of two classes, the first question is about the other one
            questions.append(
                BinaryQuestion(
                    name,
                    REST,
                    cases.film_labels[single],
                    cases.targets[single, k],
                    cases.probabilities[single, k],
                    cases.predicted[single] == k,
                )
            )
    return tuple(questions)


@dataclass(frozen=True)
class ConfusionCounts:
    """The confusion counts of a question and the metrics made of them; a metric without films is NaN."""

    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int

    @classmethod
    def from_question(cls, question: BinaryQuestion) -> ConfusionCounts:
        """The counts of the question's predictions."""
        reference, predicted = question.reference, question.predicted
        cells = (reference & predicted, reference & ~predicted, ~reference & predicted, ~reference & ~predicted)
        return cls(*(int(cell.sum()) for cell in cells))

    @property
    def films(self) -> int:
        """The number of films."""
        return self.true_positive + self.false_negative + self.false_positive + self.true_negative

    @property
    def prevalence(self) -> float:
        """The share of films that are positive."""
        return _share(self.true_positive + self.false_negative, self.films)

    @property
    def sensitivity(self) -> float:
        """The share of positive films that are predicted positive."""
        return _share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float:
        """The share of negative films that are predicted negative."""
        return _share(self.true_negative, self.true_negative + self.false_positive)

    @property
    def precision(self) -> float:
        """The share of films predicted positive that are."""
        return _share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def accuracy(self) -> float:
        """The share of films that are predicted correctly."""
        return _share(self.true_positive + self.true_negative, self.films)

    @property
    def f1(self) -> float:
        """The harmonic mean of sensitivity and precision."""
        twice = 2 * self.true_positive
        return _share(twice, twice + self.false_positive + self.false_negative)

    def ppv(self, prevalence: float) -> float:
        """The positive predictive value at this prevalence (Bayes)."""
        true = self.sensitivity * prevalence
        return _share(true, true + (1 - self.specificity) * (1 - prevalence))

    def npv(self, prevalence: float) -> float:
        """The negative predictive value at this prevalence (Bayes)."""
        true = self.specificity * (1 - prevalence)
        return _share(true, true + (1 - self.sensitivity) * prevalence)


def class_report(evaluation: Evaluation) -> pd.DataFrame:
    """Precision, recall, F1 and films of each class, then their macro and weighted averages."""
    names = evaluation.classes
    films = np.array(evaluation.confusion).sum(axis=1)
    metrics = {"precision": evaluation.precision, "recall": evaluation.recall, "F1": evaluation.f1}
    columns = {metric: [by_class[name] for name in names] for metric, by_class in metrics.items()}
    rows = pd.DataFrame({"class": names, **columns, "films": films})
    with_films = rows[rows["films"] > 0].fillna(0.0)  # as scikit-learn: a class never predicted has a precision of 0
    weights = {"macro average": np.ones(len(with_films)), "weighted average": with_films["films"].to_numpy(float)}
    averages = [
        {"class": name, **{metric: _average(with_films[metric], by) for metric in metrics}, "films": int(films.sum())}
        for name, by in weights.items()
    ]
    return pd.concat([rows, pd.DataFrame(averages)], ignore_index=True)


def cell_films(cases: LabeledCases, reference: str, predicted: str) -> pd.DataFrame:
    """The films in a cell of the confusion matrix; the reference is a class, or a label that allows several.

    Worst errors come first: those whose allowed classes together have the lowest probability.
    """
    labels, names = cases.labels, cases.film_labels
    members = labels.members(reference)
    same = names == reference if len(members) > 1 else _labeled_as(labels, names, members)
    chosen = same & (cases.predicted == labels.classes.index(predicted))
    order = np.argsort(cases.probabilities[chosen][:, list(members)].sum(axis=1), kind="stable")
    return cases.films[chosen].iloc[order].reset_index(drop=True)


def _labeled_as(labels: LabelSpace, names: NDArray[np.object_], members: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which labels allow exactly these classes."""
    return np.isin(names, [name for name in set(names.tolist()) if labels.members(name) == members])


def _average(values: pd.Series, weights: NDArray[np.floating]) -> float:
    """The weighted mean; NaN where every film has a coarse label, so that no class has films."""
    return float(np.average(values, weights=weights)) if weights.any() else float("nan")


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
