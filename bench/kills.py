"""What becomes of trainings that are killed at random points: epochs, weights and models against an unbroken one.

    python bench/kills.py [--kills 200] [--epochs 30]

A small network is trained on drawn films in processes of their own, once without a break, then as often as it takes:
each process is killed with SIGKILL at a random moment, seen dead, and resumed, until the run is finished. Prints a line
a run. Ends with 1 where an epoch is in the history twice or not at all, where weights differ by more than 1e-5 from
those of the unbroken run, where a dead run is shown as running for longer than 10 s, or where the shelf holds anything
but one whole model a run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
import psutil  # noqa: E402

from cxr import workshop  # noqa: E402
from cxr.films.phantom import draw_phantom_set  # noqa: E402
from cxr.home import models_dir  # noqa: E402
from cxr.learning import runs  # noqa: E402
from cxr.learning.recipe import Recipe  # noqa: E402
from cxr.learning.weights import load_arrays, sha256  # noqa: E402
from cxr.reading import shelf  # noqa: E402
from cxr.reading.card import WEIGHTS  # noqa: E402

FILMS, SIZE_PX = 160, 64
ALIKE = 1e-5
DEAD_S = 10
LATEST_S = 4.0  # after the moment from which a process may be killed
WAIT_S = 600


@dataclass
class Count:
    """One run: when it was killed, and what must never have been."""

    model: str
    kills: Counter[str] = field(default_factory=Counter)
    largest_difference: float = 0.0
    faults: list[str] = field(default_factory=list)


def recipe_of(epochs: int) -> Recipe:
    """Everything that has a state of its own: dropout, fresh views, averaged weights, a moving rate."""
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


def unbroken(recipe: Recipe, films: Path) -> runs.Run:
    run = runs.start(workshop.plan(recipe, [str(films)], "unbroken"), "tiny")
    _wait(lambda: not run.status.alive)
    if run.status.state != "finished":
        raise SystemExit(f"The unbroken run is {run.status.state}: {run.status.sentence}")
    return run


def broken(recipe: Recipe, films: Path, model: str, most: int) -> tuple[runs.Run, Count]:
    """A run whose processes are killed until it is finished, or that many times; then it is let alone."""
    run, count = runs.start(workshop.plan(recipe, [str(films)], model), "tiny"), Count(model)
    while True:
        if count.kills.total() < most:
            kill(run, count)
        else:
            _wait(lambda: not run.status.alive)
        if run.status.state != "interrupted":
            return run, count
        run.resume()


def kill(run: runs.Run, count: Count) -> None:
    """At any time from the start of the process on, or from the moment that it trains on."""
    if random.random() < 0.8:
        _wait(lambda: run.status.phase == "training" or not run.status.alive)
    time.sleep(random.uniform(0, LATEST_S))
    try:
        victim = psutil.Process(json.loads((run.folder / runs.PROCESS).read_text())[0])
        phase = run.status.phase or run.status.state
        victim.kill()
    except psutil.NoSuchProcess:  # it had come to its end
        _wait(lambda: not run.status.alive)
        return
    dead = time.monotonic()
    _wait(lambda: not run.status.alive)
    if time.monotonic() - dead > DEAD_S:
        count.faults.append(f"shown as {run.status.state} for {time.monotonic() - dead:.0f} s after its end")
    count.kills[phase] += 1


def compare(run: runs.Run, unbroken: runs.Run, count: Count) -> None:
    """Adds to the count where the run's epochs, weights or model are not those of the unbroken run."""
    if run.status.state != "finished":
        count.faults.append(f"{run.status.state}: {run.status.sentence}")
        return
    epochs = [[row["epoch"] for row in one.history()] for one in (run, unbroken)]
    if epochs[0] != epochs[1]:
        count.faults.append(f"epochs {epochs[0]}")
    found, wanted = (load_arrays(models_dir() / one.status.model / WEIGHTS) for one in (run, unbroken))
    count.largest_difference = max(float(np.abs(found[name] - wanted[name]).max()) for name in wanted)
    if set(found) != set(wanted) or count.largest_difference > ALIKE:
        count.faults.append(f"weights differ by {count.largest_difference:g}")


def shelf_faults(expected: set[str]) -> list[str]:
    """What of the shelf is not one whole model a run."""
    listing = shelf.listing()
    faults = [f"{card.name}: its weights are not those of its card" for card in listing.cards if not _whole(card)]
    names = {card.name for card in listing.cards}
    if names != expected:
        faults.append(f"on the shelf: {sorted(names)}")
    return faults


def _whole(card: shelf.Card) -> bool:
    return sha256(models_dir() / card.name / WEIGHTS) == card.weights_sha256


def _wait(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=30)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as where:
        os.environ["CXR_HOME"], films = where, Path(where) / "films"
        draw_phantom_set(films, FILMS, size_px=SIZE_PX)
        sys.exit(not trial(recipe_of(asked.epochs), films, asked.kills))


def trial(recipe: Recipe, films: Path, kills: int) -> bool:
    """Runs until so many were killed; True where all of them ended as the unbroken one did."""
    first, killed, sound = unbroken(recipe, films), 0, True
    models = {first.status.model}
    while killed < kills:
        run, count = broken(recipe, films, f"broken-{len(models)}", kills - killed)
        compare(run, first, count)
        models.add(count.model)
        count.faults += shelf_faults(models)
        killed, sound = killed + count.kills.total(), sound and not count.faults
        print(json.dumps({"killed": killed} | vars(count)), flush=True)
    return sound


if __name__ == "__main__":
    main()
