"""Walks through docs/tutorial.md in a browser, as a person would, and takes its pictures: docs/screens/tutorial-*.webp.

    python docs/tutorial.py [--home FOLDER]

Prints how long each step took. A new home is made, with the model that comes with the project. Where a reader answers,
the answers are those of the column "finding", which has the labels before some were made wrong. Needs Chromium and
VGG16's ImageNet weights.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(PROJECT := Path(__file__).parents[1]), str(Path(__file__).parent)]

from playwright.sync_api import Page  # noqa: E402
from screens import SETTLED_MS, SHIPPED, WIDTH_PX, browser, keep, tab_of  # noqa: E402

from cxr.datasets import catalog  # noqa: E402
from cxr.datasets.dataset import Dataset  # noqa: E402
from cxr.evaluation.label_review.review import all_reviews, answers_of, next_item  # noqa: E402
from tests.support.browser import settled  # noqa: E402
from tests.support.server import serving  # noqa: E402

PRACTICE, ELSEWHERE, FIRST, REVISED = "practice", "elsewhere", "first", "first-revised"
READER = "Reader 1"
LONG_MS = 1_800_000  # a training on a busy machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = (args.home or Path(scratch)).resolve()
        os.environ["CXR_HOME"] = str(home)
        shutil.copytree(PROJECT / "models" / SHIPPED, home / "models" / SHIPPED)
        with serving(home) as server, browser() as chrome:
            tab = tab_of(chrome, "light")
            for step in STEPS:
                started = time.monotonic()
                step(tab, server.url)
                print(f"{step.__name__}: {time.monotonic() - started:.0f} s", flush=True)


def make_datasets(tab: Page, url: str) -> None:
    """Step 1."""
    for name, films, seed, wrong, machine in ((PRACTICE, 320, 0, 12, "First"), (ELSEWHERE, 240, 7, 0, "Second")):
        tab.goto(f"{url}/data")
        settled(tab)
        if name != PRACTICE:
            tab.get_by_text("Add X-rays", exact=True).first.click()
        tab.get_by_role("tab", name="Synthetic").click()
        fill(tab, "data_synthetic_name", name)
        fill(tab, "data_synthetic_films", str(films))
        fill(tab, "data_synthetic_seed", str(seed))
        fill(tab, "data_synthetic_wrong", str(wrong))
        choose(tab, "X-ray machine", machine)
        if name == PRACTICE:
            picture(tab, "1-data", 700)
        tab.locator(".st-key-data_synthetic_create button").click()
        tab.get_by_text(f"Added {name}.").wait_for(timeout=LONG_MS)


def audit(tab: Page, url: str) -> None:
    """Step 2."""
    open_data(tab, url, "Audit")
    tab.locator(".st-key-data_audit button").click()
    tab.get_by_text("copies").first.wait_for(timeout=LONG_MS)
    picture(tab, "2-audit", 640)


def train(tab: Page, url: str) -> None:
    """Step 3."""
    tab.goto(f"{url}/train?films={PRACTICE}")
    settled(tab)
    tab.get_by_label("Model name").fill(FIRST)
    tab.keyboard.press("Enter")
    settled(tab)
    tab.locator(".st-key-train_start button").click()
    wait_for_model(FIRST)
    tab.goto(f"{url}/evaluate?model={FIRST}")
    settled(tab)
    picture(tab, "3-first")


def review(tab: Page, url: str) -> None:
    """Step 4."""
    open_data(tab, url, "Labels")
    tab.locator(".st-key-labels_start button").click()
    path = catalog.find_entry(PRACTICE).path
    wait(lambda: bool(all_reviews(path)))
    open_data(tab, url, "Labels")
    rows = Dataset.open(path).table
    truth = dict(zip(rows["path"], rows["finding"], strict=True))
    (blinded,) = all_reviews(path)
    picture(tab, "4-review")
    for answered in range(len(blinded.items)):
        item = next_item(blinded, answers_of(blinded, READER))
        assert item
        tab.locator(f".st-key-labels_answer_{item.film}_{truth[item.path]} button").click()
        wait(lambda count=answered: len(answers_of(blinded, READER).answers) > count, 0.05)  # type: ignore[misc]
        settled(tab)


def revise(tab: Page, url: str) -> None:
    """Step 5."""
    tab.get_by_text("Show the outcome (ends the blinding)").click()
    tab.locator(".st-key-labels_revise button").wait_for()
    picture(tab, "5-outcome")
    tab.locator(".st-key-labels_revise button").click()
    tab.get_by_text("Saved with").wait_for()


def retrain(tab: Page, url: str) -> None:
    """Step 6."""
    settled(tab)
    tab.locator(".st-key-labels_retrain button").click()
    wait_for_model(REVISED)
    tab.get_by_text(f"{REVISED} compared with {FIRST}").wait_for(timeout=LONG_MS)
    settled(tab)
    tab.get_by_text("Retrain and compare", exact=True).first.scroll_into_view_if_needed()
    picture(tab, "6-compared")


def fit(tab: Page, url: str) -> None:
    """Step 7."""
    tab.goto(f"{url}/evaluate?model={REVISED}&show=Fit")
    settled(tab)
    choose(tab, "Labeled X-rays of this hospital", ELSEWHERE)
    tab.keyboard.press("Escape")
    tab.locator(".st-key-evaluate_fit_start button").click()
    wait_for_model(f"{REVISED}-fitted")
    tab.get_by_text("Before and after on X-rays").wait_for(timeout=LONG_MS)
    settled(tab)
    tab.get_by_role("heading", name="Fit to this hospital").scroll_into_view_if_needed()
    picture(tab, "7-fit")


def promote(tab: Page, url: str) -> None:
    """Step 8."""
    tab.locator(f".st-key-evaluate_fit_promote_{REVISED}-fitted button").click()
    settled(tab)
    picture(tab, "8-default")


STEPS: tuple[Callable[[Page, str], None], ...] = (make_datasets, audit, train, review, revise, retrain, fit, promote)


def open_data(tab: Page, url: str, view: str) -> None:
    tab.goto(f"{url}/data")
    settled(tab)
    choose(tab, "Dataset", PRACTICE)
    tab.get_by_role("radio", name=view, exact=True).click()
    settled(tab)


def fill(tab: Page, key: str, text: str) -> None:
    box = tab.locator(f".st-key-{key} input")
    box.fill(text)
    box.press("Tab")
    settled(tab)  # or what is opened next is closed when the page is drawn again


def choose(tab: Page, label: str, option: str) -> None:
    """Choose an option of the box with this label."""
    tab.get_by_role("combobox", name=label, exact=True).click()
    tab.get_by_role("option", name=option, exact=True).click()
    settled(tab)


def wait_for_model(name: str) -> None:
    from cxr.registry import registry

    wait(lambda: name in registry.names())


def wait(until: Callable[[], bool], every_s: float = 1.0) -> None:
    deadline = time.monotonic() + LONG_MS / 1000
    while not until():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(every_s)


def picture(tab: Page, name: str, height_px: int = 1100) -> None:
    tab.set_viewport_size({"width": WIDTH_PX, "height": height_px})
    tab.wait_for_timeout(SETTLED_MS)
    keep(tab.screenshot(), f"tutorial-{name}")


if __name__ == "__main__":
    main()
