"""Counts of a model's readings: scores, reasons of the input check, and moments of features. No image, no identity.

The reference that weeks are compared with is such a tally too: of validation X-rays, or of weeks that somebody chose.
Features are the places along the principal axes of the training X-rays that the input check knows, and the distance
from these X-rays; their sums and the sums of their products give mean and covariance of any weeks together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxr.inference.input_check.findings import InputCheckCode, InputCheckResult

if TYPE_CHECKING:
    from cxr.inference.classifier import Prediction
    from cxr.inference.input_check.detector import InputCheck

BINS = 50  # of the score, from 0 to 1
MOST_AXES = 16  # principal axes whose moments are counted
MOST_PLACE = 4.0  # standard deviations, beyond which a place counts as there: a single X-ray moves no mean
DECIMALS = 4
# Reasons that are no departure: they are of the file or the patient, and validation X-rays may have them.
NO_DEPARTURE = frozenset({InputCheckCode.LOW_RESOLUTION, InputCheckCode.AGE, InputCheckCode.FRONTAL})

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Observation:
    """What is counted of one reading."""

    score: float | None  # P(finding); None where the input check rejects the image
    questioned: bool  # rejected, or with a warning of the input check
    reasons: tuple[str, ...]
    places: Floats | None  # None where the image is rejected, or its features are not known
    checked: bool = True  # whether an input check looked at the image; without one, a header alone may reject it


@dataclass(frozen=True)
class Tally:
    """Counts of readings of one model."""

    checked: int = 0  # readings that the input check looked at
    questioned: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    scores: tuple[int, ...] = (0,) * BINS
    places: int = 0  # readings among the sums
    sums: tuple[float, ...] = ()
    products: tuple[float, ...] = ()  # row by row of the upper triangle
    basis: str = ""  # of which input check the places are

    def __post_init__(self) -> None:
        numbers = (self.checked, self.questioned, self.rejected, self.places, *self.scores, *self.reasons.values())
        size = len(self.sums)
        if len(self.scores) != BINS or min(numbers) < 0 or len(self.products) != size * (size + 1) // 2:
            raise ValueError("these are not the counts of readings")
        if not np.isfinite([*self.sums, *self.products]).all():
            raise ValueError("these are not the sums of features")

    @property
    def scored(self) -> int:
        """The number of readings with a score."""
        return sum(self.scores)

    @property
    def readings(self) -> int:
        """The number of readings."""
        return self.scored + self.rejected

    @property
    def mean_score(self) -> float:
        """The mean score, to the width of a bin; NaN where there is none."""
        return float(self.scores @ centers()) / self.scored if self.scored else float("nan")

    @property
    def questioned_share(self) -> float:
        """The share of images that the input check rejects or warns of; NaN where none was checked."""
        return self.questioned / self.checked if self.checked else float("nan")

    @property
    def mean(self) -> Floats:
        """The mean of the places and the distance."""
        return np.array(self.sums) / max(1, self.places)

    @property
    def covariance(self) -> Floats:
        """Their covariance."""
        size = len(self.sums)
        square = np.zeros((size, size))
        square[np.triu_indices(size)] = self.products
        square += np.triu(square, 1).T
        mean = self.mean
        return (square - self.places * np.outer(mean, mean)) / max(1, self.places - 1)

    @classmethod
    def of(cls, observations: Iterable[Observation], basis: str = "") -> Tally:
        """The counts of these readings."""
        observations = list(observations)
        scores = [one.score for one in observations if one.score is not None]
        places = [one.places for one in observations if one.places is not None]
        reasons = dict(Counter(reason for one in observations for reason in one.reasons))
        found = np.stack(places) if places else np.zeros((0, 0))
        products = (found.T @ found)[np.triu_indices(found.shape[1])]
        return cls(
            checked=sum(one.checked for one in observations),
            questioned=sum(one.checked and one.questioned for one in observations),
            rejected=sum(one.score is None for one in observations),
            reasons=reasons,
            scores=histogram(np.array(scores)),
            places=len(places),
            sums=_rounded(found.sum(axis=0)),
            products=_rounded(products),
            basis=basis if places else "",
        )

    def plus(self, other: Tally) -> Tally:
        """The counts of both."""
        return total([self, other])


def total(tallies: Sequence[Tally]) -> Tally:
    """The counts of all; where their places are of different input checks, those of the last one alone."""
    with_places = [tally for tally in tallies if tally.places]
    basis = with_places[-1].basis if with_places else ""
    same = [tally for tally in with_places if tally.basis == basis]
    reasons: Counter[str] = Counter()
    for tally in tallies:
        reasons.update(tally.reasons)
    return Tally(
        checked=sum(tally.checked for tally in tallies),
        questioned=sum(tally.questioned for tally in tallies),
        rejected=sum(tally.rejected for tally in tallies),
        reasons=dict(reasons),
        scores=tuple(np.sum([tally.scores for tally in tallies], axis=0).tolist()) if tallies else (0,) * BINS,
        places=sum(tally.places for tally in same),
        sums=_rounded(np.sum([tally.sums for tally in same], axis=0)) if same else (),
        products=_rounded(np.sum([tally.products for tally in same], axis=0)) if same else (),
        basis=basis,
    )


def centers() -> Floats:
    """The middle of each bin of the score."""
    return (np.arange(BINS) + 0.5) / BINS


def histogram(scores: Floats) -> tuple[int, ...]:
    """How many scores are in each bin."""
    bins = np.clip((np.asarray(scores, float) * BINS).astype(int), 0, BINS - 1)
    return tuple(int(count) for count in np.bincount(bins, minlength=BINS))


def observe(prediction: Prediction, check: InputCheck | None) -> Observation:
    """What is counted of a prediction."""
    result = prediction.input_check
    rejected = bool(result and result.rejected)
    return observation_of(None if rejected else prediction.positive_probability, result, prediction.features, check)


def observation_of(
    score: float | None, result: InputCheckResult | None, features: Floats, check: InputCheck | None
) -> Observation:
    """What is counted of an image with this score, or without one where it is rejected."""
    reasons = tuple(reason.code.value for reason in result.reasons) if result else ()
    questioned = score is None or is_departure(reasons)
    places = None if score is None or check is None else places_of(features, check)
    return Observation(score, questioned, reasons, places, check is not None)


def is_departure(reasons: Iterable[str]) -> bool:
    """Whether the input check questions an image for more than its size or the patient's age."""
    return any(reason not in NO_DEPARTURE for reason in reasons)


def places_of(features: Floats, check: InputCheck) -> Floats:
    """The places of images along the axes of the training X-rays, and the logarithm of their distance from these."""
    from cxr.inference.input_check.detector import MAX_CLOUD_DEVIATION

    cloud = check.frontal
    standard = np.clip((features - cloud.mean) / cloud.scale, -MAX_CLOUD_DEVIATION, MAX_CLOUD_DEVIATION)
    spread = np.sqrt(np.maximum(cloud.spread[:-1], 1e-6))[:MOST_AXES]
    along = (standard @ cloud.axes)[..., :MOST_AXES] / spread
    distance = np.log(np.maximum(cloud.distance(features), 1e-3))
    places = np.concatenate([along, np.asarray(distance)[..., None]], axis=-1)
    return np.clip(places, -MOST_PLACE, MOST_PLACE)


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(np.round(np.asarray(values, float), DECIMALS).tolist())
