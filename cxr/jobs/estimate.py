"""Estimates of the time and memory of a training before it starts, each a range with its basis."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from statistics import median

import numpy as np

from cxr.core.errors import CxrError, RecipeError
from cxr.core.number_format import counted, gigabytes
from cxr.jobs.run import FILMS, Run, Status
from cxr.learning.backbone_costs import BLOCK_COSTS, block_names
from cxr.learning.device import Device, device_without_tensorflow
from cxr.learning.journal import Phase
from cxr.registry.recipe import Recipe
from cxr.registry.shapes import weight_count

ENOUGH_RUNS = 3  # the newest of a kind; when older ones ran, this computer may have been in another state
START_S = (8.0, 40.0)  # importing TensorFlow, building and compiling
DECODE_S = (0.003, 0.05)  # a film, from file to pixels
STEP_S = (0.004, 0.06)  # the overhead of a step
# Speed of convolutions relative to a float32 matrix product; bfloat16 where the hardware supports it natively.
EFFICIENCY = {"float32": (0.3, 1.2), "bfloat16": (1.2, 10.0)}
GPU_GMAC_S = (1_000.0, 20_000.0)  # a small GPU, a large one
BACKWARD = 2  # cost of the backward pass in forward passes
INPUT_CHECK_IMAGES = 1500  # at most; they pass the backbone once more when the input check is trained
PROCESS_BYTES = (0.7e9, 1.6e9)  # Python, TensorFlow and their buffers


@dataclass(frozen=True)
class EstimateRange:
    """The lowest and highest value to expect."""

    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """The time and memory that a training takes."""

    seconds: EstimateRange
    memory_bytes: EstimateRange
    past_runs: int  # how many earlier runs it is based on
    network: str

    @property
    def basis(self) -> str:
        """What the estimate is based on, in a sentence."""
        if self.past_runs:
            return (
                f"Based on {counted(self.past_runs, 'earlier training')} of this kind on this device. Shorter where "
                "features are cached, longer where the computer does other work."
            )
        return (
            "Rough estimate from the size of the network and the speed of the processor: no training of "
            f"{self.network} has finished on this device yet."
        )


def estimate(
    recipe: Recipe,
    films: Mapping[str, int],
    device: Device,
    runs: Iterable[Run],
    input_check_images: int = INPUT_CHECK_IMAGES,
) -> Estimate:
    """The time and memory to train the recipe on that many films per role.

    Based on earlier runs of the same kind where there are some, otherwise on the network's arithmetic.
    """
    kind = _kind(recipe, device.name)
    past_runs = [past for run in runs if (past := _past_run(run)) and past.kind == kind][:ENOUGH_RUNS]
    work, memory = _work_of(recipe, films), _memory(recipe)
    check = _input_check_seconds(recipe, device, input_check_images)
    network = f"{recipe.trunk.backbone} at {recipe.input.size_px} px"
    if not past_runs:
        return Estimate(_seconds(work, check, device), memory, 0, network)
    epochs_s = work.epoch_films * median(past.epochs_s / past.work.epoch_films for past in past_runs)
    before_s = work.frozen_films * median(past.before_s / max(past.work.frozen_films, 1) for past in past_runs)
    measured = [past.memory_bytes for past in past_runs if past.memory_bytes and past.batch == recipe.training.batch]
    return Estimate(
        EstimateRange(
            0.75 * epochs_s + 0.1 * before_s + check.low, 1.25 * (epochs_s + before_s) + START_S[0] + check.high
        ),
        EstimateRange(0.9 * min(measured), 1.2 * max(measured)) if measured else memory,
        len(past_runs),
        network,
    )


def time_left_s(status: Status, history: Sequence[Mapping[str, float]]) -> float | None:
    """The seconds left in the current phase, or in all epochs while training; None if unknown.

    Early stopping may end it sooner.
    """
    if not status.done or not status.total:
        return None
    in_phase_s = max(status.heartbeat - status.phase_started, 0.0)
    if status.phase != Phase.TRAINING:
        done_here = status.done - status.first
        return in_phase_s / done_here * (status.total - status.done) if done_here > 0 else None
    epochs_left = status.epochs - status.epoch + 1 - status.done / status.total
    if history:
        return max(0.0, epochs_left * median(row["seconds"] for row in history[-5:]))
    return max(0.0, epochs_left * in_phase_s / (status.done / status.total))


@dataclass(frozen=True)
class _Work:
    """The amount of work in a training."""

    frozen_films: int  # films and views that pass the frozen part of the backbone once
    frozen_gmac: float
    epoch_films: int  # films in all epochs together
    epochs_gmac: float
    steps: int
    decoded: int  # image files


def _work_of(recipe: Recipe, films: Mapping[str, int]) -> _Work:
    train, validation, settings = films.get("train", 0), films.get("val", 0), recipe.training
    rest = sum(films.values()) - train
    frozen_gmac, trained_gmac = _gmac_frozen_and_trained(recipe)
    steps = settings.steps_per_epoch or -(-train // settings.batch)
    epoch_films = settings.epochs * (steps * settings.batch if settings.steps_per_epoch else train)
    epochs_gmac = (1 + BACKWARD) * trained_gmac * epoch_films + trained_gmac * validation * settings.epochs
    if recipe.trunk.train == "all" or (recipe.augmentation.active and not settings.views):
        epochs_gmac += frozen_gmac * (epoch_films + validation * settings.epochs)
        return _Work(train + rest, 0.0, epoch_films, epochs_gmac, steps * settings.epochs, train + rest)
    views = max(settings.views, 1) if recipe.augmentation.active else 1
    frozen_films = train * views + rest
    frozen_gmac *= frozen_films
    return _Work(frozen_films, frozen_gmac, epoch_films, epochs_gmac, steps * settings.epochs, train + rest)


def _gmac_frozen_and_trained(recipe: Recipe) -> tuple[float, float]:
    """The cost of one film in the frozen and in the trained part of the backbone."""
    scale = (recipe.input.size_px / 224) ** 2
    costs = [block.gmac * scale for block in BLOCK_COSTS[recipe.trunk.backbone].values()]
    cut = _frozen_blocks(recipe)
    return sum(costs[:cut]), sum(costs[cut:])


def _frozen_blocks(recipe: Recipe) -> int:
    """The number of frozen blocks in the backbone."""
    names = block_names(recipe.trunk.backbone)
    if recipe.trunk.train == "all":
        return 0
    return names.index(recipe.trunk.train) if recipe.trunk.train in names else len(names)


def _seconds(work: _Work, check: EstimateRange, device: Device) -> EstimateRange:
    slow, fast = _gmac_s_range(device)
    gmac = work.frozen_gmac + work.epochs_gmac
    return EstimateRange(
        START_S[0] + work.decoded * DECODE_S[0] + work.steps * STEP_S[0] + gmac / fast + check.low,
        START_S[1] + work.decoded * DECODE_S[1] + work.steps * STEP_S[1] + gmac / slow + check.high,
    )


def _input_check_seconds(recipe: Recipe, device: Device, images: int) -> EstimateRange:
    """The seconds to train the input check."""
    gmac, (slow, fast) = images * sum(_gmac_frozen_and_trained(recipe)), _gmac_s_range(device)
    return EstimateRange(gmac / fast, gmac / slow)


def _gmac_s_range(device: Device) -> tuple[float, float]:
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


def check_memory(recipe: Recipe, total_bytes: int | None = None) -> None:
    """RecipeError where a training needs more memory, by its lowest estimate, than this computer has.

    Where there is a GPU, nothing is known of its memory before TensorFlow is imported, and nothing is refused.
    """
    if total_bytes is None:
        import psutil

        if device_without_tensorflow(recipe.training.precision) is None:
            return
        total_bytes = int(psutil.virtual_memory().total)
    needed = _memory(recipe).low
    if needed > total_bytes:
        raise RecipeError(
            f"This training needs at least {gigabytes(needed)} of memory, and this computer has "
            f"{gigabytes(total_bytes)}. Use a smaller training.batch, input.size_px or head.dense, or train fewer "
            "layers.",
            code="memory",
        )


def _memory(recipe: Recipe) -> EstimateRange:
    fresh = recipe.augmentation.active and not recipe.training.views
    scale = (recipe.input.size_px / 224) ** 2
    blocks, cut = list(BLOCK_COSTS[recipe.trunk.backbone].values()), _frozen_blocks(recipe)
    weights = 4e6 * sum(block.weights_m for block in blocks)
    head = weight_count(recipe) - 1e6 * sum(block.weights_m for block in blocks)
    trained = 4e6 * sum(block.weights_m for block in blocks[cut:]) + 4 * max(head, 0)
    batch = max(32, recipe.training.batch) if fresh else 32  # the widest block, for a batch of features
    forward = 4e6 * scale * max(block.maps_m for block in blocks) * batch
    stored = 4e6 * scale * sum(block.maps_m for block in blocks[cut:]) * recipe.training.batch
    return EstimateRange(
        PROCESS_BYTES[0] + weights + 2 * trained + 0.3 * forward + 0.5 * stored,
        PROCESS_BYTES[1] + 2 * weights + 4 * trained + 1.5 * forward + 2.5 * stored,
    )


@dataclass(frozen=True)
class _PastRun:
    """What a finished run took."""

    kind: tuple[object, ...]
    work: _Work
    epochs_s: float  # in all epochs
    before_s: float  # before and after the epochs
    batch: int
    memory_bytes: int


def _kind(recipe: Recipe, device: str) -> tuple[object, ...]:
    fresh = recipe.augmentation.active and not recipe.training.views
    return (
        device,
        recipe.training.precision,
        recipe.trunk.backbone,
        recipe.trunk.train,
        recipe.input.size_px,
        fresh,
        recipe.head.pool if recipe.trunk.train == "head" else "",
    )


def _past_run(run: Run) -> _PastRun | None:
    status, history = run.status, run.history()
    if status.state != "finished" or not history or not all(isfinite(row["seconds"]) for row in history):
        return None
    try:
        recipe = Recipe.from_toml(run.job.training.recipe_toml)
        with (run.folder / FILMS).open(newline="", encoding="utf-8") as file:
            films = Counter(row["role"] for row in csv.DictReader(file))
    except (CxrError, OSError, KeyError, ValueError, csv.Error):  # of an older version, or damaged
        return None
    training = recipe.training.model_copy(update={"epochs": len(history)})
    work = _work_of(recipe.model_copy(update={"training": training}), films)
    epochs_s = sum(row["seconds"] for row in history)
    before_s = max(0.0, status.heartbeat - status.started - epochs_s)
    return _PastRun(
        _kind(recipe, status.device),
        work,
        epochs_s,
        before_s,
        recipe.training.batch,
        max(status.memory_bytes, 0),
    )
