"""How long a job of several phases still takes: what each phase was expected to take, corrected by what was measured.

A phase counts images, and has an overhead besides: building, compiling, fitting. Rates measured in this job count more
the more they cover, and correct the phases to come that do the same kind of work. The end that results moves slowly, so
that the time left falls evenly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from time import time

from cxr.learning.journal import Phase

ENOUGH_S = 5.0  # of measured computing, from which a time left can be believed without earlier jobs
PRIOR_SHARE = 0.02  # of a phase: what was expected counts as if it were measured on so much of it
PRIOR_S = 2.0  # the same for the correction of phases to come
LEAST_IMAGES, LEAST_S = 32, 0.5  # of a rate that is kept for later jobs
# The end moves to where it is expected over this share of the time left, or of the time for which it has been known.
SMOOTH_SHARE, SMOOTH_KNOWN, SMOOTH_LEAST_S = 0.08, 0.3, 4.0


class Work(Enum):
    """What a phase mostly does; phases of one kind are faster or slower together."""

    DECODE = auto()
    COMPUTE = auto()


@dataclass(frozen=True)
class PhasePlan:
    """What is expected of one phase."""

    phase: Phase
    work: Work
    passes: tuple[int, ...] = ()  # the images of each count from 0 to its total, one after the other
    image_s: float = 0.0
    overhead_s: float = 0.0

    @property
    def images(self) -> int:
        """All images that it counts."""
        return sum(self.passes)


@dataclass
class _Measured:
    """What was measured of one phase."""

    started: float
    first_at: float = math.nan  # of the first count
    last_at: float = math.nan
    first: float = 0.0  # images at the first count
    before: float = 0.0  # images of passes that are over
    done: float = 0.0  # in this pass
    total: float = 0.0
    passes_over: int = 0
    over_at: float | None = None

    @property
    def images(self) -> float:
        """The images that the measured time is of."""
        return self.before + self.done - self.first

    @property
    def counting_s(self) -> float:
        """The seconds between the first and the last count."""
        return 0.0 if math.isnan(self.first_at) else self.last_at - self.first_at

    def overhead_s(self, now: float) -> float:
        """The seconds so far before the first count and after the last one."""
        end = self.over_at or now
        return end - self.started - (0.0 if math.isnan(self.first_at) else self.last_at - self.first_at)


@dataclass
class Timetable:
    """The phases of a job in their order, and what was measured of them so far."""

    plans: Sequence[PhasePlan]
    from_earlier_jobs: bool = False  # whether the expectations were measured in earlier jobs of the kind
    earlier_s: float = 0.0  # how long earlier processes worked on this job
    clock: Callable[[], float] = time
    _measured: dict[Phase, _Measured] = field(default_factory=dict)
    _current: int = -1
    _end: float = math.nan  # the smoothed end, and when it was moved last
    _moved: float = math.nan
    _known_since: float = math.nan
    _share: float = 0.0

    def __post_init__(self) -> None:
        self._begun = self.clock()

    def report(self, phase: str, done: float = 0, total: float = 0) -> None:
        """Take note that a phase has done so many images of a pass."""
        place = next((n for n, plan in enumerate(self.plans) if plan.phase == phase), None)
        if place is None or place < self._current:
            return
        now = self.clock()
        if place > self._current:
            if self._current >= 0 and (last := self._measured.get(self.plans[self._current].phase)):
                last.over_at = now
            self._current = place
        measured = self._measured.setdefault(self.plans[place].phase, _Measured(now))
        if measured.total and not total:
            return
        if done < measured.done or (measured.total and total != measured.total):
            measured.before += measured.done
            measured.passes_over += 1
        measured.done, measured.total, measured.last_at = done, total, now
        if math.isnan(measured.first_at):
            if done <= 0:
                measured.last_at = math.nan
                return
            measured.first_at, measured.first = now, done

    def report_epochs(self, done: float, epochs: int) -> None:
        """Take note that so many of all epochs are done."""
        images = next((plan.images for plan in self.plans if plan.phase == Phase.TRAINING), 0)
        self.report(Phase.TRAINING, images * done / max(epochs, 1), images)

    def left_s(self) -> float | None:
        """The seconds to the end of the job; None before its speed is known, and once it is overdue."""
        if self._current < 0 or not (self.from_earlier_jobs or self._computed_s() >= ENOUGH_S):
            return None
        now = self.clock()
        unsmoothed_s = self._unsmoothed_s(now)
        if unsmoothed_s <= 0:  # it takes longer than ever: better no number than a second that does not pass
            return None
        end = now + unsmoothed_s
        if math.isnan(self._end):
            self._end, self._known_since = end, now
        else:
            known_s = now - self._known_since  # at first, the end moves as fast as it becomes known
            slowness_s = max(SMOOTH_LEAST_S, min(SMOOTH_SHARE * (end - now), SMOOTH_KNOWN * known_s))
            self._end += (end - self._end) * (1 - math.exp(-max(now - self._moved, 0.0) / slowness_s))
        self._moved = now
        return max(self._end - now, 1.0)

    def share(self) -> float:
        """How much of the time is over, from 0 to 1; it never falls."""
        left_s = self.left_s()
        if left_s is not None:
            spent_s = self.earlier_s + self.clock() - self._begun
            self._share = max(self._share, spent_s / (spent_s + left_s))
        return self._share

    def rates(self) -> dict[str, tuple[float, float]]:
        """Seconds of an image and of the overhead of each phase that is over, for later jobs; 0: not measured."""
        return {
            str(phase): (
                measured.counting_s / measured.images
                if measured.images >= LEAST_IMAGES and measured.counting_s >= LEAST_S
                else 0.0,
                measured.overhead_s(self.clock()),
            )
            for phase, measured in self._measured.items()
        }

    def _unsmoothed_s(self, now: float) -> float:
        current, *later = self.plans[self._current :]
        return self._left_in(current, now) + sum(
            plan.images * plan.image_s * self._slowness(plan.work) + plan.overhead_s for plan in later
        )

    def _left_in(self, plan: PhasePlan, now: float) -> float:
        measured = self._measured[plan.phase]
        slowness = self._slowness(plan.work, without=plan.phase)
        images = sum(plan.passes[measured.passes_over + 1 :])
        images += int(measured.total - measured.done) if measured.total else sum(plan.passes[:1])
        waiting_s = 0.0 if math.isnan(measured.first_at) or not images else now - measured.last_at  # for the next count
        overhead_s = max(plan.overhead_s - measured.overhead_s(now) + waiting_s, 0.0)
        expected = PRIOR_SHARE * plan.images
        image_s = (measured.counting_s + expected * plan.image_s * slowness) / max(measured.images + expected, 1e-9)
        return overhead_s + max(images * image_s - waiting_s, 0.0)

    def _slowness(self, work: Work, without: Phase | None = None) -> float:
        """How many times as long as expected the counted images of this kind of work have taken."""
        taken = expected = PRIOR_S
        for plan in self.plans:
            measured = self._measured.get(plan.phase)
            if measured and plan.work is work and plan.phase != without:
                taken += measured.counting_s
                expected += measured.images * plan.image_s
        return taken / expected

    def _computed_s(self) -> float:
        return sum(
            self._measured[plan.phase].counting_s
            for plan in self.plans
            if plan.work is Work.COMPUTE and plan.phase in self._measured
        )
