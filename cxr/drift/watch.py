"""The weeks of a model compared with its reference, with at most 5% false alarms in a year.

Each week is tested alone, with the three weeks and with the twelve weeks before it, so that a large departure is seen
at once and a small one that lasts is seen too; for each, scores, input check and features are tested. All p-values are
multiplied by the number of tests of 52 weeks (Bonferroni), so whatever the tests have to do with each other, a model
that reads X-rays like those of the reference gets an alarm in at most 5 of 100 years.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np

from cxr.drift.departure import Measure, p_value
from cxr.drift.reference import WEEKS, DriftReference, reference_of
from cxr.drift.store import weeks
from cxr.drift.tally import Tally, total
from cxr.registry.card import Card

ALPHA = 0.05  # a year
WEEKS_A_YEAR = 52
WINDOWS = (1, 4, 13)  # weeks that are tested together
TESTS = WEEKS_A_YEAR * len(WINDOWS) * len(Measure)


@dataclass(frozen=True)
class Departure:
    """A measure of some weeks that has left the reference."""

    measure: Measure
    week: str  # the last of these weeks
    weeks: int  # how many
    p: float  # corrected for all tests of a year

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"measure": self.measure, "week": self.week, "weeks": self.weeks, "p": self.p}


@dataclass(frozen=True, eq=False)
class DriftWatch:
    """The weeks of a model, the reference, and where they have left it."""

    model: str  # name@version
    weeks: dict[str, Tally]
    reference: DriftReference
    departures: tuple[Departure, ...]  # all, oldest first
    tested: tuple[Measure, ...]  # what could be compared

    @property
    def readings(self) -> int:
        """The number of readings of all weeks."""
        return sum(tally.readings for tally in self.weeks.values())

    @property
    def latest(self) -> str:
        """The latest week with readings; empty where there is none."""
        return max(self.weeks, default="")

    def first(self, measure: Measure) -> Departure | None:
        """The first departure of a measure; None where there is none."""
        return next((one for one in self.departures if one.measure == measure), None)

    def current(self, measure: Measure) -> bool:
        """Whether a measure has left the reference in the latest week, alone or with those before it."""
        return any(one.measure == measure and one.week == self.latest for one in self.departures)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        reference = self.reference
        return {
            "model": self.model,
            "reference": {"kind": reference.kind, "first": reference.first, "last": reference.last}
            | tally_dict(reference.tally),
            "tested": list(self.tested),
            "false_alarm_rate_a_year": ALPHA,
            "departures": [one.as_dict() for one in self.departures],
            "left_now": [measure for measure in Measure if self.current(measure)],
            "weeks": {week: tally_dict(tally) for week, tally in self.weeks.items()},
        }


def watch(card: Card) -> DriftWatch:
    """The weeks of this model beside what they are compared with."""
    return watch_weeks(f"{card.name}@{card.version}", weeks(card.version), reference_of(card))


def watch_weeks(model: str, of_weeks: dict[str, Tally], reference: DriftReference) -> DriftWatch:
    """The weeks beside the reference; where that is of weeks itself, later ones alone are compared with it."""
    compared = {week: tally for week, tally in of_weeks.items() if reference.kind != WEEKS or week > reference.last}
    departures, tested = list[Departure](), set[Measure]()
    for week in compared:
        for count, tally in _windows(week, compared):
            for measure in Measure:
                p = p_value(measure, tally, reference.tally)
                if p is not None:
                    tested.add(measure)
                    if p * TESTS < ALPHA:
                        departures.append(Departure(measure, week, count, float(p * TESTS)))
    return DriftWatch(model, of_weeks, reference, tuple(departures), tuple(one for one in Measure if one in tested))


def _windows(week: str, of_weeks: dict[str, Tally]) -> Iterable[tuple[int, Tally]]:
    """The counts of the last weeks up to this one together, for each number of weeks that adds readings."""
    end, held = _number(week), 0
    for count in WINDOWS:
        inside = [tally for other, tally in of_weeks.items() if end - count < _number(other) <= end]
        if len(inside) > held:
            held = len(inside)
            yield count, total(inside)


@lru_cache(1024)
def _number(week: str) -> int:
    """The week's place in time, counted in weeks."""
    year, number = week.split("-W")
    return date.fromisocalendar(int(year), int(number), 1).toordinal() // 7


def tally_dict(tally: Tally) -> dict[str, Any]:
    """The counts of a tally as people ask for them, ready for JSON."""
    numbers = {"mean_score": tally.mean_score, "questioned_share": tally.questioned_share}
    counts = {"readings": tally.readings, "scored": tally.scored, "checked": tally.checked}
    return {
        **counts,
        "questioned": tally.questioned,
        "rejected": tally.rejected,
        "reasons": tally.reasons,
        "distance": float(tally.mean[-1]) if tally.places else None,
        **{name: None if np.isnan(value) else round(value, 4) for name, value in numbers.items()},
        "scores": list(tally.scores),
    }
