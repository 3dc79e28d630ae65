"""The numbers that are shown first, each with what it means; and the tables of classes and of films."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxr.evaluation.decisions import REST, BinaryQuestion, ConfusionCounts, class_report
from cxr.evaluation.evaluation import PREFIX, Evaluation
from cxr.evaluation.indeterminate import SelectiveMetrics
from cxr.evaluation.interval import Interval
from cxr.evaluation.metrics import BINS
from cxr.evaluation.shortcuts.report import ShortcutMeasurements
from cxr.evaluation.subgroups import TOO_FEW, Subgroup, SubgroupMetrics
from cxr.ui.components.charts.evaluation import NONE, Intervals, number_text

MEANING = {
    "AUC": "The chance that a film with the finding scores higher than one without. It knows no threshold.",
    "Sensitivity": "Of the films with the finding, the share that was called so.",
    "Specificity": "Of the films without the finding, the share that was called so.",
    "PPV": "Of the films called positive, the share that has the finding, at the chosen prevalence.",
    "NPV": "Of the films called negative, the share that is without the finding, at the chosen prevalence.",
    "Accuracy": "The share of right answers to whether there is a finding.",
    "F1": "The harmonic mean of sensitivity and precision on these films.",
    "Right class": "The share of films whose very class was right. A film of a coarse label may be any of its classes.",
    "Macro F1": "The mean of the classes' F1.",
    "Precision": "Of the films called so, the share that is so, among these films.",
    "Recall": "Of the films of a class, the share that was called so.",
    "LR+": "How many times the odds of the finding rise when a film is called positive. 1 tells nothing, 10 much.",
    "LR-": "What the odds of the finding are multiplied by when a film is called negative. 1 tells nothing, 0.1 much.",
    "Average precision": "The mean PPV over all thresholds, by recall. Chance has the share of films with the finding.",
    "Brier score": "The mean squared distance of the score from 0 or 1, whichever it should be. Lower is better.",
    "ECE": f"How far scores and frequencies lie apart, on the mean over {BINS} bins. 0 is best; noise adds to it.",
    "Balanced accuracy": "The mean of the classes' recall, so that a frequent class does not outweigh a rare one.",
    "MCC": "Matthews' correlation of label and decision: 1 is perfect, 0 is chance, whatever the classes' frequency.",
    "Macro AUC": "The mean of the classes' AUC, each against the rest; every class counts the same.",
    "Micro AUC": "One AUC of all pairs of film and class taken together; a frequent class counts for more.",
    "Brier score, classes": "The squared distances of all classes' probabilities added up, 0 to 2. Lower is better.",
    "ECE, classes": "How far the probability of the most probable class lies from how often it is right.",
    "Difference": "The first model's figure minus the second's. An interval that holds 0 may be chance.",
    "McNemar": "McNemar's p: how likely so uneven a count of films that one alone gets right is, were both as good.",
    "DeLong": "DeLong's p: how likely so large a difference of the areas is, were both models as good.",
    "Sure": "The share of films whose score lies outside of the model's unsure band.",
    "Right if sure": "The accuracy of the films whose score lies outside of the model's unsure band.",
    "Whole film": "AUC of a small classifier, new, on what the model's inner layers make of films. 0.5 is chance.",
    "Lungs only": "The same, with everything but the lungs in one grey: what disease in the lungs can tell.",
    "Lungs hidden": "The same, with the lungs in one grey. Near 0.5 it should be: whatever is above is no lung.",
    "Thumbnail": "AUC of a small classifier of 8 by 8 grey values: how much a coarse look at light and dark can tell.",
    "Own, lungs hidden": "AUC of the model's own scores while the lungs are hidden: whether it makes use of the rest.",
    "Source": "AUC at which a small classifier tells from the model's inner layers where a film comes from.",
    "Class by source": "Cramer's V: 0 where the source says nothing of the class, 1 where it says all.",
}

FIGURES = {  # as the judging room names them
    "AUC": "binary.auc",
    "Sensitivity": "binary.sensitivity",
    "Specificity": "binary.specificity",
    "PPV": "binary.ppv",
    "NPV": "binary.npv",
    "Accuracy": "binary.accuracy",
    "F1": "binary.f1",
    "Right class": "accuracy",
    "Macro F1": "macro_f1",
}
MORE = {
    "LR+": "binary.lr_positive",
    "LR-": "binary.lr_negative",
    "Average precision": "binary.average_precision",
    "Brier score": "binary.brier",
    "ECE": "binary.ece",
    "Balanced accuracy": "balanced_accuracy",
    "MCC": "mcc",
}
MORE_OF_CLASSES = {  # of two classes they say again what stands above
    "Macro AUC": "macro_auc",
    "Micro AUC": "micro_auc",
    "Brier score, classes": "brier",
    "ECE, classes": "ece",
}
OF_GROUPS = ("Right class", "AUC", "Sensitivity", "Specificity")
OF_CLASSES = {  # a figure of each class, and of their mean
    "Precision": ("precision", ""),
    "Recall": ("recall", "balanced_accuracy"),
    "F1": ("f1", "macro_f1"),
    "AUC": ("auc", "macro_auc"),
}


@dataclass(frozen=True)
class KeyFigure:
    name: str
    value: float
    interval: tuple[float, float] | None

    @property
    def meaning(self) -> str:
        return MEANING[self.name]


def key_numbers(
    evaluation: Evaluation, asked: BinaryQuestion | None, prevalence: float | None, intervals: Intervals = NONE
) -> list[KeyFigure]:
    """The numbers of a question, predictive values at that prevalence or the films'; without one, of the classes."""
    values = {"Right class": evaluation.accuracy, "Macro F1": evaluation.macro_f1}
    if asked is not None:
        counts = ConfusionCounts.from_question(asked)
        at = counts.prevalence if prevalence is None else prevalence
        right_class = {"Right class": evaluation.accuracy} if len(evaluation.classes) > 2 else {}
        values = {
            "AUC": evaluation.binary.auc if evaluation.binary else math.nan,
            "Sensitivity": counts.sensitivity,
            "Specificity": counts.specificity,
            "PPV": counts.ppv(at),
            "NPV": counts.npv(at),
            "Accuracy": counts.accuracy,
            "F1": counts.f1,
        } | right_class
    return [KeyFigure(name, value, intervals.get(name)) for name, value in values.items()]


