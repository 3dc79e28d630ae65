"""Would more X-rays help? Heads trained on growing shares of the patients, a power law, and what twice as many bring.

Each head is tested on the patients of a fold that it never saw. The error is 1 - AUC (the mean over classes); it is
fitted by c + a n^-b, with n patients in training, c and a of at least 0 (Cortes 1994, Figueroa 2012). The interval
comes from fits to resampled folds and draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.evaluation.finished_steps import NOTHING_FINISHED, FinishedSteps
from cxr.evaluation.intervals import Interval, percentile_interval
from cxr.evaluation.shortcuts.probes import MACRO, ProbeTarget, auc_resamples, probe_probabilities

SHARES = (0.1, 0.2, 0.35, 0.6, 1.0)  # of the patients in training
DRAWS, FOLDS, RESAMPLES = 4, 5, 400
SLOWEST, FASTEST = 0.05, 2.0  # limits of the exponent b
FEWEST_PATIENTS = 40  # of each class
SEED = 0

Floats = NDArray[np.floating]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Errors by the number of patients in training, the fitted power law, and what twice as many would bring."""

    patients: tuple[int, ...]  # in training, one for each share
    auc: tuple[Interval, ...]  # the mean over folds and draws, with the range of 95% of their resamples
    power_law: tuple[float, float, float]  # c, a, b
    at_all: float  # the AUC that the power law gives for all patients
    doubled: Interval  # for twice as many
    gain: Interval  # of twice as many

    @property
    def helps(self) -> bool:
        """Whether the gain of twice as many patients is certainly above half a percentage point of AUC."""
        return self.gain.low > 0.005

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "patients": list(self.patients),
            "auc": [interval.as_dict() for interval in self.auc],
            "power_law": dict(zip("cab", self.power_law, strict=True)),
            "at_all": self.at_all,
            "doubled": self.doubled.as_dict(),
            "gain": self.gain.as_dict(),
            "helps": self.helps,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> LearningCurve:
        """What `as_dict` has made; KeyError, TypeError or ValueError where it is something else."""
        c, a, b = (float(stored["power_law"][name]) for name in "cab")
        return cls(
            patients=tuple(int(count) for count in stored["patients"]),
            auc=tuple(Interval.from_dict(interval) for interval in stored["auc"]),
            power_law=(c, a, b),
            at_all=float(stored["at_all"]),
            doubled=Interval.from_dict(stored["doubled"]),
            gain=Interval.from_dict(stored["gain"]),
        )


