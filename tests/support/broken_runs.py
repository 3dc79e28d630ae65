"""Trainings that are killed, or whose disk is filled, at random moments, compared with an unbroken one."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from cxr.core.paths import models_dir
from cxr.jobs import run_store
from cxr.jobs.run import PROCESS, Run
from cxr.jobs.training_plan import plan
from cxr.learning.journal import Phase
from cxr.registry import registry
from cxr.registry.card import WEIGHTS
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import load_arrays, sha256

ALIKE = 1e-5
DEAD_S = 10
LATEST_S = 4.0  # after the moment from which a process may be killed
WAIT_S = 600


Breaking = Callable[[Run, "BreakCount"], None]
Load = Callable[[Path], Mapping[str, NDArray[Any]]]


@dataclass
class BreakCount:
    """How often a run was broken, in which phases, and the faults that followed."""

    model: str
    broken: Counter[str] = field(default_factory=Counter)  # in which phase
    largest_difference: float = 0.0
    faults: list[str] = field(default_factory=list)


def stateful_recipe(epochs: int) -> Recipe:
    """A recipe with everything that has a state: dropout, fresh views, averaged weights, a schedule."""
    return Recipe.from_table(
        {
            "name": "tiny",
            "input": {"size_px": 32, "scale": "unit"},
            "trunk": {"backbone": "tiny", "weights": "none", "train": "all"},
            "head": {"dense": [16], "dropout": 0.3},
            "optimiser": {"rate": 3e-3, "schedule": "cosine"},
            "training": {"epochs": epochs, "batch": 16, "views": 0, "average": 0.9, "precision": "float32"},
            "augmentation": {"rotation_deg": 5.0, "contrast": 0.2},
        }
    )


def train_unbroken(recipe: Recipe, films: Path) -> Run:
    run = run_store.start(plan(recipe, [str(films)], "unbroken"), "tiny")
    wait_for(lambda: not run.status.alive)
    if run.status.state != "finished":
        raise SystemExit(f"The unbroken run is {run.status.state}: {run.status.sentence}")
    wait_for(lambda: not any(run.folder.glob("*.npz")))  # which go after its last word
    return run


def train_broken(recipe: Recipe, films: Path, model: str, most: int, breaking: Breaking) -> tuple[Run, BreakCount]:
    """A run that is broken and resumed at most that many times, until it is finished."""
    run, count = run_store.start(plan(recipe, [str(films)], model), "tiny"), BreakCount(model)
    while True:
        if count.broken.total() < most:
            if random.random() < 0.8:  # else at any time from the start of the process on
                wait_for(lambda: run.status.phase == Phase.TRAINING or not run.status.alive)
            time.sleep(random.uniform(0, LATEST_S))
            breaking(run, count)
        else:
            wait_for(lambda: not run.status.alive)
        if run.status.state == "finished" or count.faults:
            return run, count
        run_store.resume(run)


def kill(run: Run, count: BreakCount) -> None:
    try:
        victim = psutil.Process(json.loads((run.folder / PROCESS).read_text())[0])
        phase = run.status.phase or run.status.state
        victim.kill()
    except psutil.NoSuchProcess:  # it had come to its end
        wait_for(lambda: not run.status.alive)
        return
    dead = time.monotonic()
    wait_for(lambda: not run.status.alive)
    if time.monotonic() - dead > DEAD_S:
        count.faults.append(f"shown as {run.status.state} for {time.monotonic() - dead:.0f} s after its end")
    count.broken[phase] += 1


def fill_the_disk(run: Run, count: BreakCount) -> None:
    """Fill the disk until the run has ended."""
    phase, filler = run.status.phase or run.status.state, run.folder.parent / "filler"
    if not run.status.alive:
        return
    with filler.open("wb", buffering=0) as file:
        for block in (2**20, 2**12, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(block))
    wait_for(lambda: not run.status.alive)
    if run.status.alive:
        count.faults.append(f"goes on for {WAIT_S} s without room")
    filler.unlink()
    if run.status.state != "finished":  # it may have had its last word behind it
        count.broken[f"{phase}, then {run.status.state}"] += 1
    if left := [path.name for path in run.folder.glob(".*")]:
        count.faults.append(f"left behind: {left}")


def compare(run: Run, unbroken: Run, count: BreakCount, load: Load = load_arrays) -> None:
    """Add a fault where the run's epochs, weights or model differ from those of the unbroken run."""
    if run.status.state != "finished":
        count.faults.append(f"{run.status.state}: {run.status.sentence}")
        return
    epochs = [[row["epoch"] for row in one.history()] for one in (run, unbroken)]
    if epochs[0] != epochs[1]:
        count.faults.append(f"epochs {epochs[0]}")
    found, wanted = (load(models_dir() / one.status.model / WEIGHTS) for one in (run, unbroken))
    count.largest_difference = max(float(np.abs(found[name] - wanted[name]).max()) for name in wanted)
    if set(found) != set(wanted) or count.largest_difference > ALIKE:
        count.faults.append(f"weights differ by {count.largest_difference:g}")


def registry_content_faults(expected: set[str]) -> list[str]:
    """Where the registry does not hold exactly one complete model per run."""
    listing = registry.list_models()
    faults = [f"{card.name}: its weights are not those of its card" for card in listing.cards if not _whole(card)]
    names = {card.name for card in listing.cards}
    if names != expected:
        faults.append(f"in the registry: {sorted(names)}")
    return faults


def _whole(card: registry.Card) -> bool:
    return sha256(models_dir() / card.name / WEIGHTS) == card.weights_sha256


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
