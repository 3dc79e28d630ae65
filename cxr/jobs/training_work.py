"""How much work a training is, and how long this computer takes for it at best and at worst."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from cxr.learning.backbone_costs import BLOCK_COSTS, block_names
from cxr.learning.device import Device
from cxr.registry.recipe import Recipe

START_S = (8.0, 40.0)  # importing TensorFlow, building and compiling
DECODE_S = (0.003, 0.05)  # a film, from file to pixels
STEP_S = (0.004, 0.06)  # the overhead of a step
# Speed of convolutions relative to a float32 matrix product; bfloat16 where the hardware supports it natively.
EFFICIENCY = {"float32": (0.3, 1.2), "bfloat16": (1.2, 10.0)}
GPU_GMAC_S = (1_000.0, 20_000.0)  # a small GPU, a large one
BACKWARD = 2  # cost of the backward pass in forward passes
INPUT_CHECK_IMAGES = 1500  # at most; they pass the backbone once more when the input check is trained


@dataclass(frozen=True)
class EstimateRange:
    """The lowest and highest value to expect."""

    low: float
    high: float


@dataclass(frozen=True)
class TrainingWork:
    """The amount of work in a training."""

    frozen_films: int  # films and views that pass the frozen part of the backbone once
    frozen_gmac: float
    epoch_films: int  # films in all epochs together
    epochs_gmac: float
    steps: int
    decoded: int  # image files


def work_of(recipe: Recipe, films: Mapping[str, int]) -> TrainingWork:
    """The work to train the recipe on that many films per role."""
    train, validation, settings = films.get("train", 0), films.get("val", 0), recipe.training
    rest = sum(films.values()) - train
    frozen_gmac, trained_gmac = gmac_frozen_and_trained(recipe)
    steps = settings.steps_per_epoch or -(-train // settings.batch)
    epoch_films = settings.epochs * (steps * settings.batch if settings.steps_per_epoch else train)
    epochs_gmac = (1 + BACKWARD) * trained_gmac * epoch_films + trained_gmac * validation * settings.epochs
    if recipe.trunk.train == "all" or (recipe.augmentation.active and not settings.views):
        epochs_gmac += frozen_gmac * (epoch_films + validation * settings.epochs)
        return TrainingWork(train + rest, 0.0, epoch_films, epochs_gmac, steps * settings.epochs, train + rest)
    views = max(settings.views, 1) if recipe.augmentation.active else 1
    frozen_films = train * views + rest
    frozen_gmac *= frozen_films
    return TrainingWork(frozen_films, frozen_gmac, epoch_films, epochs_gmac, steps * settings.epochs, train + rest)


def gmac_frozen_and_trained(recipe: Recipe) -> tuple[float, float]:
    """The cost of one film in the frozen and in the trained part of the backbone."""
    scale = (recipe.input.size_px / 224) ** 2
    costs = [block.gmac * scale for block in BLOCK_COSTS[recipe.trunk.backbone].values()]
    cut = frozen_blocks(recipe)
    return sum(costs[:cut]), sum(costs[cut:])


def frozen_blocks(recipe: Recipe) -> int:
    """The number of frozen blocks in the backbone."""
    names = block_names(recipe.trunk.backbone)
    if recipe.trunk.train == "all":
        return 0
    return names.index(recipe.trunk.train) if recipe.trunk.train in names else len(names)


def seconds_of(work: TrainingWork, check: EstimateRange, device: Device) -> EstimateRange:
    """The seconds for this work and the input check."""
    slow, fast = gmac_s_range(device)
    gmac = work.frozen_gmac + work.epochs_gmac
    return EstimateRange(
        START_S[0] + work.decoded * DECODE_S[0] + work.steps * STEP_S[0] + gmac / fast + check.low,
        START_S[1] + work.decoded * DECODE_S[1] + work.steps * STEP_S[1] + gmac / slow + check.high,
    )


def input_check_seconds(recipe: Recipe, device: Device, images: int) -> EstimateRange:
    """The seconds to train the input check."""
    gmac, (slow, fast) = images * sum(gmac_frozen_and_trained(recipe)), gmac_s_range(device)
    return EstimateRange(gmac / fast, gmac / slow)


def gmac_s_range(device: Device) -> tuple[float, float]:
    """The lowest and highest billions of multiply-accumulates per second to expect of the device."""
    if not device.name.startswith("CPU"):
        return GPU_GMAC_S
    slow, fast = EFFICIENCY[device.precision]
    return slow * _measured_gmac_s(), fast * _measured_gmac_s()


@cache
def _measured_gmac_s() -> float:
    """Billions of multiply-accumulates per second in a float32 matrix product; measured for a tenth of a second."""
    side = 1024
    a = np.ones((side, side), np.float32)
    _ = a @ a
    started, rounds = time.perf_counter(), 0
    while time.perf_counter() - started < 0.1:
        _ = a @ a
        rounds += 1
    return rounds * side**3 / (time.perf_counter() - started) / 1e9
