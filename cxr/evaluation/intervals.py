"""95% intervals over patients: Wilson's for proportions, on the logit scale for AUCs, a bootstrap for other metrics.

Films of one patient are not independent, so patients are what counts. A proportion gets Wilson's interval of as many
independent films as would vary as much as these do between patients. An AUC, and other metrics from 0 to 1, get an
interval that is symmetric on the logit scale, from the spread of a bootstrap that draws patients with replacement;
near 1, percentiles of such a bootstrap would be too narrow. All others get those percentiles. `bench/coverage.py`
measures how often each holds the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, isfinite, log, nan, sqrt
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator

from cxr.core.number_format import with_interval
from cxr.evaluation.metrics import Floats

LEVEL = 0.95
RESAMPLES = 2000
BLOCK = 64  # resamples at once: their weights stay in the processor's cache
MIN_DEFINED = 0.9  # the share of resamples that must have a value; otherwise too few patients carry the metric
MIN_PATIENTS = 2  # on the smaller side of an AUC
# An AUC is at most as certain as a proportion of this many times the patients on its smaller side. Where a few of a
# hundred patients are of a kind that the model cannot recognize and none is among these, nothing in the films shows it.
# 2 would suffice for any share of such patients and be too wide for all others; 4 would be right where there are none.
CERTAINTY = 3


@dataclass(frozen=True)
class Interval:
    """A value with its 95% interval; bounds that the films cannot tell are NaN."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether both bounds are finite."""
        return isfinite(self.low) and isfinite(self.high)

    def text(self, places: int = 3) -> str:
        """The value with its bounds, as in 0.912 (0.887–0.934); the value alone where they are not known."""
        return with_interval(self.value, self.low, self.high, places)

    def as_dict(self) -> dict[str, float | None]:
        """Ready for JSON: a number that is not finite is null."""
        return {name: value if isfinite(value) else None for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, float | None]) -> Interval:
        """What `as_dict` has made; KeyError, TypeError or ValueError where it is something else."""
        bounds = (stored[name] for name in ("value", "low", "high"))
        return cls(*(nan if bound is None else float(bound) for bound in bounds))


UNKNOWN = Interval(nan, nan, nan)


def _read_back(value: Any) -> Any:
    return (
        {name: nan if bound is None else bound for name, bound in value.items()} if isinstance(value, dict) else value
    )


StoredInterval = Annotated[Interval, BeforeValidator(_read_back)]  # in JSON, an unknown number is null


def bootstrap_weights(patient: NDArray[np.int64], resamples: int, seed: int) -> Iterator[Floats]:
    """Blocks of weights (films, resamples): how often each film's patient is drawn. Patients are 0, 1, 2, ..."""
    rng = np.random.default_rng(seed)
    people = int(patient.max()) + 1
    for start in range(0, resamples, BLOCK):
        block = min(BLOCK, resamples - start)
        drawn = rng.integers(people, size=(block, people)) + people * np.arange(block)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=people * block).reshape(block, people)
        yield counts.T.astype(np.float32)[patient]


def percentile_interval(value: float, samples: Floats) -> Interval:
    """The value with the 2.5th and 97.5th percentiles of its resamples."""
    known = _defined(value, samples)
    if known is None:
        return Interval(value, nan, nan)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    return Interval(value, float(low), float(high))


@dataclass(frozen=True)
class Support:
    """What a metric with an interval on the logit scale rests on."""

    patients: float  # on its smaller side, as `effective_patients` counts them
    certainty: float = CERTAINTY
    spread: float = 1.0  # by which it varies more than its resamples: those of a probe have only one set of probes


def logit_interval(value: float, samples: Floats, support: Support, level: float = LEVEL) -> Interval:
    """A metric from 0 to 1, such as an AUC, with an interval that is symmetric on the logit scale.

    Its reach is the standard deviation of the resamples times the quantile of Student's t for so many patients. No
    bound is tighter than Wilson's for a proportion of `certainty` times the patients: without that, a value of 1 had
    no uncertainty.
    """
    known = _defined(value, samples)
    return logit_interval_of_error(value, nan if known is None else float(known.std()), support, level)


