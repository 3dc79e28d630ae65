"""What a training will take, before it starts: a range, and what it rests on. A guess that says so."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median

import numpy as np

from cxr.core.errors import CxrError
from cxr.jobs.run import Run, Status
from cxr.learning.backbone_costs import TRUNKS, blocks
from cxr.learning.device import Device
from cxr.registry.recipe import Recipe

ENOUGH_RUNS = 3  # the newest of a kind; older ones may be of another state of this machine
START_S = (8.0, 40.0)  # importing TensorFlow, building and compiling
DECODE_S = (0.003, 0.05)  # a film, from file to pixels
STEP_S = (0.004, 0.06)  # what a step costs beside its films
# Share of a matrix product's speed that convolutions reach; bfloat16 where the hardware multiplies it natively.
REACHED = {"float32": (0.3, 1.2), "bfloat16": (1.2, 10.0)}
GPU_GMAC_S = (1_000.0, 20_000.0)  # from a small GPU to a large one
BACKWARD = 2  # times the forward pass
GATE_PICTURES = 1500  # at most, that the trunk looks at once more when the model's gate is taught
PROCESS_BYTES = (0.7e9, 1.6e9)  # Python, TensorFlow and their buffers


@dataclass(frozen=True)
class Range:
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    seconds: Range
    memory_bytes: Range
    rests_on: str  # a sentence


def estimate(recipe: Recipe, films: Mapping[str, int], device: Device, runs: Iterable[Run]) -> Estimate:
    """Time and memory of training the recipe on so many films of each role, from earlier runs like it if there are."""
    alike = [one for run in runs if (one := _told_by(run)) and one.kind == _kind(recipe, device.name)][:ENOUGH_RUNS]
    work, memory, gate = _work(recipe, films), _memory(recipe), _gate(recipe, device)
    if not alike:
        about = f"{recipe.trunk.backbone} at {recipe.input.size_px} px"
        return Estimate(
            _seconds(work, gate, device),
            memory,
            f"No training of {about} has ended on this device yet, so this rests on the network's arithmetic and a "
            "quick measurement of the processor: it can be off by more than it says.",
        )
    pace = median(one.epoch_s / one.work.shown for one in alike)
    ahead = median(one.before_s / max(one.work.before_films, 1) for one in alike)
    epochs_s, before_s = pace * work.shown, ahead * work.before_films
    measured = [one.memory_bytes for one in alike if one.memory_bytes and one.batch == recipe.training.batch]
    return Estimate(
        Range(0.75 * epochs_s + 0.1 * before_s + gate.low, 1.25 * (epochs_s + before_s) + START_S[0] + gate.high),
        Range(0.9 * min(measured), 1.2 * max(measured)) if measured else memory,
        f"From {len(alike)} earlier {'training' if len(alike) == 1 else 'trainings'} of this kind on this device. "
        "Shorter where films were prepared before, longer where the machine has other work.",
    )


def time_left_s(status: Status, history: Sequence[Mapping[str, float]]) -> float | None:
    """Seconds that a run under way still needs for its phase, or for all epochs while it trains; None: not known.

    Early stopping may end it sooner.
    """
    if not status.done or not status.total:
        return None
    in_phase_s = max(status.heartbeat - status.phase_started, 0.0)
    if status.phase != "training":
        return in_phase_s / status.done * (status.total - status.done)
    to_do = status.epochs - status.epoch + 1 - status.done / status.total
    if history:
        return max(0.0, to_do * median(row["seconds"] for row in history[-5:]))
    return max(0.0, to_do * in_phase_s / (status.done / status.total))


@dataclass(frozen=True)
class _Work:
    """How often what is done."""

    before_films: int  # films and views that pass the frozen part once
    before_gmac: float
    shown: int  # films that all epochs show
    epochs_gmac: float
    steps: int
    decoded: int


def _work(recipe: Recipe, films: Mapping[str, int]) -> _Work:
    train, held, settings = films.get("train", 0), films.get("val", 0), recipe.training
    rest = sum(films.values()) - train
    frozen_gmac, trained_gmac = _split(recipe)
    steps = settings.steps_per_epoch or -(-train // settings.batch)
    shown = settings.epochs * (steps * settings.batch if settings.steps_per_epoch else train)
    learning = (1 + BACKWARD) * trained_gmac * shown + trained_gmac * held * settings.epochs
    if recipe.trunk.train == "all" or (recipe.augmentation.active and not settings.views):
        learning += frozen_gmac * (shown + held * settings.epochs)
        return _Work(train + rest, 0.0, shown, learning, steps * settings.epochs, train + rest)
    views = max(settings.views, 1) if recipe.augmentation.active else 1
    before = train * views + rest
    return _Work(before, before * frozen_gmac, shown, learning, steps * settings.epochs, train + rest)


def _split(recipe: Recipe) -> tuple[float, float]:
    """What the frozen and the trained part of the trunk cost for one film."""
    scale = (recipe.input.size_px / 224) ** 2
    costs = [block.gmac * scale for block in TRUNKS[recipe.trunk.backbone].values()]
    cut = _cut(recipe)
    return sum(costs[:cut]), sum(costs[cut:])


def _cut(recipe: Recipe) -> int:
    """How many of the trunk's blocks are frozen."""
    names = blocks(recipe.trunk.backbone)
    if recipe.trunk.train == "all":
        return 0
    return names.index(recipe.trunk.train) if recipe.trunk.train in names else len(names)


