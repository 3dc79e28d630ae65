"""How time and memory grow with the number of X-rays: audit, features of the frozen backbone, evaluation, page Data.

    python -m bench.growth [--most 50000]

X-rays are noise, 64 px, each another one. Every measurement is a process of its own, so that its memory is its
own. Prints a table, and draws it as bench/growth.svg with logarithmic axes: a straight line of one decade
for each decade is linear growth.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

PROJECT = Path(__file__).parents[1]
PLOT = Path(__file__).with_name("growth.svg")
COUNTS = (100, 500, 2_000, 10_000, 50_000)
SIDE_PX = 64
CLASSES = ("normal", "bacterial", "viral", "covid19")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=COUNTS[-1])
    parser.add_argument("--task", choices=TASKS, help="measure one, on --films")
    parser.add_argument("--films", type=Path)
    asked = parser.parse_args()
    if asked.task:
        print(json.dumps(measured(TASKS[asked.task], asked.films)))
        return
    found: dict[str, list[tuple[int, float, float]]] = {task: [] for task in TASKS}
    print("| films | " + " | ".join(f"{task}: s, MB" for task in TASKS) + " |")
    print("|---" * (1 + len(TASKS)) + "|")
    for count in (count for count in COUNTS if count <= asked.most):
        with tempfile.TemporaryDirectory() as where:
            folder = written(Path(where) / "films", count)
            for task in TASKS:
                found[task].append((count, *in_a_process(task, folder, Path(where) / "home")))
        cells = " | ".join(f"{points[-1][1]:.2f}, {points[-1][2]:.0f}" for points in found.values())
        print(f"| {count:,} | {cells} |", flush=True)
    PLOT.write_text(plot(found), "utf-8")


def written(folder: Path, count: int) -> Path:
    """So many films of noise in folders of two classes."""
    rng = np.random.default_rng(0)
    for label in CLASSES[:2]:
        (folder / label).mkdir(parents=True)
    for n in range(count):
        coarse = rng.integers(0, 256, (8, 8), dtype=np.uint8)
        film = Image.fromarray(coarse).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
        film.save(folder / CLASSES[n % 2] / f"{n:06}.png", compress_level=1)
    return folder


def in_a_process(task: str, folder: Path, home: Path) -> tuple[float, float]:
    """Seconds and the peak of memory in MB."""
    command = [sys.executable, "-m", "bench.growth", "--task", task, "--films", str(folder)]
    environment = os.environ | {"CXR_HOME": str(home / task), "TF_CPP_MIN_LOG_LEVEL": "3"}
    said = subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True, text=True).stdout
    seconds, megabytes = json.loads(said.splitlines()[-1])
    return seconds, megabytes


def measured(prepare: Callable[[Path], Callable[[], object]], folder: Path) -> tuple[float, float]:
    work = prepare(folder)
    started = time.perf_counter()
    work()
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _audit(folder: Path) -> Callable[[], object]:
    from cxr.datasets.dataset import Dataset
    from cxr.datasets.quality.audit import audit

    return lambda: audit(Dataset.open(folder))


def _maps(folder: Path) -> Callable[[], object]:
    """The maps of a small frozen trunk; a large one costs the same for each film."""
    from cxr.datasets.dataset import Dataset
    from cxr.learning.features import feature_table, pixel_table
    from cxr.learning.network import build
    from cxr.registry.recipe import Recipe

    table = {"input": {"size_px": SIDE_PX}, "trunk": {"backbone": "tiny", "weights": "none", "train": "head"}}
    recipe = Recipe.from_table({"name": "growth", **table})
    front = build(recipe, 2).frozen_part

    def work() -> None:
        dataset = Dataset.open(folder)
        pixels = pixel_table(dataset, SIDE_PX, lambda done, total: None)
        feature_table(front, recipe, np.arange(len(dataset)), pixels, 0, lambda done, total: None)

    return work


def _evaluation(folder: Path) -> Callable[[], object]:
    import pandas as pd

    from cxr.datasets.labels import LabelSpace
    from cxr.evaluation.cases import labeled_cases
    from cxr.evaluation.metric_intervals import metric_intervals

    count, rng = sum(1 for _ in folder.rglob("*.png")), np.random.default_rng(0)
    p = rng.dirichlet(np.ones(len(CLASSES)), count)
    scores = pd.DataFrame({"label": rng.choice(CLASSES, count), "patient": np.arange(count) // 2})
    scores = scores.assign(**{f"p_{name}": p[:, k] for k, name in enumerate(CLASSES)})
    return lambda: metric_intervals(labeled_cases(scores, LabelSpace(CLASSES), 0.5))


def _page(folder: Path) -> Callable[[], object]:
    from streamlit.testing.v1 import AppTest

    from cxr.datasets import catalog

    catalog.add(folder)
    app = AppTest.from_file(str(PROJECT / "pages" / "data.py"), default_timeout=600)
    return app.run


TASKS: dict[str, Callable[[Path], Callable[[], object]]] = {
    "audit": _audit,
    "frozen maps": _maps,
    "evaluation": _evaluation,
    "page Data": _page,
}

WIDTH, HEIGHT, EDGE = 640, 400, 60
COLORS = ("#0b6b78", "#b3541e", "#5b4a9e", "#6b7a1e")


def plot(found: dict[str, list[tuple[int, float, float]]]) -> str:
    """Seconds against films as an SVG."""
    points = [point for of in found.values() for point in of]
    across = _scale([count for count, _, _ in points], EDGE, WIDTH - 130)
    up = _scale([seconds for _, seconds, _ in points], HEIGHT - EDGE, 20)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">']
    parts.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>')
    for count in sorted({count for count, _, _ in points}):
        parts.append(
            f'<text x="{across(count):.0f}" y="{HEIGHT - 36}" font-size="11" text-anchor="middle">{count:,}</text>'
        )
    parts.append(f'<text x="{WIDTH / 2 - 60}" y="{HEIGHT - 14}" font-size="12">films</text>')
    for power in range(-2, 4):
        if min(seconds for _, seconds, _ in points) <= 10.0**power <= max(seconds for _, seconds, _ in points):
            y = up(10.0**power)
            parts.append(f'<line x1="{EDGE}" x2="{WIDTH - 130}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>')
            parts.append(
                f'<text x="{EDGE - 8}" y="{y + 4:.0f}" font-size="11" text-anchor="end">{10.0**power:g} s</text>'
            )
    for (task, of), ink in zip(found.items(), COLORS, strict=True):
        line = " ".join(f"{across(count):.1f},{up(seconds):.1f}" for count, seconds, _ in of)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{ink}" stroke-width="2"/>')
        parts.append(f'<text x="{WIDTH - 122}" y="{up(of[-1][1]) + 4:.0f}" font-size="12" fill="{ink}">{task}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _scale(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    """By powers of ten, from the least of these at `start` to the most at `end`."""
    low, high = np.log10(min(values)), np.log10(max(values))
    return lambda value: float(start + (np.log10(value) - low) / max(high - low, 1e-9) * (end - start))


if __name__ == "__main__":
    main()
