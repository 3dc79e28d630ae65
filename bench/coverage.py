"""How often a 95% interval holds the truth and a test at 5% raises a false alarm, on simulated X-rays.

    python bench/coverage.py [aucs] [many] [shares] [tests] [worst] [heads] [--sets 1000] [--resamples 400]

Prints Markdown tables, of the named parts or of all. Several X-rays a patient are 1 to 12, 2.5 on average; patients of
one kind differ more from each other than their X-rays do (correlation 0.7). "Unrecognized": that share of the patients
with the finding scores like those without it, and the others score far higher.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from scipy.stats import norm  # noqa: E402

from cxr.core.number_format import percent  # noqa: E402
from cxr.datasets.labels import LabelSpace  # noqa: E402
from cxr.evaluation.cases import LabeledCases, labeled_cases  # noqa: E402
from cxr.evaluation.intervals import (  # noqa: E402
    Interval,
    bootstrap_weights,
    percentile_interval,
    proportion_interval,
    wilson_interval,
)
from cxr.evaluation.metric_intervals import metric_intervals  # noqa: E402
from cxr.evaluation.metrics import ranking_metrics  # noqa: E402
from cxr.evaluation.significance import delong_p, mcnemar_p  # noqa: E402
from cxr.evaluation.standard_errors import MANY_PATIENTS  # noqa: E402
from cxr.evaluation.subgroups import worst_gap  # noqa: E402

LABELS = LabelSpace(("normal", "pneumonia"))
PATIENTS = (50, 200, 428)
PREVALENCE = 0.4
WITHIN = 0.7  # correlation of the X-rays of a patient
FAR = 4.5  # standard deviations between X-rays with and without the finding, where it is recognized
RANKED = ("binary.auc", "binary.average_precision", "binary.f1", "balanced_accuracy", "mcc", "binary.brier")
Values = NDArray[np.floating]


@dataclass(frozen=True)
class Population:
    """Patients, some with the finding, and the scores of their X-rays."""

    distance: float  # between X-rays with the finding and without it, in standard deviations
    unrecognized: float = 0.0  # the share of patients with the finding who score as those without it
    several: bool = False  # X-rays a patient

    @property
    def auc(self) -> float:
        """The AUC among infinitely many patients."""
        recognized = float(norm.cdf(self.distance / sqrt(2)))
        return (1 - self.unrecognized) * recognized + self.unrecognized / 2

    def draw(self, rng: np.random.Generator, patients: int) -> LabeledCases:
        """The cases of so many patients, at the threshold halfway between both kinds."""
        finding = np.arange(patients) < round(PREVALENCE * patients)
        seen = finding & (rng.random(patients) >= self.unrecognized)
        patient = films_of(rng, patients, self.several)
        score = self.distance * seen[patient] + alike(rng, patient)
        p = norm.cdf(score - self.distance / 2).round(9)
        table = pd.DataFrame({"label": np.where(finding[patient], *reversed(LABELS.classes)), "patient": patient})
        return labeled_cases(table.assign(p_normal=1 - p, p_pneumonia=p), LABELS, 0.5)


def films_of(rng: np.random.Generator, patients: int, several: bool) -> NDArray[np.int64]:
    """The patient of each X-ray: one each, or 1 to 12."""
    films = np.clip(rng.geometric(0.4, patients), 1, 12) if several else np.ones(patients, int)
    return np.repeat(np.arange(patients), films)


def alike(rng: np.random.Generator, patient: NDArray[np.int64], within: float = WITHIN) -> Values:
    """A standard normal number for each X-ray; those of a patient are alike."""
    shared = rng.normal(size=int(patient.max()) + 1)[patient]
    return sqrt(within) * shared + sqrt(1 - within) * rng.normal(size=len(patient))


def held(intervals: list[Interval], truth: float) -> str:
    """The share of intervals that hold the truth."""
    return percent(float(np.mean([x.low - 1e-12 <= truth <= x.high + 1e-12 for x in intervals])), 1)


def width(intervals: list[Interval]) -> str:
    """The mean width of the intervals."""
    return f"{np.mean([x.high - x.low for x in intervals]):.3f}"


def aucs(sets: int, resamples: int) -> Iterator[tuple[str, ...]]:
    """Coverage of the intervals of ranking and other metrics."""
    yield ("AUC", "scores", "X-rays a patient", "patients", "AUC, percentiles", "AUC", "width", *RANKED[1:])
    kinds = [(f"{auc:.3f}", Population(sqrt(2) * float(norm.ppf(auc)))) for auc in (0.8, 0.95, 0.99)]
    kinds += [(f"{one.auc:.3f}", one) for one in (Population(FAR, share) for share in (0.1, 0.02))]
    for name, kind in kinds:
        for several in (False, True):
            population = Population(kind.distance, kind.unrecognized, several)
            truth = metric_intervals(population.draw(np.random.default_rng(1), 200_000), 1)
            for patients in PATIENTS:
                rng = np.random.default_rng(patients)
                drawn = [population.draw(rng, patients) for _ in range(sets)]
                found = [metric_intervals(cases, resamples, seed) for seed, cases in enumerate(drawn)]
                plain = [_percentiles(cases, resamples, seed) for seed, cases in enumerate(drawn)]
                auc = [intervals["binary.auc"] for intervals in found]
                others = (held([x[key] for x in found if x[key].known], truth[key].value) for key in RANKED[1:])
                scores = f"{percent(kind.unrecognized)} unrecognized" if kind.unrecognized else "binormal"
                start = (name, scores, "1 to 12" if several else "1", str(patients))
                yield (*start, held(plain, kind.auc), held(auc, kind.auc), width(auc), *others)


def many(sets: int, resamples: int) -> Iterator[tuple[str, ...]]:
    """Coverage of the same intervals of many patients, which are made of standard errors, without resamples."""
    yield ("AUC", "X-rays a patient", "patients", "AUC", "width", *RANKED[1:])
    for auc in (0.8, 0.95, 0.99):
        for several in (False, True):
            population = Population(sqrt(2) * float(norm.ppf(auc)), several=several)
            truth = metric_intervals(population.draw(np.random.default_rng(1), 1_000_000), 1)
            rng = np.random.default_rng(0)
            found = [metric_intervals(population.draw(rng, MANY_PATIENTS)) for _ in range(sets)]
            intervals = [one["binary.auc"] for one in found]
            others = (held([one[key] for one in found], truth[key].value) for key in RANKED[1:])
            start = (str(auc), "1 to 12" if several else "1", f"{MANY_PATIENTS:,}")
            yield (*start, held(intervals, auc), width(intervals), *others)


def _percentiles(cases: LabeledCases, resamples: int, seed: int) -> Interval:
    """The AUC with the percentiles of the bootstrap, as in 0.2.0."""
    truth = cases.binary_reference == 1
    drawn = [
        ranking_metrics(cases.binary_scores, truth, weights)[0]
        for weights in bootstrap_weights(cases.patient, resamples, seed)
    ]
    value = float(ranking_metrics(cases.binary_scores, truth, np.ones((cases.n, 1)))[0][0])
    return percentile_interval(value, np.concatenate(drawn))


def shares(sets: int, resamples: int) -> Iterator[tuple[str, ...]]:
    """Coverage of the intervals of a proportion, such as accuracy, sensitivity or PPV."""
    yield (
        "share",
        "X-rays a patient",
        "patients",
        "percentiles",
        "Wilson, all X-rays",
        "Wilson, effective X-rays",
        "width",
    )
    for share in (0.8, 0.95, 0.99):
        for several in (False, True):
            for patients in (20, *PATIENTS):
                rng, kinds = np.random.default_rng(patients), ([], [], [])  # type: tuple[np.random.Generator, tuple[list[Interval], ...]]
                for seed in range(sets):
                    patient = films_of(rng, patients, several)
                    hits = alike(rng, patient) < norm.ppf(share)
                    value = float(hits.mean())
                    drawn = [hits @ w / w.sum(axis=0) for w in bootstrap_weights(patient, resamples, seed)]
                    kinds[0].append(percentile_interval(value, np.concatenate(drawn)))
                    kinds[1].append(wilson_interval(int(hits.sum()), len(hits)))
                    kinds[2].append(proportion_interval(hits, patient))
                yield (
                    f"{share}", "1 to 12" if several else "1", str(patients),
                    *(held(kind, share) for kind in kinds), width(kinds[2]),
                )  # fmt: skip


def tests(sets: int, resamples: int) -> Iterator[tuple[str, ...]]:
    """How often two equally good models differ at p < 0.05."""
    yield (
        "AUC",
        "X-rays a patient",
        "patients",
        "DeLong",
        "DeLong, X-rays as patients",
        "McNemar",
        "McNemar, X-rays as patients",
    )
    for auc in (0.8, 0.95, 0.99):
        distance = sqrt(2) * float(norm.ppf(auc))
        for several in (False, True):
            for patients in PATIENTS:
                rng, p = np.random.default_rng(patients), []
                for _ in range(sets):
                    patient = films_of(rng, patients, several)
                    truth = (np.arange(patients) < round(PREVALENCE * patients))[patient]
                    scores = np.stack([distance * truth + alike(rng, patient) for _ in range(2)])
                    first, second = (scores >= distance / 2) == truth
                    ways = (patient, np.arange(len(patient)))
                    p.append([[f(by) for by in ways] for f in _both_tests(truth, scores, first, second)])
                alarms = (np.array(p) < 0.05).mean(axis=0).ravel()
                yield (f"{auc}", "1 to 12" if several else "1", str(patients), *(percent(x, 1) for x in alarms))


def _both_tests(truth: NDArray[np.bool_], scores: Values, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[
    Callable[[NDArray[np.int64]], float], ...
]:  # fmt: skip
    return lambda by: delong_p(truth, scores, by), lambda by: mcnemar_p(first, second, by)


def worst(sets: int, resamples: int) -> Iterator[tuple[str, ...]]:
    """How often one of several equally good subgroups is called worse than all other X-rays."""
    yield ("subgroups", "patients in each", "X-rays a patient", "accuracy", "called worse", "not corrected")
    for groups, patients in ((2, 100), (8, 25), (8, 100), (15, 25), (15, 100)):
        for several in (False, True):
            for share in (0.75, 0.95):
                rng, called = np.random.default_rng(groups), []
                for seed in range(sets):
                    patient = films_of(rng, groups * patients, several)
                    hits = alike(rng, patient) < norm.ppf(share)
                    called.append(_called(hits, patient, groups, (resamples, seed)))
                rates = (percent(float(rate), 1) for rate in np.mean(called, axis=0))
                yield (f"{groups}", f"{patients}", "1 to 12" if several else "1", f"{share}", *rates)


def _called(
    hits: NDArray[np.bool_], patient: NDArray[np.int64], groups: int, how: tuple[int, int]
) -> tuple[bool, bool]:
    """Whether the subgroup whose interval ends lowest is called worse, corrected and by the percentiles of 0.2.0."""
    resamples, seed = how
    p = np.where(hits, 0.9, 0.1)
    table = pd.DataFrame({"label": "normal", "patient": patient, "p_normal": p, "p_pneumonia": 1 - p})
    cases = labeled_cases(table, LABELS, 0.5)
    sides = [patient % groups == k for k in range(groups)]
    lowest = int(np.argmin([proportion_interval(hits[own], patient[own]).high for own in sides]))
    corrected = worst_gap(cases, sides, lowest, "accuracy", resamples, seed)
    own = sides[lowest]
    drawn = [hits[own] @ w[own] / w[own].sum(axis=0) - hits[~own] @ w[~own] / w[~own].sum(axis=0)
             for w in bootstrap_weights(cases.patient, resamples, seed)]  # fmt: skip
    plain = percentile_interval(float(hits[own].mean() - hits[~own].mean()), np.concatenate(drawn))
    return corrected.high < 0, plain.high < 0


def heads(sets: int, resamples: int) -> Iterator[tuple[str, ...]]:
    """How often the interval of a probe that has nothing to learn holds 0.5."""
    from cxr.evaluation.shortcuts.probes import MACRO, ProbeTarget, auc_intervals, auc_resamples
    from cxr.evaluation.shortcuts.probes import cross_validated_probabilities as probe

    yield ("patients of each class", "features", "percentiles", "interval", "of which above 0.5", "mean AUC")
    for patients in (10, 15, 20, 30):
        for features in (1, 16, 512):
            rng, found, plain = np.random.default_rng(patients), [], []
            target = ProbeTarget(("a", "b"), np.repeat([0, 1], patients), np.arange(2 * patients))
            for seed in range(sets):
                scores = probe(rng.normal(size=(2 * patients, features)), target, seed)
                found.append(auc_intervals(scores, target, resamples, seed)[MACRO])
                plain.append(
                    percentile_interval(found[-1].value, auc_resamples(scores, target, resamples, seed)[MACRO])
                )
            above = percent(float(np.mean([x.low > 0.5 for x in found])), 1)
            mean = f"{np.mean([x.value for x in found]):.3f}"
            yield (f"{patients}", f"{features}", held(plain, 0.5), held(found, 0.5), above, mean)


PARTS = {part.__name__: part for part in (aucs, many, shares, tests, worst, heads)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=400)
    options = parser.parse_args()
    for name in options.parts or PARTS:
        print(f"\n{(PARTS[name].__doc__ or '').strip()} {options.sets} sets each.\n", flush=True)
        for i, row in enumerate(PARTS[name](options.sets, options.resamples)):
            print(f"| {' | '.join(row)} |{chr(10) + '|---' * len(row) + '|' if not i else ''}", flush=True)


if __name__ == "__main__":
    main()