def logit_interval_of_error(value: float, error: float, support: Support, level: float = LEVEL) -> Interval:
    """The same from the metric's standard error; without bounds where that is NaN."""
    from scipy.special import expit, stdtrit  # late: the first page does not need SciPy

    if not isfinite(value) or not isfinite(error) or support.patients < MIN_PATIENTS:
        return Interval(value, nan, nan)
    most = support.certainty * support.patients
    limit = wilson_interval(value * most, most, level)
    if not 0 < value < 1:
        return Interval(value, limit.low, limit.high)
    on_logits = support.spread * error / (value * (1 - value))
    center, reach = log(value / (1 - value)), stdtrit(support.patients - 1, (1 + level) / 2) * on_logits
    return Interval(value, min(limit.low, float(expit(center - reach))), max(limit.high, float(expit(center + reach))))


def normal_interval(value: float, error: float, level: float = LEVEL) -> Interval:
    """A metric with an interval that is symmetric, from its standard error; without bounds where that is 0 or NaN."""
    from scipy.special import ndtri

    reach = float(ndtri((1 + level) / 2)) * error
    return Interval(value, value - reach, value + reach) if reach > 0 else Interval(value, nan, nan)


def wilson_interval(part: float, whole: float, level: float = LEVEL) -> Interval:
    """A proportion with Wilson's score interval (1927)."""
    from scipy.special import ndtri

    if not whole:
        return UNKNOWN
    z = float(ndtri((1 + level) / 2))
    share = part / whole
    center = (share + z**2 / (2 * whole)) / (1 + z**2 / whole)
    reach = z / (1 + z**2 / whole) * sqrt(share * (1 - share) / whole + z**2 / (4 * whole**2))
    return Interval(share, max(0.0, center - reach) if part else 0.0, min(1.0, center + reach) if part < whole else 1.0)


def proportion_interval(hits: NDArray[np.bool_], patient: NDArray[np.int64]) -> Interval:
    """The share of films that are hits, with Wilson's interval of the effective number of films.

    That is the number of independent films whose share would vary as much: at most the films, at least the effective
    patients, which is the answer where all films are hits, or none (Korn and Graubard 1998, within these limits).
    """
    films = len(hits)
    if not films:
        return UNKNOWN
    share = float(hits.mean())
    by_patient = _films_by_patient(patient)
    least, count = _equal_patients(by_patient), np.count_nonzero(by_patient)
    effective = least
    if 0 < share < 1 and count > 1:
        of_patients = np.bincount(patient, hits - share)
        variance = count / (count - 1) * float((of_patients**2).sum()) / films**2
        effective = min(max(share * (1 - share) / variance, least), films) if variance > 0 else films
    bounds = wilson_interval(share * effective, effective)
    return Interval(share, bounds.low, bounds.high)


def effective_patients(patient: NDArray[np.int64]) -> float:
    """The number of patients with equally many films each that would tell as much as these (Kish 1965)."""
    return _equal_patients(_films_by_patient(patient))


def _films_by_patient(patient: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many films each patient has, by number; others may have none. Numbers are 0, 1, 2, ..., so they are few."""
    return np.bincount(patient)


def _equal_patients(films: NDArray[np.int64]) -> float:
    return float(films.sum() ** 2 / (films**2).sum()) if films.any() else 0.0


def ratio_interval(numerator: Interval, denominator: Interval) -> Interval:
    """The ratio of two proportions with an interval from their own (Donner and Zou 2012); it may have no upper end."""
    if not (numerator.known and denominator.known):
        return UNKNOWN
    above, below, product = numerator.value, denominator.value, numerator.value * denominator.value

    def root(of_numerator: float, of_denominator: float) -> float:
        inside = of_numerator * of_denominator * (2 * above - of_numerator) * (2 * below - of_denominator)
        return sqrt(max(product**2 - inside, 0.0))

    lowest, highest = numerator.low, denominator.low
    rest = product + root(lowest, denominator.high)
    low = lowest * (2 * above - lowest) / rest if rest else 0.0
    scale = highest * (2 * below - highest)
    high = (product + root(numerator.high, highest)) / scale if scale else inf
    return Interval(above / below if below else inf if above else nan, max(low, 0.0), high)


def _defined(value: float, samples: Floats) -> Floats | None:
    """The resamples that have a value; None where too few have one."""
    known = samples[np.isfinite(samples)]
    return None if np.isnan(value) or len(known) < max(MIN_DEFINED * len(samples), 1) else known
