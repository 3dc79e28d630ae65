"""The result of a learning-rate range test: the loss at rising rates, and what it says (Smith, 2017, arXiv 1506.01186).

One short training, whose rate rises from step to step. Where the loss falls fastest a rate does most; where the loss
rises it is too high.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter

from cxr.core.atomic_files import write_atomically

FILE = "rate-test.json"
LOWEST_RATE, HIGHEST_RATE, STEPS = 1e-6, 3.0, 120
SMOOTHING = 0.9  # of the loss, over the steps
DIVERGED = 3.0  # times the lowest loss: the test ends
SAFE_SHARE = 0.1  # of the rate with the lowest loss
FIRST_STEPS = 5  # that say too little


@dataclass(frozen=True)
class RateRange:
    """The rates of a test, with the loss of each step."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def smoothed(self) -> NDArray[np.float64]:
        """The loss as a moving average, corrected for its start."""
        return smooth(self.losses)

    @property
    def lowest(self) -> float | None:
        """The rate with the lowest smoothed loss; None where too few steps were made."""
        if len(self.rates) <= FIRST_STEPS:
            return None
        return self.rates[FIRST_STEPS + int(np.argmin(self.smoothed[FIRST_STEPS:]))]

    @property
    def steepest(self) -> float | None:
        """The rate at which the smoothed loss falls fastest; None where it never falls."""
        if self.lowest is None:
            return None
        slope = np.gradient(self.smoothed, np.log(self.rates))
        end = self.rates.index(self.lowest) + 1
        if end - FIRST_STEPS < 1 or (slope[FIRST_STEPS:end] >= 0).all():
            return None
        return self.rates[FIRST_STEPS + int(np.argmin(slope[FIRST_STEPS:end]))]

    @property
    def suggested(self) -> float | None:
        """A rate that is safe to train with: a tenth of that with the lowest loss; None where the loss never falls."""
        if self.lowest is None or self.steepest is None:
            return None
        return float(f"{SAFE_SHARE * self.lowest:.1g}")

    @property
    def sentence(self) -> str:
        """What the test says, in a sentence or two."""
        if self.suggested is None or self.steepest is None or self.lowest is None:
            return "The loss fell at no learning rate: more X-rays or another recipe are needed."
        return (
            f"The loss falls fastest at a learning rate of {self.steepest:.1g} and is lowest at {self.lowest:.1g}. "
            f"Suggested: {self.suggested:g}."
        )


def rates_of_test() -> NDArray[np.float64]:
    """The rates of all steps, evenly spaced on a log scale."""
    return np.geomspace(LOWEST_RATE, HIGHEST_RATE, STEPS)


def smooth(losses: Sequence[float]) -> NDArray[np.float64]:
    """The moving average of the losses, corrected for its start."""
    average, found = 0.0, []
    for step, loss in enumerate(losses, 1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        found.append(average / (1 - SMOOTHING**step))
    return np.array(found)


def has_diverged(losses: Sequence[float]) -> bool:
    """Whether the last loss says that the rate is too high, so that the test is over."""
    if not losses:
        return False
    smoothed = smooth(losses)
    return not isfinite(losses[-1]) or (len(losses) > 2 * FIRST_STEPS and smoothed[-1] > DIVERGED * smoothed.min())


def write_rate_range(folder: Path, found: RateRange) -> None:
    """Store the result of a test in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / FILE, json.dumps(asdict(found)))


def read_rate_range(folder: Path) -> RateRange | None:
    """The result of the test in this folder; None where there is none, or it cannot be read."""
    try:
        return _RANGE.validate_json((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return None


_RANGE: TypeAdapter[RateRange] = TypeAdapter(RateRange)
