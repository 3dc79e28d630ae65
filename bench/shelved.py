"""What a model of several sources reaches on the films that it was not trained on, from the scores stored with it.

    python bench/shelved.py [--model NAME] [--role test]

Prints a table: each figure with its 95 % interval (a bootstrap over patients; Wilson's for the bare share), and, from a
paper or an aim of ours, what it is held against. Reads no film, so it takes seconds.
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
from cxr.evaluation.intervals import (  # noqa: E402
    Interval,  # noqa: E402
    metric_intervals,
    wilson_interval,
)
from cxr.evaluation.scores import probabilities_of, read_scores  # noqa: E402
from cxr.registry import default_model, registry  # noqa: E402
from cxr.registry.card import Card  # noqa: E402

CHILDREN, HEALTHY_ADULTS = "kermany", "nih-adult"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=default_model.default_name())
    parser.add_argument("--role", choices=("test", "val"), default="test")
    asked = parser.parse_args()
    card = registry.get_card(asked.model)
    scores = read_scores(registry.evaluation_path(asked.model))
    print(f"{card.name} {card.version}, {asked.role}, threshold {card.threshold:.3f}\n")
    print("| figure | films | reached | to reach |\n|---|---|---|---|")
    for name, films, found, wanted in rows(scores[scores["role"] == asked.role], card):
        bounds = "" if np.isnan(found.low) else f" ({found.low:.3f} to {found.high:.3f})"
        print(f"| {name} | {films} | {found.value:.3f}{bounds} | {wanted} |")


def rows(scores: pd.DataFrame, card: Card) -> Iterator[tuple[str, int, Interval, str]]:
    """Name, number of films, figure, and what it is held against."""
    labels = LabelSpace(card.classes, card.groups)
    children = scores[scores["dataset"] == CHILDREN]
    of_children = metric_intervals(labeled_cases(children, labels, card.threshold))
    yield "children, pneumonia against normal, AUC", len(children), of_children["binary.auc"], "0.985"
    yield "children, accuracy at the threshold", len(children), of_children["binary.accuracy"], "0.93"
    yield "children, sensitivity", len(children), of_children["binary.sensitivity"], ""
    yield "children, specificity", len(children), of_children["binary.specificity"], ""
    two = two_kinds(children)
    yield "children, bacterial against viral, AUC", len(two), viral_auc(two), "0.955"
    yield "children, three classes, accuracy", len(children), of_children["accuracy"], "0.91"
    everything = metric_intervals(labeled_cases(scores, labels, card.threshold))
    yield "all, four classes, macro F1", len(scores), everything["macro_f1"], "0.87"
    yield "all, pneumonia against normal, AUC", len(scores), everything["binary.auc"], ""
    for dataset in sorted(set(scores["dataset"]) - {CHILDREN}):
        of_set = scores[scores["dataset"] == dataset]
        yield (
            f"{dataset}, AUC",
            len(of_set),
            metric_intervals(labeled_cases(of_set, labels, card.threshold))["binary.auc"],
            "",
        )
    healthy = scores[(scores["dataset"] == HEALTHY_ADULTS) & (scores["label"] == "normal")]
    called = np.array(card.classes)[labels.decide(probabilities_of(healthy, card.classes), card.threshold)]
    for name in ("covid19", "normal"):
        wanted = "0.05 at most" if name == "covid19" else ""
        yield (
            f"{HEALTHY_ADULTS}, normals called {name}",
            len(healthy),
            wilson_interval(sum(called == name), len(healthy)),
            wanted,
        )
    yield "all, calibration error of pneumonia", len(scores), everything["binary.ece"], "0.04 at most"
    yield "all, calibration error of the most probable class", len(scores), everything["ece"], "0.04 at most"


def two_kinds(children: pd.DataFrame) -> pd.DataFrame:
    """The ill children, as a model that knows bacterial and viral alone would score them."""
    ill = children[children["label"].isin(["bacterial", "viral"])]
    both = ill["p_bacterial"] + ill["p_viral"]
    return ill.assign(p_bacterial=ill["p_bacterial"] / both, p_viral=ill["p_viral"] / both)


def viral_auc(scores: pd.DataFrame) -> Interval:
    return metric_intervals(labeled_cases(scores, LabelSpace(("bacterial", "viral")), None))["auc.viral"]


if __name__ == "__main__":
    main()
