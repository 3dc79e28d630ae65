"""How the reading of an archive grows with its files: time, memory, and its speed as a share of the backbone's own.

    python bench/archives.py [--counts 1000 10000 100000] [--model vgg16-broad] [--heatmaps] [--precision int8]

X-rays are noise of 224 px, each another one. Each archive is read by a job in a process of its own, with a model of
this installation. Before and after it, the model's forward pass alone is timed in a process of its own, on batches in
memory. Prints a line for each archive: X-rays per second without the start and the loading of the model, the share of
the backbone's own speed, the peak memory of the process, and the size of the readings. In int8, which needs a model
with an engine for it (`cxr models quantize`), the backbone's own speed is that of the engine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image

sys.path.insert(0, str(PROJECT := Path(__file__).parents[1]))

from cxr.jobs.parameters import Precision  # noqa: E402

COUNTS = (1_000, 10_000, 100_000)
SIDE_PX = 224
IN_FOLDER = 1_000
TIMED_S = 10.0  # of the backbone alone, before and after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--model", default="vgg16-broad")
    parser.add_argument("--heatmaps", action="store_true")
    parser.add_argument("--precision", choices=get_args(Precision), default="auto")
    parser.add_argument("--task", choices=("backbone", "read"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.task == "backbone":
        print(json.dumps(backbone(asked.model, asked.precision)))
    elif asked.task == "read":
        print(json.dumps(reading(asked.folder, asked.model, asked.heatmaps, asked.precision)))
    else:
        for count in asked.counts:
            print(json.dumps(archive(count, asked.model, asked.heatmaps, asked.precision)), flush=True)


def archive(count: int, model: str, heatmaps: bool, precision: Precision) -> dict[str, Any]:
    """The figures of an archive of so many X-rays."""
    with tempfile.TemporaryDirectory() as where:
        draw(Path(where) / "archive", count)
        how = ("--model", model, "--precision", precision)
        alone = [in_a_process("backbone", *how)["films_s"]]
        found = in_a_process("read", *how, "--folder", where, *["--heatmaps"] * heatmaps)
        alone.append(in_a_process("backbone", *how)["films_s"])
    own = float(np.mean(alone))
    return found | {"backbone_films_s": round(own, 2), "share": round(found["films_s"] / own, 3)}


def in_a_process(task: str, *more: str) -> dict[str, Any]:
    """What a task prints as its last line."""
    command = [sys.executable, __file__, "--task", task, *more]
    done = subprocess.run(command, env=os.environ, stdout=subprocess.PIPE, check=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def draw(folder: Path, count: int) -> None:
    """Write so many small X-rays of noise, a thousand in a folder."""
    rng = np.random.default_rng(0)
    for number in range(count):
        place = folder / f"{number // IN_FOLDER:04d}"
        if number % IN_FOLDER == 0:
            place.mkdir(parents=True)
        coarse = Image.fromarray(rng.integers(0, 256, (14, 14), np.uint8))
        coarse.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC).save(place / f"{number:07d}.png")


def reading(where: Path, model: str, heatmaps: bool, precision: Precision) -> dict[str, Any]:
    """What the reading of the archive in this folder took, in this process."""
    from cxr.core.stored_data import stored_bytes
    from cxr.jobs import run_store
    from cxr.jobs.kinds import execute
    from cxr.jobs.read import reading_job
    from cxr.registry import registry

    out = where / "out"
    job = reading_job(registry.get_card(model), str(where / "archive"), str(out), heatmaps, precision=precision)
    run = run_store.create(job, f"{job.kind}-{model}")
    begun = time.monotonic()
    execute(run)
    spent_s, status = time.monotonic() - begun, run.status
    run_store.delete(run)
    summary = json.loads((out / "summary.json").read_text())
    return {
        "files": summary["files"],
        "read": summary["read"],
        "seconds": round(spent_s, 1),  # with the loading of the model and the summary
        "films_s": status.films_s,
        "memory_mb": status.memory_bytes // 2**20,
        "readings_mb": round(stored_bytes(out) / 1e6, 2),
    }


def backbone(model: str, precision: Precision) -> dict[str, Any]:
    """The images per second of the model's forward pass on batches in memory, in this process."""
    from cxr.inference.archive.reading import BATCH
    from cxr.inference.loading import load_classifier

    forward = (classifier := load_classifier(model, precision)).batch_engine[1]
    pixels = np.zeros((BATCH, classifier.size_px, classifier.size_px, 1), np.uint8)
    np.asarray(forward(pixels)[0])
    begun, batches = time.monotonic(), 0
    while time.monotonic() - begun < TIMED_S:
        np.asarray(forward(pixels)[0])
        batches += 1
    return {"films_s": BATCH * batches / (time.monotonic() - begun)}


if __name__ == "__main__":
    main()
