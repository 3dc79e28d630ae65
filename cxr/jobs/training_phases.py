"""The phases of a training with the time that each is expected to take: by earlier trainings, else by arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import median

from cxr.films.synthetic.corruptions import CORRUPTIONS
from cxr.inference.input_check.training_data import MAX_CORRUPTED_FILMS, MAX_FILMS, MAX_HELD_OUT, NON_XRAYS
from cxr.jobs.timetable import PhasePlan, Timetable, Work
from cxr.jobs.training_work import DECODE_S, STEP_S, gmac_frozen_and_trained, gmac_s_range, work_of
from cxr.learning.device import Device
from cxr.learning.journal import Phase
from cxr.registry.recipe import Recipe

Rates = Mapping[str, tuple[float, float]]  # of each phase: seconds of an image, seconds of its overhead
OVERHEAD_S = {
    Phase.COMPUTING_FEATURES: 4.0,
    Phase.TRAINING: 4.0,
    Phase.EVALUATING: 5.0,
    Phase.TRAINING_INPUT_CHECK: 30.0,  # the fit, and storing the model
}


def training_timetable(
    recipe: Recipe, films: Mapping[str, int], device: Device, stored: bool, earlier: Sequence[Rates] = ()
) -> Timetable:
    """The timetable of a training on that many films per role; `earlier` has the rates of trainings of the kind."""
    plans = [_measured_before(plan, earlier) for plan in _by_arithmetic(recipe, films, device)]
    if not stored:
        plans = [plan for plan in plans if plan.phase != Phase.TRAINING_INPUT_CHECK]
    return Timetable(plans, bool(earlier))


def _measured_before(plan: PhasePlan, earlier: Sequence[Rates]) -> PhasePlan:
    rates = [rates[plan.phase] for rates in earlier if plan.phase in rates]
    images_s = [image_s for image_s, _ in rates if image_s > 0]
    return PhasePlan(
        plan.phase,
        plan.work,
        plan.passes,
        median(images_s) if images_s else plan.image_s,
        median(overhead_s for _, overhead_s in rates) if rates else plan.overhead_s,
    )


def _by_arithmetic(recipe: Recipe, films: Mapping[str, int], device: Device) -> list[PhasePlan]:
    work = work_of(recipe, films)
    every, train = sum(films.values()), films.get("train", 0)
    gmac_s, decode_s = sqrt(gmac_s_range(device)[0] * gmac_s_range(device)[1]), sqrt(DECODE_S[0] * DECODE_S[1])
    whole_s = sum(gmac_frozen_and_trained(recipe)) / gmac_s
    epochs_s = work.epochs_gmac / gmac_s + work.steps * sqrt(STEP_S[0] * STEP_S[1])
    plans = [
        PhasePlan(Phase.COMPARING_IMAGES, Work.DECODE, (every,), decode_s),
        PhasePlan(Phase.READING_IMAGES, Work.DECODE, (every,), decode_s),
    ]
    if work.frozen_gmac:
        rest = every - train
        passes = (work.frozen_films - rest, rest) if recipe.augmentation.active else (every,)
        plans.append(_computing(Phase.COMPUTING_FEATURES, passes, work.frozen_gmac / work.frozen_films / gmac_s))
    plans.append(_computing(Phase.TRAINING, (work.epoch_films,), epochs_s / max(work.epoch_films, 1)))
    plans.append(_computing(Phase.EVALUATING, (), 0.0))
    plans.append(_computing(Phase.TRAINING_INPUT_CHECK, (input_check_images(films),), whole_s + decode_s / 2))
    return plans


def _computing(phase: Phase, passes: tuple[int, ...], image_s: float) -> PhasePlan:
    return PhasePlan(phase, Work.COMPUTE, passes, image_s, OVERHEAD_S[phase])


def input_check_images(films: Mapping[str, int]) -> int:
    """How many images train the input check, without those that the recipe leaves out."""
    training = min(films.get("train", 0), MAX_FILMS)
    corrupted = len(CORRUPTIONS) * min(training, MAX_CORRUPTED_FILMS)
    return 2 * training + corrupted + min(films.get("val", 0), MAX_HELD_OUT) + NON_XRAYS
