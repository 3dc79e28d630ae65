"""Pictures of all pages, filled, dark and light, as the documents show them: docs/screens/PAGE-THEME.webp.

    python docs/screens.py [--home FOLDER]
    python docs/screens.py --charts

All X-rays in them are synthetic: a dataset of phantoms, and a model trained on it. Needs Chromium and VGG16's ImageNet
weights. With --home the dataset and the model are made in that folder once, and reused the next time. With --charts,
charts of the model that comes with the project are taken instead, from what is stored with it:
docs/screens/chart-NAME.webp.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

sys.path.insert(0, str(PROJECT := Path(__file__).parents[1]))

from PIL import Image  # noqa: E402
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

from cxr.datasets import catalog  # noqa: E402
from cxr.datasets.dataset import Dataset  # noqa: E402
from cxr.datasets.quality.audit_cache import audit_or_cached  # noqa: E402
from cxr.films.synthetic.phantom import draw_phantom_set  # noqa: E402
from cxr.jobs import run_store  # noqa: E402
from cxr.jobs.kinds import execute  # noqa: E402
from cxr.jobs.training_plan import plan  # noqa: E402
from cxr.registry.recipe import Recipe  # noqa: E402
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
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
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
        take_all(home)


def make_home() -> None:
    """Makes a dataset of synthetic X-rays, its audit, a model trained on it, and its run."""
    place = catalog.create("phantoms", lambda folder: draw_phantom_set(folder, 400, size_px=256))
    audit_or_cached(Dataset.open(place.path))
    recipe = Recipe.read("vgg16-default", SETTINGS)
    execute(run_store.create(plan(recipe, [place.path], "synthetic"), recipe.name))


def take_all(home: Path) -> None:
    with serving(home) as server, browser() as chrome:
        for theme in THEMES:
            for name, fill in PAGES.items():
                tab = tab_of(chrome, theme)
                tab.goto(f"{server.url}/{'' if name == 'predict' else name}")
                fill(tab)
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


PAGES: dict[str, Callable[[Page], None]] = {
    "predict": predict,
    "evaluate": evaluate,
    "train": train,
    "models": models,
    "data": data,
}


if __name__ == "__main__":
    main()
