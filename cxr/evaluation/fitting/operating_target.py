"""The operating point that a hospital asks for, the threshold that gives it, and how many X-rays make it certain."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.core.number_format import percent
from cxr.evaluation.fitting.local_films import Floats
from cxr.evaluation.intervals import wilson_interval

EDGE = 1e-7  # scores this near 0 or 1 are moved so far, as their log odds are not finite
MAX_FILMS = 1_000_000


class TargetKind(StrEnum):
    """The metric that the threshold is to reach."""

    SPECIFICITY = "specificity"
    SENSITIVITY = "sensitivity"


@dataclass(frozen=True)
class OperatingTarget:
    """A specificity or sensitivity to reach."""

    kind: TargetKind
    value: float

    def __post_init__(self) -> None:
        if not 0.5 <= self.value <= 0.99:
            raise DatasetError(f"A target {self.kind} is 0.5 to 0.99, not {self.value:g}.", code="bad-target")

    def __str__(self) -> str:
        return f"{self.kind} of {percent(self.value)}"

    @property
    def of_films_with_finding(self) -> bool:
        """Whether the target is a share of the X-rays with a finding."""
        return self.kind is TargetKind.SENSITIVITY

    def threshold(self, scores: Floats, has_finding: NDArray[np.bool_]) -> float:
        """The threshold at which a new X-ray of the same kind is expected to be decided right this often.

        A quantile of the scores by Harrell and Davis (1982), who average all ranks, on the scale of log odds: with 50
        X-rays it varies less than the single score that the quantile falls on.
        """
        from scipy.stats.mstats import hdquantiles

        own = np.clip(scores[has_finding == self.of_films_with_finding], EDGE, 1 - EDGE)
        share = 1 - self.value if self.of_films_with_finding else self.value
        log_odds = float(hdquantiles(np.log(own / (1 - own)), prob=[share])[0])
        return float(1 / (1 + np.exp(-log_odds)))


def films_needed(share: float, width: float) -> int:
    """The number of independent X-rays whose share has a 95% interval of at most this width."""
    if not 0 < width < 1:
        raise DatasetError(f"The width of an interval is above 0 and below 1, not {width:g}.", code="bad-width")
    low, high = 1, MAX_FILMS
    while low < high:
        films = (low + high) // 2
        interval = wilson_interval(share * films, films)
        low, high = (low, films) if interval.high - interval.low <= width else (films + 1, high)
    return low
