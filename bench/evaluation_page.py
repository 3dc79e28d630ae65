"""How long the page Evaluate takes with many stored scores: to open, and after the threshold was moved.

    python bench/evaluation_page.py [--scores 100000] [--rounds 5]

A model with scores at random, in a folder of its own. Every round starts a server, where one visitor opens an
evaluation of a few X-rays, so that all modules are loaded. Another looks at Predict for twelve seconds, goes to that
of the many, which is then read, and moves the threshold five times. Prints medians and ranges in seconds, as a browser
sees them. Measure on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from bench.pages import FLAGS, POLL_MS, open_page  # noqa: E402
from cxr.evaluation.stored_evaluations import store_evaluation  # noqa: E402
from cxr.registry import default_model, registry  # noqa: E402
from cxr.registry.card import ModelDraft  # noqa: E402
from tests.support.browser import wait_until  # noqa: E402
from tests.support.server import starting  # noqa: E402
from tests.support.small_models import random_arrays, small_recipe  # noqa: E402

CLASSES = ("normal", "bacterial", "viral", "covid19")
GROUPS = {"pneumonia": ("bacterial", "viral")}
FEW, MANY = "few", "many"  # names of models
FEW_SCORES = 200
LOOKED_AT_S = 12.0
KEYS = ("PageUp", "PageUp", "PageDown", "PageUp", "PageUp")  # each moves the threshold by a tenth
METRICS = "[...document.querySelectorAll('[data-testid=stMetricValue]')].map(node => node.innerText).join()"
SHOWN = f"{METRICS} && document.querySelector('.js-plotly-plot .annotation')"


def main() -> None:
    """Measures and prints the waits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    waits: dict[str, list[float]] = {"open": [], "threshold": []}
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        os.environ["CXR_HOME"] = home
        for name, count in ((FEW, FEW_SCORES), (MANY, asked.scores)):
            store_model(name, scores_at_random(count))
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"), args=FLAGS
        )
        for _ in range(asked.rounds):
            for name, seconds in time_round(browser, Path(home)):
                waits[name].append(seconds)
    for name, taken in waits.items():
        print(
            f"{name:10} {statistics.median(taken):6.2f} s  ({min(taken):.2f} to {max(taken):.2f}, {len(taken)} times)"
        )


def time_round(browser: Browser, home: Path) -> Iterator[tuple[str, float]]:
    """The waits of one round, each with its name."""
    with starting(home) as server:
        another = browser.new_context(color_scheme="dark").new_page()
        open_page(another, server)
        another.goto(f"{server.url}/evaluate?model={FEW}")
        wait_until(another, SHOWN)
        another.context.close()
        tab = browser.new_context(color_scheme="dark").new_page()
        open_page(tab, server)
        time.sleep(LOOKED_AT_S)
        started = time.perf_counter()
        tab.get_by_role("link", name="Evaluate").click()
        wait_until(tab, SHOWN, poll_ms=POLL_MS)
        yield "open", time.perf_counter() - started
        for key in KEYS:
            before = tab.evaluate(METRICS)
            tab.get_by_role("slider").first.focus()
            started = time.perf_counter()
            tab.keyboard.press(key)
            wait_until(tab, f"{METRICS} !== {before!r}", poll_ms=POLL_MS)
            yield "threshold", time.perf_counter() - started
        tab.context.close()


def store_model(name: str, scores: pd.DataFrame) -> None:
    """Stores a model of this name with the evaluation of these scores."""
    recipe = small_recipe()
    draft = ModelDraft(name=name, classes=CLASSES, groups=GROUPS, threshold=0.5)
    row = "films,a.png,viral,test,0.1,0.2,0.6,0.1\n"
    table = "dataset,path,label,role," + ",".join(f"p_{label}" for label in CLASSES) + "\n" + row
    card = registry.store(registry.NewModel(draft, recipe, random_arrays(recipe, len(CLASSES)), table))
    default_model.promote(name)
    store_evaluation(card, "archive", None, scores)


def scores_at_random(count: int) -> pd.DataFrame:
    """So many scores, better than chance, of three sources, of patients of whom some have several X-rays."""
    rng = np.random.default_rng(0)
    label = rng.choice(len(CLASSES), count, p=[0.6, 0.2, 0.1, 0.1])
    logits = rng.normal(0, 1, (count, len(CLASSES)))
    logits[np.arange(count), label] += 1.8
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = np.array(CLASSES, object)[label]
    names[rng.random(count) < 0.03] = "pneumonia"
    table = {
        "dataset": "archive",
        "path": [f"{n // 1000:04d}/{n:07d}.png" for n in range(count)],
        "patient": rng.integers(0, round(0.8 * count), count),
        "film": [f"{n:016x}" for n in rng.integers(0, 2**62, count)],
        "label": names,
        "source": rng.choice(["first", "second", "third"], count),
        "view": rng.choice(["PA", "AP"], count),
        "sex": rng.choice(["F", "M"], count),
        "age": rng.integers(1, 90, count).astype(str),
        "role": "",
        "rejected": np.where(rng.random(count) < 0.01, "lateral", ""),
    }
    return pd.DataFrame(table | {f"p_{name}": p[:, k].round(6) for k, name in enumerate(CLASSES)})


if __name__ == "__main__":
    main()
