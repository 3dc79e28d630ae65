"""How often the tests and intervals of a reader study are right, on simulated readings.

    python bench/reader_study.py [--sets 2000] [--part comparison|kappa]

Prints Markdown tables. Readings come from the model of Roe and Metz (1997, Academic Radiology 4: 298-303): a reader's
rating is the sum of the case, of what the condition, the reader and both make of it, and of chance. Without a
difference between the conditions, a test at 5% should raise an alarm in 5% of the sets.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.core.number_format import percent  # noqa: E402
from cxr.evaluation.reader_study.agreement import cohen_kappa, fleiss_kappa  # noqa: E402
from cxr.evaluation.reader_study.jackknife import Figure, Readings, joint_estimates  # noqa: E402
from cxr.evaluation.reader_study.obuchowski_rockette import compare_conditions  # noqa: E402


@dataclass(frozen=True)
class Design:
    """A reader study to simulate: its size, how far the classes lie apart, and where the variance comes from."""

    readers: int = 5
    positives: int = 50
    negatives: int = 50
    distance: float = 1.5  # between the classes, in standard deviations
    reader: float = 0.0055  # variance of a reader's own distance; that of reader and condition is the same
    case: float = 0.3
    case_condition: float = 0.3
    case_reader: float = 0.2  # the rest, 0.2, is chance
    gain: float = 0.0  # by which the second condition sets the classes further apart
    levels: int = 11  # of the ratings; 0: any number


SHARED_VARIANCES = {"high correlation between readers": 0.3, "low correlation between readers": 0.1}
READER_VARIANCES = {"readers alike": 0.0055, "readers that differ": 0.0300}


def simulated_readings(design: Design, seed: int) -> Readings:
    """The ratings of all readers under the first condition, then under the second."""
    rng = np.random.default_rng(seed)
    reference = np.repeat([False, True], [design.negatives, design.positives])
    cases, readers = len(reference), design.readers

    def normal(variance: float, *shape: int) -> np.ndarray:
        return sqrt(variance) * rng.standard_normal(shape)

    chance = 1 - design.case - design.case_condition - design.case_reader
    distance = design.distance + normal(design.reader, 1, readers, 1) - normal(design.reader, 1, readers, 1)
    distance = distance + normal(design.reader, 2, readers, 1) - normal(design.reader, 2, readers, 1)
    distance = distance + design.gain * np.array([0, 1])[:, None, None]
    ratings = reference * distance + normal(design.case, 1, 1, cases) + normal(design.case_condition, 2, 1, cases)
    ratings = ratings + normal(design.case_reader, 1, readers, cases) + normal(chance, 2, readers, cases)
    ratings = ratings.reshape(2 * readers, cases)
    if design.levels:
        edges = design.distance / 2 + np.linspace(-2, 2, design.levels - 1)
        ratings = np.digitize(ratings, edges).astype(float)
    middle = design.levels // 2 if design.levels else design.distance / 2
    return Readings(reference, ratings, ratings > middle, np.arange(cases))


def comparison_table(sets: int) -> list[str]:
    """How often the comparison of two equal conditions finds a difference, and of two different ones."""
    lines = [
        "| readers | cases | variance | AUC | sensitivity | AUC, readers fixed | AUC, where it is 0.04 higher |",
        "|" + "---|" * 7,
    ]
    for title, shared in SHARED_VARIANCES.items():
        for spread, variance in READER_VARIANCES.items():
            for readers, cases in ((3, 50), (5, 100), (10, 100)):
                sized = Design(readers, cases // 2, cases // 2, reader=variance)
                design = replace(sized, case=shared, case_condition=shared)
                found = np.zeros(4)
                for seed in range(sets):
                    readings = simulated_readings(design, seed)
                    area = compare_conditions(joint_estimates(readings, Figure.AUC))
                    share = compare_conditions(joint_estimates(readings, Figure.SENSITIVITY))
                    better = simulated_readings(replace(design, gain=0.3), seed)
                    gain = compare_conditions(joint_estimates(better, Figure.AUC))
                    p = (area.all_readers.p, share.all_readers.p, area.these_readers.p, gain.all_readers.p)
                    found += np.array(p) < 0.05
                shares = " | ".join(percent(share, 1) for share in found / sets)
                lines.append(f"| {readers} | {cases} | {title}, {spread} | {shares} |")
    return lines


def kappa_table(sets: int) -> list[str]:
    """How often the 95% intervals of the kappas hold the kappa of very many cases."""
    lines = ["| cases | raters | kappa | held by Cohen's interval | held by Fleiss' interval |", "|" + "---|" * 5]
    for cases in (20, 50, 100):
        for raters, agreement in ((2, 0.6), (4, 0.6), (4, 0.9)):
            truth = _answers(np.random.default_rng(0), 400_000, raters, agreement)
            cohen, fleiss = _kappa(truth[:2], "cohen"), _kappa(truth, "fleiss")
            held = np.zeros(2)
            for seed in range(sets):
                answers = _answers(np.random.default_rng(seed + 1), cases, raters, agreement)
                first, several = cohen_kappa(answers[0], answers[1]), fleiss_kappa(answers)
                held += (first.low <= cohen <= first.high, several.low <= fleiss <= several.high)
            shares = " | ".join(percent(share, 1) for share in held / sets)
            lines.append(f"| {cases} | {raters} | {fleiss:.2f} | {shares} |")
    return lines


def _answers(rng: np.random.Generator, cases: int, raters: int, agreement: float) -> np.ndarray:
    """Answers of raters, who each see the truth with this probability and guess otherwise."""
    truth = rng.random(cases) < 0.4
    sees = rng.random((raters, cases)) < agreement
    return np.where(np.where(sees, truth, rng.random((raters, cases)) < 0.4), "finding", "normal")


def _kappa(answers: np.ndarray, kind: str) -> float:
    """The kappa of very many cases, without an interval."""
    counts = (answers == "finding").sum(axis=0)
    raters = len(answers)
    if kind == "cohen":
        observed, shares = float((answers[0] == answers[1]).mean()), (answers == "finding").mean(axis=1)
        expected = float(shares[0] * shares[1] + (1 - shares[0]) * (1 - shares[1]))
    else:
        pairs = counts * (counts - 1) + (raters - counts) * (raters - counts - 1)
        observed, share = float(pairs.mean()) / (raters * (raters - 1)), float(counts.mean()) / raters
        expected = share**2 + (1 - share) ** 2
    return (observed - expected) / (1 - expected)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=2000)
    parser.add_argument("--part", choices=("comparison", "kappa"), default=None)
    given = parser.parse_args()
    for part, table in (("comparison", comparison_table), ("kappa", kappa_table)):
        if given.part in (None, part):
            print("\n".join(table(given.sets)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