def more_figures(found: Mapping[str, Interval], classes: int) -> pd.DataFrame:
    """A row a figure that is not among the key numbers: its value, its 95 % interval, what it means."""
    names = MORE | (MORE_OF_CLASSES if classes > 2 else {})
    rows = [(name, found[figure]) for name, figure in names.items() if figure in found]
    return pd.DataFrame(
        [(name, number_text(one.value), _reach(one), MEANING[name]) for name, one in rows],
        columns=["Figure", "Value", "95 % interval", "What it means"],
    )


def _reach(found: Interval) -> str:
    """From where to where an interval goes, which for a ratio may be without end; a dash where that is not known."""
    if math.isnan(found.low) or math.isnan(found.high):
        return "–"  # a hyphen alone would be a list's bullet in a table of Markdown
    return f"{found.low:.3f} or more" if math.isinf(found.high) else f"{found.low:.3f} to {found.high:.3f}"


def sure_numbers(found: SelectiveMetrics) -> list[KeyFigure]:
    """How many films lie outside of the unsure band, and how many answers are right there."""
    return [
        KeyFigure("Sure", found.share, None),
        KeyFigure("Right if sure", found.accuracy.value, bounds({"": found.accuracy}, {"": ""}).get("")),
    ]


def shortcut_numbers(found: ShortcutMeasurements) -> list[KeyFigure]:
    """The numbers of an audit that are shown first; of several classes, the mean of each against the rest."""
    shown = {one.name.capitalize(): one.auc for one in found.heads}
    shown |= {f"Own, {one.name}": one.auc for one in found.own if one.name == "lungs hidden"}
    shown |= {"Source": found.source.auc} if found.source else {}
    shown |= {"Class by source": found.together} if found.together else {}
    ends = bounds(shown, {name: name for name in shown})
    return [KeyFigure(name, figure.value, ends.get(name)) for name, figure in shown.items()]


def bounds(found: Mapping[str, Interval], names: Mapping[str, str] = FIGURES) -> Intervals:
    """The bounds of what is shown, by the names it is shown under; none of what the films cannot tell."""
    known = {shown: found[figure] for shown, figure in names.items() if figure in found}
    return {shown: (one.low, one.high) for shown, one in known.items() if math.isfinite(one.low + one.high)}


def figures_of(asked: Sequence[BinaryQuestion], figure: str) -> dict[str, str]:
    """What a figure of each question ("auc", "average_precision") is called by the judging room."""
    return {one.name: f"{figure}.{one.name}" if one.against == REST else f"binary.{figure}" for one in asked}


def class_table(evaluation: Evaluation, figures: Mapping[str, Interval]) -> pd.DataFrame:
    """The report of classes with 95 % intervals, and AUC against the rest; means are of the classes that have films."""
    report = class_report(evaluation)
    area = report["class"].map(evaluation.auc)
    there = area.notna()
    area.iloc[-2] = area[there].mean()
    area.iloc[-1] = np.average(area[there], weights=report["films"][there]) if there.any() else math.nan
    report.insert(4, "AUC", area)
    report.columns = pd.Index([str(name)[:1].upper() + str(name)[1:] for name in report])
    known = bounds(figures, {name: name for name in figures})
    for column, (figure, mean) in OF_CLASSES.items():
        ends = [known.get(name) for name in (*(f"{figure}.{one}" for one in evaluation.classes), mean, "")]
        report[column] = [number_text(value, one) for value, one in zip(report[column], ends, strict=True)]
    return report


def group_table(found: SubgroupMetrics) -> pd.DataFrame:
    """A row a group: its films and patients, and what can be told of it with 95 % intervals."""
    return pd.DataFrame([_group_row(found.column, group) for group in found.groups])


def _group_row(column: str, group: Subgroup) -> dict[str, str | int]:
    row: dict[str, str | int] = {column.capitalize(): group.name, "Films": group.n}
    if group.positive is not None and group.negative is not None:
        row |= {"With finding": group.positive, "Without": group.negative}
    row |= {"Patients": group.patients}
    for name in OF_GROUPS:
        figure = FIGURES[name]
        if figure in group.figures:
            row[name] = TOO_FEW if group.too_few(figure) else with_interval(group.figures[figure])
    return row


def with_interval(figure: Interval) -> str:
    """A figure with its interval, where that is known."""
    return number_text(figure.value, (figure.low, figure.high) if math.isfinite(figure.low + figure.high) else None)


def film_table(films: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """A row a film: each class's probability, its origin. No file name, as that is often a patient's."""
    scores = {name: films[PREFIX + name] for name in classes}
    return pd.DataFrame({**scores, "Dataset": films["dataset"], "Patient": films["patient"]})
