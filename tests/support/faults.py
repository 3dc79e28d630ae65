"""Killed writers, many starts at once and full disks: what readers of the registry and of runs must never see."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cxr.core.errors import CxrError
from cxr.jobs import run_store
from cxr.jobs.job import training_job
from cxr.jobs.run import Run
from cxr.jobs.run_journal import open_journal
from cxr.registry import default_model, registry
from cxr.registry.card import WEIGHTS, ModelDraft
from cxr.registry.recipe import Recipe
from cxr.registry.shapes import expected_shapes
from cxr.registry.weights_file import load_arrays, sha256

PROJECT = Path(__file__).parents[2]
READERS = 4
PERMANENT = ("first", "second")  # models that are never deleted
LATEST_KILL_S = 0.4  # after this time a writer is killed at the latest
FILE_LIMIT_BYTES = 200_000
WAIT_S = 600


@dataclass
class FaultCount:
    """How often something was done and checked, and the faults that were found."""

    done: int = 0
    checks: int = 0
    faults: list[str] = field(default_factory=list)


def store_small_model(name: str, elements: int = 100_000) -> None:
    """Store a small model that nothing was trained of, with about so many weights."""
    head = {"dense": [max(1, elements // 16)]}
    recipe = Recipe.from_table({"name": "tiny", "trunk": {"backbone": "tiny", "weights": "none"}, "head": head})
    draft = ModelDraft(name=name, classes=("a", "b"), groups={})
    arrays = {path: np.ones(shape, np.float32) for path, shape in expected_shapes(recipe, 2).items()}
    registry.store(registry.NewModel(draft, recipe, arrays, "path,label,a,b\n"))


def write_forever() -> None:
    """Store, promote, roll back, rename and delete, until killed."""
    random.seed()
    while True:
        name = f"new-{os.getpid()}"
        store_small_model(name)
        default_model.promote(name)
        default_model.promote(random.choice(PERMANENT))
        registry.rename(name, f"{name}-again")
        registry.delete(f"{name}-again")
        default_model.promote(PERMANENT[0])
        default_model.promote(PERMANENT[1])
        default_model.roll_back()


def kill_writers(kills: int) -> FaultCount:
    """Kill writers at random moments while readers check the registry."""
    count, over = _with_readers()
    for _ in range(kills):
        writer = _child("write_forever()")
        _wait(lambda: bool(list(registry.models_dir().glob("*new-*"))), 60)
        time.sleep(random.uniform(0, LATEST_KILL_S))
        if writer.poll() is not None:
            count.faults.append(f"a writer ended by itself with {writer.returncode}")
        writer.kill()
        writer.communicate()
        count.done += 1
        for name in registry.names():  # complete models of the killed writer are deleted, as a person would
            if name not in PERMANENT:
                default_model.promote(PERMANENT[0])
                registry.delete(name)
    over()
    return count


def promote_repeatedly(promotions: int) -> FaultCount:
    """Promote one model after the other while readers check the registry."""
    count, over = _with_readers()
    for n in range(promotions):
        default_model.promote(PERMANENT[n % 2])
        count.done += 1
    over()
    return count


def _with_readers() -> tuple[FaultCount, Callable[[], None]]:
    """A registry with two models and readers that check it, and a function that ends them."""
    for name in PERMANENT:
        store_small_model(name)
    count, ended = FaultCount(), threading.Event()

    def check() -> None:
        while not ended.is_set():
            count.faults += registry_faults()
            count.checks += 1

    readers = [threading.Thread(target=check, daemon=True) for _ in range(READERS)]
    for reader in readers:
        reader.start()

    def over() -> None:
        ended.set()
        for reader in readers:
            reader.join()

    return count, over


def registry_faults() -> list[str]:
    """What is wrong in the registry now."""
    faults = []
    default = default_model.default_name()
    listing = registry.list_models()
    if default is None:
        faults.append("there is no default model")
    if not set(PERMANENT) <= {card.name for card in listing.cards}:
        faults.append(f"only {sorted(card.name for card in listing.cards)} are in the registry")
    for card in listing.cards:
        path = registry.models_dir() / card.name / WEIGHTS
        try:
            if sha256(path) != card.weights_sha256 or "logits/kernel" not in load_arrays(path):
                faults.append(f"the weights of {card.name} are not those of its card")
        except (OSError, CxrError) as error:
            if path.exists():  # gone meanwhile, as a deleted one may be
                faults.append(f"{card.name} cannot be read: {error}")
    return faults


def start_at_once(starts: int) -> FaultCount:
    """Start that many runs at once: each is executed exactly once, and one at a time on the device."""
    all_runs = [run_store.create(training_job("", (), None), "tiny") for _ in range(starts)]
    # Each twice: a double click must start one training.
    children = [_child(f"stand_in_training({run.id!r})") for run in (*all_runs, *all_runs)]
    for child in children:
        child.communicate(timeout=WAIT_S)
    _wait(lambda: all(run.status.state == "finished" for run in all_runs), WAIT_S)
    count = FaultCount(done=sum(run.status.state == "finished" for run in all_runs))
    spans = sorted(tuple(map(float, line.split())) for run in all_runs for line in _spans(run))
    count.checks = len(spans)
    if len(spans) != starts or any(len(_spans(run)) != 1 for run in all_runs):
        count.faults.append(f"{starts} runs were executed {len(spans)} times")
    overlaps = sum(one[1] > other[0] for one, other in zip(spans, spans[1:], strict=False))
    if overlaps:
        count.faults.append(f"{overlaps} times two runs had the device at once")
    return count


def _spans(run: Run) -> list[str]:
    path = run.folder / "spans.txt"
    return path.read_text().splitlines() if path.exists() else []


def stand_in_training(run_id: str) -> None:
    """Execute a run that does nothing but write when it had the device."""
    run = run_store.find(run_id)
    with open_journal(run) as journal:
        begun = time.monotonic()
        time.sleep(0.05)
        with (run.folder / "spans.txt").open("a") as file:
            file.write(f"{begun} {time.monotonic()}\n")
        journal.finish("Done.")


def store_on_a_full_disk(saves: int) -> FaultCount:
    """Store models on a full disk: each is refused with a sentence, and nothing of it is left."""
    store_small_model("first", 10)
    before = sorted(path.name for path in registry.models_dir().iterdir())
    count = FaultCount()
    for n in range(saves):
        limit = FILE_LIMIT_BYTES * n // saves + 1000
        child = _child(f"store_with({limit})")
        output = (child.communicate()[0] or b"").decode()
        count.done += 1
        if "could not be stored" not in output:
            count.faults.append(f"at {limit} bytes: {output[-200:]!r}")
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
        store_small_model("new")
        print("stored")
    except CxrError as error:
        print(error)


def _child(call: str) -> subprocess.Popen[bytes]:
    code = f"import sys; sys.path.insert(0, {str(PROJECT)!r}); from tests.support.faults import *; {call}"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _wait(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
