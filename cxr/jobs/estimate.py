"""Estimates of the time and memory of a training before it starts, each a range with its basis."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from statistics import median

from cxr.core.errors import CxrError, RecipeError
from cxr.core.number_format import counted, gigabytes
from cxr.jobs.run import FILMS, Run, Status
from cxr.jobs.training_phases import Rates
from cxr.jobs.training_work import (
    INPUT_CHECK_IMAGES,
    START_S,
    EstimateRange,
    TrainingWork,
    frozen_blocks,
    input_check_seconds,
    seconds_of,
    work_of,
)
from cxr.learning.backbone_costs import BLOCK_COSTS
from cxr.learning.device import Device, device_without_tensorflow
from cxr.learning.journal import Phase
from cxr.registry.recipe import Recipe
from cxr.registry.shapes import weight_count

ENOUGH_RUNS = 3  # the newest of a kind; when older ones ran, this computer may have been in another state
PROCESS_BYTES = (0.7e9, 1.6e9)  # Python, TensorFlow and their buffers


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
    work, memory = work_of(recipe, films), _memory(recipe)
    check = input_check_seconds(recipe, device, input_check_images)
    network = f"{recipe.trunk.backbone} at {recipe.input.size_px} px"
    if not past_runs:
        return Estimate(seconds_of(work, check, device), memory, 0, network)
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


def rates_of_kind(recipe: Recipe, device: Device, runs: Iterable[Run]) -> list[Rates]:
    """What the newest finished trainings of this kind on this device measured of their phases."""
    kind = _kind(recipe, device.name)
    of_kind = (run.status.rates for run in runs if (past := _past_run(run)) and past.kind == kind)
    return list(islice((rates for rates in of_kind if rates), ENOUGH_RUNS))


def time_left_s(status: Status, history: Sequence[Mapping[str, float]]) -> float | None:
    """The seconds left to the end of the job; where it has no timetable, of the present phase; None if unknown.

    Early stopping may end it sooner.
    """
    if status.share is not None:
        return status.left_s
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
    blocks, cut = list(BLOCK_COSTS[recipe.trunk.backbone].values()), frozen_blocks(recipe)
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
    work: TrainingWork
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
    work = work_of(recipe.model_copy(update={"training": training}), films)
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