def learning_curve(
    features: Floats,
    target: ProbeTarget,
    progress: Progress,
    draws: int = DRAWS,
    steps: FinishedSteps = NOTHING_FINISHED,
) -> LearningCurve:
    """The learning curve of heads on these features; DatasetError where there are too few patients.

    The folds that `steps` has are not done again.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if len(target.classes) < 2 or target.patients.min() < FEWEST_PATIENTS:
        raise DatasetError(
            f"A learning curve needs two classes with X-rays of at least {FEWEST_PATIENTS} patients each.",
            code="too-few-patients",
        )
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    rng = np.random.default_rng(SEED)
    found = []
    for fold, (train, test) in enumerate(folds.split(features, target.class_index, target.patient)):
        task = _Fold(features, target, train, test, [_shuffled_patients(target, train, rng) for _ in range(draws)])
        done = fold * draws * len(SHARES)

        def report(more: int, before: int = done) -> None:
            progress(before + more, FOLDS * draws * len(SHARES))

        found.append(steps.arrays(f"fold-{fold}", partial(task.errors, report)))
        report(draws * len(SHARES))
    counts = np.stack([one["patients"] for one in found])
    return curve_of(np.round(counts.mean(axis=0)).astype(np.int64), np.stack([one["errors"] for one in found]))


@dataclass(frozen=True, eq=False)
class _Fold:
    """The patients of a fold, and those of all others in several random orders."""

    features: Floats
    target: ProbeTarget
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    orders: list[NDArray[np.int64]]

    def errors(self, report: Callable[[int], None]) -> dict[str, NDArray[Any]]:
        """The error of heads (draws, shares), and how many patients each share has."""
        target, features = self.target, self.features
        tested = target.subset(np.isin(np.arange(len(features)), self.test))
        errors = np.empty((len(self.orders), len(SHARES)))
        counts = np.empty(len(SHARES), np.int64)
        for draw, order in enumerate(self.orders):
            for k, share in enumerate(SHARES):
                chosen = order[: max(2 * len(target.classes), round(share * len(order)))]
                counts[k] = len(chosen)
                rows = self.train[np.isin(target.patient[self.train], chosen)]
                scores = probe_probabilities(
                    features[rows], target.class_index[rows], features[np.sort(self.test)], len(target.classes)
                )
                errors[draw, k] = 1 - float(auc_resamples(scores, tested, 0)[MACRO][0])
                report(draw * len(SHARES) + k + 1)
        return {"errors": errors, "patients": counts}


def curve_of(patients: NDArray[np.int64], errors: Floats, seed: int = 0) -> LearningCurve:
    """The learning curve of errors (folds, draws, shares) at these numbers of patients."""
    mean, most = errors.mean(axis=(0, 1)), float(patients[-1])
    law = fit_power_law(patients, mean)
    rng, samples = np.random.default_rng(seed), []
    for _ in range(RESAMPLES):
        folds = rng.integers(len(errors), size=len(errors))
        drawn = rng.integers(errors.shape[1], size=(len(errors), errors.shape[1]))
        samples.append(errors[folds[:, None], drawn].mean(axis=(0, 1)))
    spread = np.array(samples)
    laws = fit_power_laws(patients, spread)
    once, twice = (np.array([power_law(count, *one) for one in laws]) for count in (most, 2 * most))
    at_all, doubled = power_law(most, *law), power_law(2 * most, *law)
    return LearningCurve(
        patients=tuple(int(count) for count in patients),
        auc=tuple(percentile_interval(1 - float(mean[k]), 1 - spread[:, k]) for k in range(len(patients))),
        power_law=law,
        at_all=1 - at_all,
        doubled=percentile_interval(1 - doubled, 1 - twice),
        gain=percentile_interval(at_all - doubled, once - twice),
    )


def fit_power_law(patients: NDArray[np.int64], errors: Floats) -> tuple[float, float, float]:
    """The c, a and b of c + a n^-b with the least squared distance; c and a are at least 0."""
    c, a, b = fit_power_laws(patients, errors[None])[0]
    return float(c), float(a), float(b)


def fit_power_laws(patients: NDArray[np.int64], errors: Floats) -> Floats:
    """The c, a and b of each row of errors (curves, shares).

    For each exponent of a grid the best c and a are those of a regression with two non-negative weights: the plain one
    where both are, otherwise the better of the two with one weight alone.
    """
    exponents = np.geomspace(SLOWEST, FASTEST, 60)
    x = (patients / patients[0]) ** -exponents[:, None]  # (exponents, shares)
    mean_x, mean_y = x.mean(axis=1), errors.mean(axis=1)
    slope = (errors @ (x - mean_x[:, None]).T) / ((x - mean_x[:, None]) ** 2).sum(axis=1)
    through_0 = (errors @ x.T) / (x**2).sum(axis=1)
    flat = np.broadcast_to(mean_y[:, None], slope.shape)
    zero = np.zeros_like(slope)
    options = [(mean_y[:, None] - slope * mean_x, slope), (zero, through_0), (flat, zero)]
    distances, weights = [], []
    for c, a in options:
        residual = errors[:, None] - c[..., None] - a[..., None] * x[None]
        distance = (residual**2).sum(axis=2)
        distances.append(np.where((c >= 0) & (a >= 0), distance, np.inf))
        weights.append((c, a))
    flat_index = np.stack(distances, axis=1).reshape(len(errors), -1).argmin(axis=1)
    option, place = np.divmod(flat_index, len(exponents))
    rows = np.arange(len(errors))
    c, a = (np.stack([pair[part] for pair in weights])[option, rows, place] for part in (0, 1))
    b = exponents[place]
    return np.column_stack([c, a * float(patients[0]) ** b, b])


def power_law(patients: float, c: float, a: float, b: float) -> float:
    """The error that the power law gives for so many patients."""
    return float(c + a * patients**-b)


def _shuffled_patients(target: ProbeTarget, train: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The patients in training in random order, those of all classes evenly mixed, so that no share lacks a class."""
    places = []
    for k in range(len(target.classes)):
        own = np.unique(target.patient[train[target.class_index[train] == k]])
        rank = (rng.permutation(len(own)) + 0.5) / len(own)
        places += list(zip(rank, own, strict=True))
    order = [person for _, person in sorted(places)]
    return np.array(list(dict.fromkeys(order)), np.int64)
