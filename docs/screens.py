"""Pictures of all pages, filled, dark and light, as the documents show them: docs/screens/PAGE-THEME.webp.

    python docs/screens.py [--home FOLDER] [--only NAME ...]
    python docs/screens.py --charts [--only NAME ...]

All X-rays in them are synthetic: a dataset of phantoms, and a model trained on it; the viewer and Reading practice show
the model that comes with the project. Needs Chromium and VGG16's ImageNet weights. With --home the dataset and the
model are made in that folder once, and reused the next time. With --charts, charts of the model that comes with the
project are taken instead, from what is stored with it, and its counter-checks of a synthetic X-ray:
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
from cxr.jobs.evaluate import evaluation_job  # noqa: E402
from cxr.jobs.kinds import execute  # noqa: E402
from cxr.jobs.run import Run  # noqa: E402
from cxr.jobs.run_notes import write_notes  # noqa: E402
from cxr.jobs.training_plan import plan  # noqa: E402
from cxr.registry import registry  # noqa: E402
from cxr.registry.recipe import Recipe  # noqa: E402
from cxr.ui.one_image.look_alikes import TITLE as LOOK_ALIKES  # noqa: E402
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
    "slices": ("Slices", "evaluate_slices_table"),
}
COUNTER_CHECKS = "counter-checks"
ONE_THEME = ("look-alikes",)  # pictures that are light alone
WEEKS = 16  # of synthetic readings
LASSO = ((0.05, 0.2), (0.3, 0.1), (0.38, 0.6), (0.3, 0.95), (0.08, 0.9), (0.05, 0.22))  # shares of the chart
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--only", nargs="+", choices=[*PAGES, *CHARTS, COUNTER_CHECKS])
    parser.add_argument("--charts", action="store_true")
    args = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        if args.charts:
            shutil.copytree(PROJECT / "models" / SHIPPED, Path(scratch) / "models" / SHIPPED)
            take_charts(Path(scratch), args.only or [*CHARTS, COUNTER_CHECKS])
            return
        home = (args.home or Path(scratch)).resolve()
        os.environ["CXR_HOME"] = str(home)
        if not (home / "models").is_dir():
            make_home()
        take_all(home, args.only or list(PAGES))


def make_home() -> None:
    """Makes a dataset of synthetic X-rays, its audit, a model trained on it, and its run."""
    place = catalog.create("phantoms", lambda folder: draw_phantom_set(folder, 400, size_px=256))
    audit_or_cached(Dataset.open(place.path))
    recipe = Recipe.read("vgg16-default", SETTINGS)
    run = run_store.create(plan(recipe, [place.path], "synthetic"), recipe.name)
    execute(run)
    add_jobs(run, place.path)


def add_jobs(training: Run, films: str) -> None:
    """Adds what the page Jobs shows beside a training: its note and tags, and an evaluation."""
    write_notes(training, "The first training on synthetic X-rays.", ["baseline", "synthetic"])
    card = registry.get_card("synthetic")
    evaluation = run_store.create(evaluation_job(card, [films], "val"), f"evaluate-{card.name}")
    execute(evaluation)
    write_notes(evaluation, tags=["synthetic"])


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


def index_phantoms(home: Path) -> None:
    """Builds the index of look-alikes of the model that was trained on synthetic X-rays."""
    os.environ["CXR_HOME"] = str(home)
    from cxr.evaluation.look_alikes.build import build_index

    build_index("synthetic", [entry.path for entry in catalog.entries()], lambda *_: None)


def take_counter_checks(home: Path) -> None:
    """Takes the picture of the counter-checks of a synthetic X-ray, as the page and the command line make it."""
    os.environ["CXR_HOME"] = str(home)
    from cxr.evaluation.counter_checks.counter_check import run_counter_checks
    from cxr.films.film import Film
    from cxr.films.synthetic.phantom import draw_phantom
    from cxr.inference.loading import load_classifier
    from cxr.presentation.counter_check_picture import counter_check_png

    film = Film.from_pixels(draw_phantom("bacterial", 3, 1024).pixels)
    keep(counter_check_png(run_counter_checks(load_classifier(SHIPPED), film)), f"chart-{COUNTER_CHECKS}")


def take_all(home: Path, names: Sequence[str]) -> None:
    if "drift" in names:
        count_weeks(home)
    if "look-alikes" in names:
        index_phantoms(home)
    if not (home / "models" / SHIPPED).exists():
        shutil.copytree(PROJECT / "models" / SHIPPED, home / "models" / SHIPPED)
    with serving(home) as server, browser() as chrome:
        for theme in THEMES:
            for name in (one for one in names if theme == "light" or one not in ONE_THEME):
                tab = tab_of(chrome, theme)
                tab.goto(f"{server.url}/{PARTS.get(name, name)}")
                PAGES[name](tab)
                tab.wait_for_timeout(SETTLED_MS)
                keep(tab.screenshot(), f"{name}-{theme}")
                tab.close()


def take_charts(home: Path, names: Sequence[str]) -> None:
    if COUNTER_CHECKS in names:
        take_counter_checks(home)
    with serving(home) as server, browser() as chrome:
        for name in CHARTS.keys() & names:
            part, key = CHARTS[name]
            tab = tab_of(chrome, "light")
            tab.goto(f"{server.url}/evaluate?{urlencode({'show': part})}")
            place = tab.locator(f".st-key-{key}")
            chart = place.locator(".js-plotly-plot, [data-testid=stDataFrame]").first
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


def practice(tab: Page) -> None:
    """Answers the first X-ray of a set with a box drawn in it, so that the model's answer appears."""
    tab.set_viewport_size({"width": WIDTH_PX, "height": 1000})
    tab.get_by_role("button", name="Start reading").click()
    tab.locator(".viewer[data-shows]").wait_for()
    tab.get_by_role("button", name="Mark", exact=True).click()
    drag(tab, (0.2, 0.35), (0.42, 0.62))
    tab.get_by_text("Bacterial pneumonia", exact=True).last.click()
    settled(tab)
    tab.get_by_text("80%", exact=True).click()
    settled(tab)
    tab.get_by_role("button", name="Commit answer").click()
    tab.get_by_text("You answered:").wait_for()
    settled(tab)
    tab.get_by_text("Bacterial pneumonia, 80% sure").scroll_into_view_if_needed()


