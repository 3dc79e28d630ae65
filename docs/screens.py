"""Pictures of all pages, filled, dark and light, as the documents show them: docs/screens/PAGE-THEME.webp.

    python docs/screens.py [--home FOLDER] [--only NAME ...]
    python docs/screens.py --charts

All X-rays in them are synthetic: a dataset of phantoms, and a model trained on it. Needs Chromium and VGG16's ImageNet
weights. With --home the dataset and the model are made in that folder once, and reused the next time. With --charts,
charts of the model that comes with the project are taken instead, from what is stored with it:
docs/screens/chart-NAME.webp.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

sys.path.insert(0, str(PROJECT := Path(__file__).parents[1]))

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

from cxr.core.atomic_files import write_atomically  # noqa: E402
from cxr.datasets import catalog  # noqa: E402
from cxr.datasets.dataset import Dataset  # noqa: E402
from cxr.datasets.quality.audit_cache import audit_or_cached  # noqa: E402
from cxr.drift.reference import MEASURED, DriftReference  # noqa: E402
from cxr.drift.simulation import BASIS, FIRST_MONDAY, NULL, REFERENCE_FILMS, Shift, drawn  # noqa: E402
from cxr.drift.store import REFERENCE, folder_of, write_tally  # noqa: E402
from cxr.drift.tally import Tally  # noqa: E402
from cxr.films.synthetic.phantom import draw_phantom_set  # noqa: E402
from cxr.jobs import run_store  # noqa: E402
from cxr.jobs.kinds import execute  # noqa: E402
from cxr.jobs.training_plan import plan  # noqa: E402
from cxr.registry import registry  # noqa: E402
from cxr.registry.recipe import Recipe  # noqa: E402
from tests.support.browser import settled  # noqa: E402
from tests.support.server import serving  # noqa: E402

OUT = PROJECT / "docs" / "screens"
WIDTH_PX, HEIGHT_PX = 1280, 960
SETTLED_MS = 2500
THEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")
SETTINGS = ("trunk.train=head", "training.views=3", "training.epochs=40", "optimiser.rate=1e-3")
SHIPPED = "vgg16-broad"
CHARTS = {  # the part of Evaluate, and the chart's key there
    "scores": ("Scores", "evaluate_scores"),
    "calibration": ("Calibration", "evaluate_calibration"),
    "coverage": ("Selective prediction", "evaluate_coverage"),
    "probes": ("Shortcuts", "evaluate_probes"),
    "lung-share": ("Shortcuts", "evaluate_lung_share"),
}
WEEKS = 16  # of synthetic readings
LASSO = ((0.05, 0.2), (0.3, 0.1), (0.38, 0.6), (0.3, 0.95), (0.08, 0.9), (0.05, 0.22))  # shares of the chart
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--only", nargs="+", choices=PAGES, default=list(PAGES))
    parser.add_argument("--charts", action="store_true")
    args = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        if args.charts:
            shutil.copytree(PROJECT / "models" / SHIPPED, Path(scratch) / "models" / SHIPPED)
            take_charts(Path(scratch))
            return
        home = (args.home or Path(scratch)).resolve()
        os.environ["CXR_HOME"] = str(home)
        if not (home / "models").is_dir():
            make_home()
        take_all(home, args.only)


def make_home() -> None:
    """Makes a dataset of synthetic X-rays, its audit, a model trained on it, and its run."""
    place = catalog.create("phantoms", lambda folder: draw_phantom_set(folder, 400, size_px=256))
    audit_or_cached(Dataset.open(place.path))
    recipe = Recipe.read("vgg16-default", SETTINGS)
    execute(run_store.create(plan(recipe, [place.path], "synthetic"), recipe.name))


def count_weeks(home: Path) -> None:
    """Counts weeks of synthetic readings for the first model of this home: usual ones, then others."""
    os.environ["CXR_HOME"] = str(home)
    folder, rng = folder_of(registry.get_card(registry.names()[0]).version), np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    usual = DriftReference(MEASURED, Tally.of(drawn(rng, REFERENCE_FILMS), BASIS))
    write_atomically(folder / REFERENCE, json.dumps(asdict(usual)))
    for number in range(WEEKS):
        later = number >= WEEKS - 5
        shift = Shift(positives=0.2, places=0.3) if later else NULL
        year, week, _ = (FIRST_MONDAY + timedelta(weeks=number)).isocalendar()
        write_tally(folder / f"{year}-W{week:02d}.json", Tally.of(drawn(rng, int(rng.poisson(60)), shift), BASIS))


def take_all(home: Path, names: Sequence[str]) -> None:
    if "drift" in names:
        count_weeks(home)
    with serving(home) as server, browser() as chrome:
        for theme in THEMES:
            for name in names:
                tab = tab_of(chrome, theme)
                tab.goto(f"{server.url}/{PARTS.get(name, name)}")
                PAGES[name](tab)
                tab.wait_for_timeout(SETTLED_MS)
                keep(tab.screenshot(), f"{name}-{theme}")
                tab.close()


def take_charts(home: Path) -> None:
    with serving(home) as server, browser() as chrome:
        for name, (part, key) in CHARTS.items():
            tab = tab_of(chrome, "light")
            tab.goto(f"{server.url}/evaluate?{urlencode({'show': part})}")
            chart = tab.locator(f".st-key-{key} .js-plotly-plot")
            chart.wait_for()
            tab.wait_for_timeout(SETTLED_MS)
            keep(chart.screenshot(), f"chart-{name}")
            tab.close()


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"), args=FLAGS
        )


def tab_of(chrome: Browser, theme: Literal["dark", "light"]) -> Page:
    tab = chrome.new_page(viewport={"width": WIDTH_PX, "height": HEIGHT_PX}, color_scheme=theme)
    tab.set_default_timeout(90_000)
    tab.add_init_script(
        "const key = `stActiveTheme-${location.pathname}-v2`;"
        f"localStorage.setItem(key, '\"{theme.title()}\"'); localStorage.setItem(`cxr-${{key}}`, 'x')"
    )
    return tab


def keep(png: bytes, name: str) -> None:
    Image.open(io.BytesIO(png)).save(OUT / f"{name}.webp", quality=80, method=6)


def predict(tab: Page) -> None:
    tab.get_by_role("button", name=re.compile("^Synthetic: Bacterial")).click()
    tab.locator(".viewer[data-shows]").wait_for()
    tab.get_by_role("button", name="Report (PDF)").wait_for()


def evaluate(tab: Page) -> None:
    tab.get_by_text("Sensitivity", exact=True).first.wait_for()
    tab.locator(".js-plotly-plot").first.wait_for()


def train(tab: Page) -> None:
    tab.get_by_text("Runs", exact=True).click()
    tab.locator(".js-plotly-plot").first.wait_for()


def models(tab: Page) -> None:
    tab.get_by_text("Overview", exact=True).wait_for()


def data(tab: Page) -> None:
    tab.get_by_text("1–24 of").wait_for()


def map_of_data(tab: Page) -> None:
    """Makes a map, and encircles a part of it."""
    tab.set_viewport_size({"width": WIDTH_PX, "height": 1480})
    data(tab)
    tab.get_by_role("radio", name="Map").click()
    settled(tab)
    tab.get_by_role("combobox", name="Features").click()
    tab.get_by_role("option").nth(1).click()
    settled(tab)
    tab.get_by_role("button", name="Make map").click()
    plot = tab.locator(".st-key-map_chart .nsewdrag").first
    plot.wait_for()
    settled(tab)
    box = plot.bounding_box()
    assert box
    corners = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in LASSO]
    tab.mouse.move(*corners[0])
    tab.mouse.down()
    for corner in corners[1:]:
        tab.mouse.move(*corner, steps=8)
    tab.mouse.up()
    heading = tab.get_by_role("heading", name="Selected: ")
    heading.wait_for()
    settled(tab)
    heading.evaluate("element => element.scrollIntoView({block: 'center'})")


def drift(tab: Page) -> None:
    """Opens the weeks of the drift watch."""
    heading = tab.get_by_role("heading", name="Drift watch")
    heading.wait_for()
    settled(tab)
    tab.get_by_text("Weeks", exact=True).click()
    tab.locator(".st-key-drift_chart .js-plotly-plot").wait_for()
    settled(tab)
    heading.evaluate("element => element.scrollIntoView()")


PARTS = {"predict": "", "map": "data", "drift": "models"}  # the page that a picture is of, where it has another name
PAGES: dict[str, Callable[[Page], None]] = {
    "predict": predict,
    "evaluate": evaluate,
    "train": train,
    "models": models,
    "data": data,
    "map": map_of_data,
    "drift": drift,
}


if __name__ == "__main__":
    main()
