"""Pictures of all pages, filled, dark and light, as the documents show them: docs/screens/PAGE-THEME.webp.

    python docs/screens.py [--home FOLDER]

Everything in them is drawn: a set of phantoms, and a model trained on it. Needs Chromium and VGG16's ImageNet weights.
With --home the set and the model are made in that folder once, and found there the next time.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(PROJECT := Path(__file__).parents[1]))

from PIL import Image  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402

from bench.server import serving  # noqa: E402
from cxr import workshop  # noqa: E402
from cxr.datasets import catalogue  # noqa: E402
from cxr.datasets.audited import audited  # noqa: E402
from cxr.datasets.dataset import Dataset  # noqa: E402
from cxr.films.phantom import draw_phantom_set  # noqa: E402
from cxr.learning import runs  # noqa: E402
from cxr.learning.recipe import Recipe  # noqa: E402

OUT = PROJECT / "docs" / "screens"
WIDTH_PX, HEIGHT_PX = 1280, 960
SETTINGS = ("trunk.train=head", "training.views=3", "training.epochs=40", "optimiser.rate=1e-3")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = (asked.home or Path(scratch)).resolve()
        os.environ["CXR_HOME"] = str(home)
        if not (home / "models").is_dir():
            furnish()
        take_all(home)


def furnish() -> None:
    """A home with drawn films, their audit, a model trained on them, and its run."""
    place = catalogue.make("phantoms", lambda folder: draw_phantom_set(folder, 400, size_px=256))
    audited(Dataset.open(place.path))
    recipe = Recipe.read("vgg16-default", SETTINGS)
    workshop.carry_out(runs.create(workshop.plan(recipe, [place.path], "drawn-films"), recipe.name))


def take_all(home: Path) -> None:
    with serving(home) as server, sync_playwright() as playwright:
        chrome = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"), args=FLAGS
        )
        OUT.mkdir(exist_ok=True)
        for theme in ("dark", "light"):
            for name, fill in PAGES.items():
                tab = chrome.new_context(
                    viewport={"width": WIDTH_PX, "height": HEIGHT_PX}, color_scheme=theme
                ).new_page()
                tab.set_default_timeout(90_000)
                tab.add_init_script(
                    "const key = `stActiveTheme-${location.pathname}-v2`;"
                    f"localStorage.setItem(key, '\"{theme.title()}\"'); localStorage.setItem(`cxr-${{key}}`, 'x')"
                )
                tab.goto(f"{server.url}/{'' if name == 'predict' else name}")
                fill(tab)
                tab.wait_for_timeout(2500)
                Image.open(io.BytesIO(tab.screenshot())).save(OUT / f"{name}-{theme}.webp", quality=80, method=6)
                tab.context.close()


def predict(tab: Page) -> None:
    tab.get_by_role("button", name="Drawn film, bacterial").click()
    tab.locator(".viewer[data-shows]").wait_for()
    tab.get_by_role("button", name="Report (PDF)").wait_for()


def evaluate(tab: Page) -> None:
    tab.get_by_text("Sensitivity", exact=True).first.wait_for()
    tab.locator(".js-plotly-plot").first.wait_for()


def train(tab: Page) -> None:
    tab.get_by_text("Runs", exact=True).click()
    tab.locator(".js-plotly-plot").first.wait_for()


def models(tab: Page) -> None:
    tab.get_by_text("What it is", exact=True).wait_for()


def data(tab: Page) -> None:
    tab.get_by_text("Films 1 to").wait_for()


PAGES: dict[str, Callable[[Page], None]] = {
    "predict": predict,
    "evaluate": evaluate,
    "train": train,
    "models": models,
    "data": data,
}


if __name__ == "__main__":
    main()
