"""The time that is left of a training, over all its phases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cxr.jobs import run_store
from cxr.jobs.estimate import rates_of_kind
from cxr.jobs.timetable import PhasePlan, Timetable, Work
from cxr.jobs.training_phases import Rates, input_check_images, training_timetable
from cxr.learning.device import Device
from cxr.learning.journal import Phase
from tests.support.training import carry_out, tiny_recipe

CPU = Device("CPU (a name, 2 cores)", "float32")
FILMS = {"train": 700, "val": 100, "test": 200}
EPOCHS = 20
STEP_S = 2.0


@dataclass
class SimulatedTraining:
    """A training whose phases take a known time, watched by a timetable."""

    table: Timetable
    now: float = 1000.0
    left: list[tuple[float, float | None]] = field(default_factory=list)  # at a time, what is said to be left

    def __post_init__(self) -> None:
        self.table.clock = lambda: self.now
        self.table.__post_init__()

    def _pass_s(self, seconds: float) -> None:
        while seconds > 0:
            self.now += min(seconds, STEP_S)
            seconds -= STEP_S
            self.left.append((self.now, self.table.left_s()))

    def counts(self, phase: Phase, total: int, image_s: float, batch: int = 32, overhead_s: float = 0.0) -> None:
        self.table.report(phase, 0, total)
        self._pass_s(overhead_s)
        for done in (*range(batch, total, batch), total):
            self._pass_s(image_s * batch)
            self.table.report(phase, done, total)

    def trains(self, epoch_s: float, overhead_s: float, steps: int = 44, epochs: int = EPOCHS) -> None:
        self._pass_s(overhead_s)
        for step in range(1, epochs * steps + 1):
            self.table.report_epochs(step / steps, EPOCHS)
            self._pass_s(epoch_s / steps)

    def waits(self, phase: Phase, seconds: float) -> None:
        self.table.report(phase)
        self._pass_s(seconds)

    def errors(self, after: float) -> Iterator[float]:
        """How far each time that was shown is off, as a share of what was really left; not of the last minute."""
        begun = self.left[0][0]
        for when, said in self.left:
            really = self.now - when
            if said is not None and when - begun > after * (self.now - begun) and really > 60:
                yield said / really - 1


def simulated(table: Timetable, speed: float = 1.0, cached: bool = False) -> SimulatedTraining:
    """A whole training on a computer that is so many times as fast as expected."""
    training = SimulatedTraining(table)
    training.counts(Phase.COMPARING_IMAGES, 1000, 0.01 / speed)
    training.counts(Phase.READING_IMAGES, 1000, 0.01 / speed)
    if not cached:
        training.counts(Phase.COMPUTING_FEATURES, 2100, 0.2 / speed, overhead_s=6)
        training.counts(Phase.COMPUTING_FEATURES, 300, 0.2 / speed)
    training.trains(20 / speed, overhead_s=8)
    training.waits(Phase.EVALUATING, 10)
    training.counts(Phase.TRAINING_INPUT_CHECK, 1500, 0.25 / speed, batch=16, overhead_s=4)
    training.waits(Phase.TRAINING_INPUT_CHECK, 10)
    return training


def plans(factor: float = 1.0) -> list[PhasePlan]:
    return [
        PhasePlan(Phase.COMPARING_IMAGES, Work.DECODE, (1000,), 0.01 * factor),
        PhasePlan(Phase.READING_IMAGES, Work.DECODE, (1000,), 0.01 * factor),
        PhasePlan(Phase.COMPUTING_FEATURES, Work.COMPUTE, (2100, 300), 0.2 * factor, 6),
        PhasePlan(Phase.TRAINING, Work.COMPUTE, (EPOCHS * 700,), 20 / 700 * factor, 8),
        PhasePlan(Phase.EVALUATING, Work.COMPUTE, (), 0.0, 10),
        PhasePlan(Phase.TRAINING_INPUT_CHECK, Work.COMPUTE, (1500,), 0.25 * factor, 14),
    ]


def test_what_earlier_trainings_took_is_said_from_the_start_and_holds() -> None:
    training = simulated(Timetable(plans(), from_earlier_jobs=True))
    assert training.left[0][1] is not None
    assert max(map(abs, training.errors(after=0))) < 0.1


@pytest.mark.parametrize("factor", [0.2, 5.0])
def test_a_wrong_expectation_is_corrected_within_the_first_quarter(factor: float) -> None:
    training = simulated(Timetable(plans(factor)))
    assert max(map(abs, training.errors(after=0.25))) < 0.35


@pytest.mark.parametrize(("factor", "speed"), [(1.0, 1.0), (0.5, 1.0), (2.0, 1.0), (1.0, 0.5)])
def test_the_time_left_falls_evenly_from_phase_to_phase(factor: float, speed: float) -> None:
    training = simulated(Timetable(plans(factor)), speed)
    shown = [(when, left) for when, left in training.left if left is not None]
    late = shown[len(shown) // 10 :]
    rises = [after - before for (_, before), (_, after) in zip(late, late[1:], strict=False)]
    assert max(rises) < STEP_S  # it never rises faster than a clock falls
    assert sum(rise for rise in rises if rise > 0) < 0.05 * (training.now - 1000)
    assert late[-1][1] < 15


def test_cached_features_are_no_measure_of_speed() -> None:
    training = simulated(Timetable(plans(), from_earlier_jobs=True), cached=True)
    assert max(map(abs, training.errors(after=0.15))) < 0.25


def test_nothing_is_said_before_anything_was_computed_or_known() -> None:
    table = Timetable(plans())
    training = SimulatedTraining(table)
    assert table.left_s() is None
    training.counts(Phase.READING_IMAGES, 1000, 0.01)
    assert table.left_s() is None
    assert table.share() == 0
    training.counts(Phase.COMPUTING_FEATURES, 2100, 0.2)
    assert table.left_s() is not None
    assert 0 < table.share() < 1


def test_the_share_never_falls_and_a_resumed_training_counts_what_was_done_before() -> None:
    table = Timetable(plans(), from_earlier_jobs=True, earlier_s=300)
    training = SimulatedTraining(table)
    shares: list[float] = []
    training.table.report_epochs(10, EPOCHS)
    for step in range(1, 200):
        training._pass_s(STEP_S * 2 if step < 50 else STEP_S / 4)
        training.table.report_epochs(10 + step / 20, EPOCHS)
        shares.append(table.share())
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(300 / (300 + 200 + 10 + 389), abs=0.1)


def test_a_job_that_is_overdue_has_no_time_left_rather_than_a_wrong_one() -> None:
    training = simulated(Timetable(plans(), from_earlier_jobs=True))
    assert training.left[-20][1] is not None
    training._pass_s(60)
    assert training.table.left_s() is None
    assert training.table.share() <= 1


def test_the_phases_of_a_recipe_are_its_own(home: Path) -> None:
    whole = tiny_recipe()
    frozen = tiny_recipe(trunk={"train": "block3"}, augmentation={"noise": 3}, training={"views": 3})
    table = training_timetable(whole, FILMS, CPU, stored=False)
    assert [plan.phase for plan in table.plans][-2:] == [Phase.TRAINING, Phase.EVALUATING]
    table = training_timetable(frozen, FILMS, CPU, stored=True)
    features = next(plan for plan in table.plans if plan.phase == Phase.COMPUTING_FEATURES)
    assert features.passes == (3 * 700, 300)
    rates: Rates = {str(Phase.TRAINING): (0.5, 7.0)}
    table = training_timetable(frozen, FILMS, CPU, True, [rates, rates])
    training = next(plan for plan in table.plans if plan.phase == Phase.TRAINING)
    assert (training.image_s, training.overhead_s) == (0.5, 7.0)
    assert table.plans[-1].images == input_check_images(FILMS)


def test_a_real_training_measures_its_phases_for_the_next_one(home: Path, phantoms: Path) -> None:
    recipe = tiny_recipe()
    run = carry_out(recipe, [phantoms])
    status = run.status
    assert {Phase.READING_IMAGES, Phase.TRAINING, Phase.EVALUATING, Phase.TRAINING_INPUT_CHECK} <= status.rates.keys()
    assert status.left_s is None
    assert rates_of_kind(recipe, Device(status.device, "float32"), run_store.all_runs()) == [status.rates]
    assert rates_of_kind(recipe, Device("GPU", "float32"), run_store.all_runs()) == []
