"""What becomes of trainings that are broken at random points: epochs, weights and models against an unbroken one.

    python bench/broken_runs.py [--kills 200] [--full-disks 20] [--epochs 30]

A small network is trained on drawn films in processes of their own, once without a break, then as often as it takes.
Each process is killed with SIGKILL at a random moment, seen dead, and resumed, until the run is finished. Then the same
on a file system of 50 MB that something else fills to the last byte at a random moment, and makes free again when the
run has ended in words (Linux, as root: a mount that only this script sees). Prints a line a run. Ends with 1 where an
epoch is in the history twice or not at all, where weights differ by more than 1e-5 from those of the unbroken run,
where a dead run is shown as running for longer than 10 s, where partial files are left, or where the shelf holds
anything but one whole model a run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
import psutil  # noqa: E402

from cxr.core.paths import models_dir  # noqa: E402
from cxr.films.synthetic.phantom import draw_phantom_set  # noqa: E402
from cxr.jobs import run_store  # noqa: E402
from cxr.jobs.run import PROCESS, Run  # noqa: E402
from cxr.jobs.training_plan import plan  # noqa: E402
from cxr.registry import registry  # noqa: E402
from cxr.registry.card import WEIGHTS  # noqa: E402
from cxr.registry.recipe import Recipe  # noqa: E402
from cxr.registry.weights_file import load_arrays, sha256  # noqa: E402

FILMS, SIZE_PX = 160, 64
DISK_MB = 50
ALIKE = 1e-5
DEAD_S = 10
LATEST_S = 4.0  # after the moment from which a process may be killed
WAIT_S = 600


Breaking = Callable[[Run, "Count"], None]


@dataclass
class Count:
    """One run: when it was broken, and what must never have been."""

    model: str
    broken: Counter[str] = field(default_factory=Counter)  # in which phase
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


def unbroken(recipe: Recipe, films: Path) -> Run:
    run = run_store.start(plan(recipe, [str(films)], "unbroken"), "tiny")
    _wait(lambda: not run.status.alive)
    if run.status.state != "finished":
        raise SystemExit(f"The unbroken run is {run.status.state}: {run.status.sentence}")
    _wait(lambda: not any(run.folder.glob("*.npz")))  # which go after its last word
    return run


def broken(recipe: Recipe, films: Path, model: str, most: int, breaking: Breaking) -> tuple[Run, Count]:
    """A run that is broken and resumed until it is finished, or that many times; then it is let alone."""
    run, count = run_store.start(plan(recipe, [str(films)], model), "tiny"), Count(model)
    while True:
        if count.broken.total() < most:
            if random.random() < 0.8:  # else at any time from the start of the process on
                _wait(lambda: run.status.phase == "training" or not run.status.alive)
            time.sleep(random.uniform(0, LATEST_S))
            breaking(run, count)
        else:
            _wait(lambda: not run.status.alive)
        if run.status.state == "finished" or count.faults:
            return run, count
        run_store.resume(run)


def kill(run: Run, count: Count) -> None:
    try:
        victim = psutil.Process(json.loads((run.folder / PROCESS).read_text())[0])
        phase = run.status.phase or run.status.state
        victim.kill()
    except psutil.NoSuchProcess:  # it had come to its end
        _wait(lambda: not run.status.alive)
        return
    dead = time.monotonic()
    _wait(lambda: not run.status.alive)
    if time.monotonic() - dead > DEAD_S:
        count.faults.append(f"shown as {run.status.state} for {time.monotonic() - dead:.0f} s after its end")
    count.broken[phase] += 1


def fill_the_disk(run: Run, count: Count) -> None:
    """Takes all room that is left, until the run has ended."""
    phase, filler = run.status.phase or run.status.state, run.folder.parent / "filler"
    if not run.status.alive:
        return
    with filler.open("wb", buffering=0) as file:
        for block in (2**20, 2**12, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(block))
    _wait(lambda: not run.status.alive)
    if run.status.alive:
        count.faults.append(f"goes on for {WAIT_S} s without room")
    filler.unlink()
    if run.status.state != "finished":  # it may have had its last word behind it
        count.broken[f"{phase}, then {run.status.state}"] += 1
    if left := [path.name for path in run.folder.glob(".*")]:
        count.faults.append(f"left behind: {left}")


def compare(run: Run, unbroken: Run, count: Count) -> None:
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
    listing = registry.list_models()
    faults = [f"{card.name}: its weights are not those of its card" for card in listing.cards if not _whole(card)]
    names = {card.name for card in listing.cards}
    if names != expected:
        faults.append(f"on the shelf: {sorted(names)}")
    return faults


def _whole(card: registry.Card) -> bool:
    return sha256(models_dir() / card.name / WEIGHTS) == card.weights_sha256


def _wait(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, most in {"kills": 200, "full-disks": 20, "epochs": 30}.items():
        parser.add_argument(f"--{option}", type=int, default=most)
    parser.add_argument("--small-disk", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    recipe = recipe_of(asked.epochs)
    with tempfile.TemporaryDirectory() as where:
        draw_phantom_set(films := Path(where) / "films", FILMS, size_px=SIZE_PX)
        if asked.small_disk:
            os.environ["CXR_HOME"] = str(asked.small_disk)
            sys.exit(not trial(recipe, films, asked.full_disks, fill_the_disk))
        os.environ["CXR_HOME"] = str(Path(where) / "home")
        sound = trial(recipe, films, asked.kills, kill)
        sys.exit(not (sound and (not asked.full_disks or on_a_small_disk(Path(where)))))


def trial(recipe: Recipe, films: Path, times: int, breaking: Breaking) -> bool:
    """Runs until so many were broken; True where all of them ended as the unbroken one did."""
    first, broke, sound = unbroken(recipe, films), 0, True
    models = {first.status.model}
    while broke < times:
        run, count = broken(recipe, films, f"broken-{len(models)}", times - broke, breaking)
        compare(run, first, count)
        models.add(count.model)
        count.faults += shelf_faults(models)
        broke, sound = broke + count.broken.total(), sound and not count.faults
        print(json.dumps({breaking.__name__: broke} | vars(count)), flush=True)
    return sound


def on_a_small_disk(where: Path) -> bool:
    if sys.platform != "linux" or os.geteuid() or not shutil.which("unshare"):
        print("No disk was filled: this takes Linux and the rights of root.")
        return True
    disk = where / "disk"
    disk.mkdir()
    again = shlex.join([sys.executable, *sys.argv, "--small-disk", str(disk)])
    mounted = f"mount -t tmpfs -o size={DISK_MB}m cxr {shlex.quote(str(disk))} && exec {again}"
    return subprocess.run(["unshare", "--mount", "sh", "-c", mounted]).returncode == 0


if __name__ == "__main__":
    main()
