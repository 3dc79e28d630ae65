"""How long a study takes: all phases of a training for its first trial, and the epochs alone for each that follows.

Pixels and the features of frozen layers are kept, and the input check is trained once, for the best model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cxr.jobs.training_work import (
    INPUT_CHECK_IMAGES,
    START_S,
    EstimateRange,
    input_check_seconds,
    seconds_of,
    work_of,
)
from cxr.learning.device import Device
from cxr.registry.recipe import Recipe

BUILD_S = (1.0, 5.0)  # building and compiling the network of one more trial
NOTHING = EstimateRange(0.0, 0.0)


def study_seconds(recipe: Recipe, films: Mapping[str, int], device: Device, trials: int) -> EstimateRange:
    """The time of so many trials on that many films per role, if none is pruned.

    By arithmetic: what a trial costs depends on settings that no earlier run may have had.
    """
    work = work_of(recipe, films)
    first = seconds_of(work, input_check_seconds(recipe, device, INPUT_CHECK_IMAGES), device)
    again = _one_more(recipe, films, device)
    return EstimateRange(first.low + (trials - 1) * again.low, first.high + (trials - 1) * again.high)


def _one_more(recipe: Recipe, films: Mapping[str, int], device: Device) -> EstimateRange:
    """The time of the epochs of one trial, whose inputs are known and whose process runs."""
    epochs = replace(work_of(recipe, films), frozen_films=0, frozen_gmac=0.0, decoded=0)
    seconds = seconds_of(epochs, NOTHING, device)
    return EstimateRange(seconds.low - START_S[0] + BUILD_S[0], seconds.high - START_S[1] + BUILD_S[1])