def look_alikes(tab: Page) -> None:
    """Opens the look-alikes of a synthetic X-ray."""
    predict(tab)
    settled(tab)
    section = tab.locator("summary").filter(has_text=LOOK_ALIKES)
    section.click()
    tab.get_by_text("Nearest 6: ").wait_for()
    settled(tab)
    section.evaluate("element => element.scrollIntoView()")


def jobs(tab: Page) -> None:
    """Opens the training, which has a note."""
    table = tab.locator("[data-testid=stDataFrame]").first
    table.wait_for()
    settled(tab)
    table.click(position={"x": 20, "y": 90})
    tab.get_by_text("Note and tags", exact=True).click()
    settled(tab)


def viewer(tab: Page) -> None:
    """One image with contours, in the window for lungs, and a measured distance."""
    tab.set_viewport_size({"width": WIDTH_PX, "height": 1320})
    predict(tab)
    settled(tab)
    tab.get_by_role("button", name="Side by side").click()
    tab.locator(".frame:visible").first.focus()
    for key in ("o", "3", "m"):
        tab.keyboard.press(key)
    settled(tab)
    drag(tab, (0.22, 0.72), (0.8, 0.72))


def drag(tab: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drags in the viewer's first image; places are shares of its width and height."""
    box = tab.locator(".frame:visible").first.bounding_box()
    assert box
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    tab.mouse.move(*places[0])
    tab.mouse.down()
    tab.mouse.move(*places[1], steps=6)
    tab.mouse.up()


PARTS = {  # the page that a picture is of, where it has another name
    "predict": "",
    "viewer": f"?model={SHIPPED}",
    "practice": f"reading_practice?model={SHIPPED}&dataset=phantoms",
    "map": "data",
    "look-alikes": "?model=synthetic",
    "drift": "models",
}
PAGES: dict[str, Callable[[Page], None]] = {
    "predict": predict,
    "evaluate": evaluate,
    "train": train,
    "models": models,
    "data": data,
    "map": map_of_data,
    "drift": drift,
    "practice": practice,
    "jobs": jobs,
    "viewer": viewer,
    "look-alikes": look_alikes,
}


if __name__ == "__main__":
    main()
