"""Weeks of readings drawn at random, with a shift or without, for bench/drift.py and tests: how often it is seen.

Scores are of two kinds of X-rays, without and with the finding; places along 16 axes have heavy tails and depend on
each other and on the finding; few images are questioned. The reference is drawn from the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from cxr.drift.reference import MEASURED, DriftReference
from cxr.drift.tally import MOST_AXES, MOST_PLACE, Observation, Tally
from cxr.drift.watch import DriftWatch, watch_weeks

FIRST_MONDAY = date(2026, 1, 5)
USUAL_POSITIVES, USUAL_QUESTIONED, REJECTED_OF_QUESTIONED = 0.5, 0.02, 0.3
REFERENCE_FILMS = 250
BASIS = "drawn"
Draw = Callable[[np.random.Generator, int], list[Observation]]


@dataclass(frozen=True)
class Shift:
    """What is added to the usual: to the shares of positive and questioned X-rays, and to each place in turn."""

    positives: float = 0.0
    questioned: float = 0.0
    places: float = 0.0  # standard deviations of half of the axes


NULL = Shift()


def drawn(rng: np.random.Generator, count: int, shift: Shift = NULL) -> list[Observation]:
    """So many readings with this shift."""
    positive = rng.random(count) < USUAL_POSITIVES + shift.positives
    scores = np.where(positive, rng.beta(5, 1.5, count), rng.beta(1.2, 6, count))
    questioned = rng.random(count) < USUAL_QUESTIONED + shift.questioned
    rejected = questioned & (rng.random(count) < REJECTED_OF_QUESTIONED)
    places = rng.standard_t(4, (count, MOST_AXES + 1)) / np.sqrt(2)
    places[:, 1:] = 0.8 * places[:, 1:] + 0.6 * places[:, :-1]  # neighbors depend on each other
    places[:, 0] += 0.8 * (positive - USUAL_POSITIVES - shift.positives)
    places[:, ::2] += shift.places
    clipped = np.clip(places, -MOST_PLACE, MOST_PLACE)
    return [
        Observation(
            None if rejected[i] else float(scores[i]),
            bool(questioned[i]),
            ("unlike-training",) if questioned[i] else (),
            None if rejected[i] else clipped[i],
        )
        for i in range(count)
    ]


def simulated_weeks(
    seed: int, shift: Shift, weeks: int, readings: int, draw: Draw | None = None, usual: Draw | None = None
) -> tuple[dict[str, Tally], DriftReference]:
    """Weeks with about so many readings each, and a reference without the shift; from `draw` and `usual`, if given."""
    rng = np.random.default_rng(seed)
    of_week = draw or (lambda generator, count: drawn(generator, count, shift))
    reference = Tally.of((usual or drawn)(rng, REFERENCE_FILMS), BASIS)
    found = {}
    for number in range(weeks):
        year, week, _ = (FIRST_MONDAY + timedelta(weeks=number)).isocalendar()
        found[f"{year}-W{week:02d}"] = Tally.of(of_week(rng, max(1, int(rng.poisson(readings)))), BASIS)
    return found, DriftReference(MEASURED, reference)


def simulated_year(
    seed: int, shift: Shift, weeks: int, readings: int, draw: Draw | None = None, usual: Draw | None = None
) -> DriftWatch:
    """What the watch says of such weeks."""
    return watch_weeks("drawn@0", *simulated_weeks(seed, shift, weeks, readings, draw, usual))