def _seconds(work: _Work, gate: Range, device: Device) -> Range:
    slow, fast = _gmac_a_second(device)
    gmac = work.before_gmac + work.epochs_gmac
    return Range(
        START_S[0] + work.decoded * DECODE_S[0] + work.steps * STEP_S[0] + gmac / fast + gate.low,
        START_S[1] + work.decoded * DECODE_S[1] + work.steps * STEP_S[1] + gmac / slow + gate.high,
    )


def _gate(recipe: Recipe, device: Device) -> Range:
    """Seconds that teaching the gate takes."""
    gmac, (slow, fast) = GATE_PICTURES * sum(_split(recipe)), _gmac_a_second(device)
    return Range(gmac / fast, gmac / slow)


def _gmac_a_second(device: Device) -> tuple[float, float]:
    if not device.name.startswith("CPU"):
        return GPU_GMAC_S
    slow, fast = REACHED[device.precision]
    return slow * _gmac_s(), fast * _gmac_s()


@cache
def _gmac_s() -> float:
    """What this processor multiplies in a matrix product in float32, now; a tenth of a second's measurement."""
    side = 1024
    a = np.ones((side, side), np.float32)
    _ = a @ a
    started, rounds = time.perf_counter(), 0
    while time.perf_counter() - started < 0.1:
        _ = a @ a
        rounds += 1
    return rounds * side**3 / (time.perf_counter() - started) / 1e9


def _memory(recipe: Recipe) -> Range:
    scale = (recipe.input.size_px / 224) ** 2
    trunk, cut = list(TRUNKS[recipe.trunk.backbone].values()), _cut(recipe)
    weights = 4e6 * sum(block.weights_m for block in trunk)
    learned = 4e6 * sum(block.weights_m for block in trunk[cut:])
    passing = 4e6 * scale * max(block.maps_m for block in trunk) * 32  # the widest block, for a batch of features
    kept = 4e6 * scale * sum(block.maps_m for block in trunk[cut:]) * recipe.training.batch
    return Range(
        PROCESS_BYTES[0] + weights + 2 * learned + 0.3 * passing + 0.5 * kept,
        PROCESS_BYTES[1] + 2 * weights + 4 * learned + 1.5 * passing + 2.5 * kept,
    )


@dataclass(frozen=True)
class _PastRun:
    """What an ended run tells of its kind."""

    kind: tuple[object, ...]
    work: _Work
    epoch_s: float
    before_s: float
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


def _told_by(run: Run) -> _PastRun | None:
    status, history = run.status, run.history()
    if status.state != "finished" or not history:
        return None
    try:
        recipe = Recipe.from_toml(run.job.recipe_toml)
        with (run.folder / "films.csv").open(newline="", encoding="utf-8") as file:
            films = Counter(row["role"] for row in csv.DictReader(file))
    except (CxrError, OSError, KeyError):  # of an older version, or damaged: it tells nothing
        return None
    training = recipe.training.model_copy(update={"epochs": len(history)})
    work = _work(recipe.model_copy(update={"training": training}), films)
    epoch_s = sum(row["seconds"] for row in history)
    before_s = max(0.0, status.heartbeat - status.started - epoch_s)
    return _PastRun(
        _kind(recipe, status.device),
        work,
        epoch_s,
        before_s,
        recipe.training.batch,
        max(status.memory_bytes, 0),
    )
