"""What becomes of the shelf and of runs when processes are killed, many start at once, or the disk is full.

    python bench/faults.py [--kills 200] [--promotions 1000] [--starts 50] [--rounds 20]

Everything happens in a folder of its own that is thrown away. Prints counts; ends with 1 where anything that must never
be seen was seen: half a model, a model in use that is not there, a run carried out twice, or two at once on the device.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(PROJECT := Path(__file__).parents[1]))

import numpy as np  # noqa: E402

from cxr.core.errors import CxrError  # noqa: E402
from cxr.jobs import run_store  # noqa: E402
from cxr.jobs.run import Job, Run  # noqa: E402
from cxr.jobs.run_journal import open_journal  # noqa: E402
from cxr.registry import default_model, registry  # noqa: E402
from cxr.registry.card import WEIGHTS, ModelDraft  # noqa: E402
from cxr.registry.recipe import Recipe  # noqa: E402
from cxr.registry.shapes import expected_shapes  # noqa: E402
from cxr.registry.weights_file import load_arrays, sha256  # noqa: E402

READERS = 4
KEPT = ("first", "second")  # models that are never deleted
LATEST_S = 0.4  # after which a writer is killed
FILE_LIMIT_BYTES = 200_000
WAIT_S = 600


@dataclass
class Count:
    """What was done, what readers saw, and what they must never have seen."""

    done: int = 0
    looks: int = 0
    faults: list[str] = field(default_factory=list)


def put(name: str, elements: int = 100_000) -> None:
    """Store a small model that nothing was trained of, with about so many weights."""
    head = {"dense": [elements // 16]}
    recipe = Recipe.from_table({"name": "tiny", "trunk": {"backbone": "tiny", "weights": "none"}, "head": head})
    draft = ModelDraft(name=name, classes=("a", "b"), groups={})
    arrays = {path: np.ones(shape, np.float32) for path, shape in expected_shapes(recipe, 2).items()}
    registry.store(registry.NewModel(draft, recipe, arrays, "path,label,a,b\n"))


def write_for_ever() -> None:
    """Store, promote, roll back, rename and delete, until killed."""
    random.seed()
    while True:
        name = f"new-{os.getpid()}"
        put(name)
        default_model.promote(name)
        default_model.promote(random.choice(KEPT))
        registry.rename(name, f"{name}-again")
        registry.delete(f"{name}-again")
        default_model.promote(KEPT[0])
        default_model.promote(KEPT[1])
        default_model.roll_back()


def killed(kills: int) -> Count:
    """Writers are killed at random moments while readers look."""
    count, over = _with_readers()
    for _ in range(kills):
        writer = _child("write_for_ever()")
        _wait(lambda: bool(list(registry.models_dir().glob("*new-*"))), 60)
        time.sleep(random.uniform(0, LATEST_S))
        if writer.poll() is not None:
            count.faults.append(f"a writer ended by itself with {writer.returncode}")
        writer.kill()
        writer.communicate()
        count.done += 1
        for name in registry.names():  # what the killed one left whole is taken away, as a person would
            if name not in KEPT:
                default_model.promote(KEPT[0])
                registry.delete(name)
    over()
    return count


def promoted(promotions: int) -> Count:
    """One promotion after the other while readers look."""
    count, over = _with_readers()
    for n in range(promotions):
        default_model.promote(KEPT[n % 2])
        count.done += 1
    over()
    return count


def _with_readers() -> tuple[Count, Callable[[], None]]:
    """A shelf with two models, and readers who look at it until they are told that it is over."""
    for name in KEPT:
        put(name)
    count, ended = Count(), threading.Event()

    def look() -> None:
        while not ended.is_set():
            count.faults += seen_wrong()
            count.looks += 1

    readers = [threading.Thread(target=look, daemon=True) for _ in range(READERS)]
    for reader in readers:
        reader.start()

    def over() -> None:
        ended.set()
        for reader in readers:
            reader.join()

    return count, over


def seen_wrong() -> list[str]:
    """What one look at the shelf shows that must never be seen."""
    faults = []
    in_use = default_model.default_name()
    listing = registry.list_models()
    if in_use is None:
        faults.append("no model is in use")
    if not set(KEPT) <= {card.name for card in listing.cards}:
        faults.append(f"only {sorted(card.name for card in listing.cards)} are on the shelf")
    for card in listing.cards:
        path = registry.models_dir() / card.name / WEIGHTS
        try:
            if sha256(path) != card.weights_sha256 or "logits/kernel" not in load_arrays(path):
                faults.append(f"the weights of {card.name} are not those of its card")
        except (OSError, CxrError) as error:
            if path.exists():  # gone meanwhile, as a deleted one may be
                faults.append(f"{card.name} cannot be read: {error}")
    return faults


def started(starts: int) -> Count:
    """That many runs are started at once: each is carried out exactly once, and one at a time on the device."""
    all_runs = [run_store.create(Job("", (), None), "tiny") for _ in range(starts)]
    # Each twice: who clicks twice wants one training.
    children = [_child(f"carry_out({run.id!r})") for run in (*all_runs, *all_runs)]
    for child in children:
        child.communicate(timeout=WAIT_S)
    _wait(lambda: all(run.status.state == "finished" for run in all_runs), WAIT_S)
    count = Count(done=sum(run.status.state == "finished" for run in all_runs))
    spans = sorted(tuple(map(float, line.split())) for run in all_runs for line in _spans(run))
    count.looks = len(spans)
    if len(spans) != starts or any(len(_spans(run)) != 1 for run in all_runs):
        count.faults.append(f"{starts} runs were carried out {len(spans)} times")
    overlaps = sum(one[1] > other[0] for one, other in zip(spans, spans[1:], strict=False))
    if overlaps:
        count.faults.append(f"{overlaps} times two were on the device at once")
    return count


def _spans(run: Run) -> list[str]:
    path = run.folder / "spans.txt"
    return path.read_text().splitlines() if path.exists() else []


def carry_out(run_id: str) -> None:
    """What stands for a training: it says when it had the device."""
    run = run_store.find(run_id)
    with open_journal(run) as worker:
        begun = time.monotonic()
        time.sleep(0.05)
        with (run.folder / "spans.txt").open("a") as file:
            file.write(f"{begun} {time.monotonic()}\n")
        worker.finish("Done.")


def full(saves: int) -> Count:
    """Models are stored where the disk takes no more: each is refused in words, and nothing of it is left."""
    put("first", 10)
    before = sorted(path.name for path in registry.models_dir().iterdir())
    count = Count()
    for n in range(saves):
        limit = FILE_LIMIT_BYTES * n // saves + 1000
        child = _child(f"store_with({limit})")
        said = (child.communicate()[0] or b"").decode()
        count.done += 1
        if "could not be stored" not in said:
            count.faults.append(f"at {limit} bytes: {said[-200:]!r}")
        left = sorted(path.name for path in registry.models_dir().iterdir())
        if left != before:
            count.faults.append(f"at {limit} bytes {sorted(set(left) ^ set(before))} is left")
    return count


def store_with(limit: int) -> None:
    """Store a model of 400 kB in a process whose files may have no more than `limit` bytes."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        put("new")
        print("stored")
    except CxrError as error:
        print(error)


def _child(call: str) -> subprocess.Popen[bytes]:
    code = f"import sys; sys.path.insert(0, {str(PROJECT)!r}); from bench.faults import *; {call}"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _wait(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, most in {"kills": 200, "promotions": 1000, "starts": 50, "rounds": 20, "saves": 20}.items():
        parser.add_argument(f"--{option}", type=int, default=most)
    asked = parser.parse_args()
    trials: dict[str, Callable[[], Count]] = {
        f"{asked.kills} writers killed": lambda: killed(asked.kills),
        f"{asked.promotions} promotions": lambda: promoted(asked.promotions),
        f"{asked.saves} saves on a full disk": lambda: full(asked.saves),
    }
    for n in range(asked.rounds):
        trials[f"{asked.starts} starts at once, round {n + 1}"] = lambda: started(asked.starts)
    sound = True
    for name, trial in trials.items():
        with tempfile.TemporaryDirectory() as home:
            os.environ["CXR_HOME"] = home
            count = trial()
        sound = sound and not count.faults
        print(json.dumps({"trial": name} | asdict(count)), flush=True)
    sys.exit(not sound)


if __name__ == "__main__":
    main()
