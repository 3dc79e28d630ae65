"""The metrics of a model of several sources on its held-out films, from the scores stored with it.

    python bench/held_out.py [--model NAME] [--role test]

Prints a table: each metric with its 95% interval (a bootstrap over patients; Wilson's for a bare proportion) and the
target, from a paper or set by the project. Reads no film, so it takes seconds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from cxr.datasets.labels import LabelSpace  # noqa: E402
from cxr.evaluation.cases import labeled_cases  # noqa: E402
from cxr.evaluation.intervals import Interval, wilson_interval  # noqa: E402
from cxr.evaluation.metric_intervals import metric_intervals  # noqa: E402
from cxr.evaluation.scores import probabilities_of, read_scores  # noqa: E402
from cxr.registry import registry  # noqa: E402
from cxr.registry.card import Card  # noqa: E402

CHILDREN, HEALTHY_ADULTS = "kermany", "nih-adult"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="vgg16-broad")
    parser.add_argument("--role", choices=("test", "val"), default="test")
    options = parser.parse_args()
    card = registry.get_card(options.model)
    scores = read_scores(registry.evaluation_path(options.model))
    print(f"{card.name} {card.version}, {options.role}, threshold {card.threshold:.3f}\n")
    print("| metric | X-rays | value | target |\n|---|---|---|---|")
    for name, films, interval, target in rows(scores[scores["role"] == options.role], card):
        print(f"| {name} | {films} | {interval.text()} | {target} |")


def rows(scores: pd.DataFrame, card: Card) -> Iterator[tuple[str, int, Interval, str]]:
    """The rows of the table: name, number of films, metric and target."""
    labels = LabelSpace(card.classes, card.groups)
    children = scores[scores["dataset"] == CHILDREN]
    in_children = metric_intervals(labeled_cases(children, labels, card.threshold))
    yield "children, pneumonia vs normal, AUC", len(children), in_children["binary.auc"], "0.985"
    yield "children, accuracy at the threshold", len(children), in_children["binary.accuracy"], "0.93"
    yield "children, sensitivity", len(children), in_children["binary.sensitivity"], ""
    yield "children, specificity", len(children), in_children["binary.specificity"], ""
    two = two_kinds(children)
    yield "children, bacterial vs viral, AUC", len(two), viral_auc(two), "0.955"
    yield "children, three classes, accuracy", len(children), in_children["accuracy"], "0.91"
    everything = metric_intervals(labeled_cases(scores, labels, card.threshold))
    yield "all, four classes, macro F1", len(scores), everything["macro_f1"], "0.87"
    yield "all, pneumonia vs normal, AUC", len(scores), everything["binary.auc"], ""
    for dataset in sorted(set(scores["dataset"]) - {CHILDREN}):
        films = scores[scores["dataset"] == dataset]
        yield (
            f"{dataset}, AUC",
            len(films),
            metric_intervals(labeled_cases(films, labels, card.threshold))["binary.auc"],
            "",
        )
    healthy = scores[(scores["dataset"] == HEALTHY_ADULTS) & (scores["label"] == "normal")]
    predicted = np.array(card.classes)[labels.decide(probabilities_of(healthy, card.classes), card.threshold)]
    for name in ("covid19", "normal"):
        target = "at most 0.05" if name == "covid19" else ""
        yield (
            f"{HEALTHY_ADULTS}, normals predicted as {name}",
            len(healthy),
            wilson_interval(int((predicted == name).sum()), len(healthy)),
            target,
        )
    yield "all, expected calibration error of pneumonia", len(scores), everything["binary.ece"], "at most 0.04"
    yield "all, expected calibration error of the most probable class", len(scores), everything["ece"], "at most 0.04"


def two_kinds(children: pd.DataFrame) -> pd.DataFrame:
    """The children with pneumonia, with the scores of a model that has only the classes bacterial and viral."""
    pneumonia = children[children["label"].isin(["bacterial", "viral"])]
    both = pneumonia["p_bacterial"] + pneumonia["p_viral"]
    return pneumonia.assign(p_bacterial=pneumonia["p_bacterial"] / both, p_viral=pneumonia["p_viral"] / both)


def viral_auc(scores: pd.DataFrame) -> Interval:
    """The AUC of viral against bacterial pneumonia."""
    return metric_intervals(labeled_cases(scores, LabelSpace(("bacterial", "viral")), None))["auc.viral"]


if __name__ == "__main__":
    main()
