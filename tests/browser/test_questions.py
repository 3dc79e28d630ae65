"""Questions in a browser: labels, one X-ray, slices, a comparison, the map of a dataset and the drift watch."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from cxr.datasets.dataset import Dataset
from cxr.datasets.revisions.history import revisions
from cxr.drift.departure import Measure
from cxr.drift.reference import MEASURED, DriftReference
from cxr.drift.simulation import FIRST_MONDAY, Shift, drawn
from cxr.drift.store import REFERENCE, write_tally
from cxr.drift.tally import Tally
from cxr.evaluation.label_review.given_scores import rank_by_scores
from cxr.evaluation.label_review.review import LabelReview, ReviewSize, start_review
from cxr.evaluation.look_alikes.index import LookAlikeIndex
from cxr.evaluation.model_evaluation import film_ids
from cxr.presentation.drift_text import DEPARTED
from cxr.ui.drift.panel import TAKE, TAKEN, TITLE
from cxr.ui.label_review.blinded_reading import DONE, IMAGE_ALT
from cxr.ui.label_review.outcome_panel import REVISE
from cxr.ui.one_image import counter_checks, look_alikes
from cxr.ui.slices.panel import ABOUT as SLICES
from tests.browser.test_predict import drop, png
from tests.evaluation.label_review.test_given_scores import CLASSES, JOB, scores_of, silent
from tests.support.browser import settled
from tests.support.server import Server

LASSO = ((0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.03))


@pytest.fixture
def films(server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The X-rays of the server's dataset, in whose home this test works."""
    monkeypatch.setenv("CXR_HOME", str(server.home))
    return server.home / "data" / "phantoms"


@pytest.fixture
def review(films: Path) -> LabelReview:
    """A review of two X-rays."""
    dataset = Dataset.open(films)
    ranking = rank_by_scores([str(films)], scores_of(dataset, (*CLASSES, "covid19")), JOB, silent)
    return start_review(ranking, str(films), ReviewSize(1, 1), seed=0)


@pytest.fixture
def index(films: Path) -> LookAlikeIndex:
    """A stored index of the server's model, with features that are made."""
    dataset = Dataset.open(films)
    dataset = dataset.with_column("film", film_ids(dataset, silent))
    columns = {name: dataset.table[name] for name in ("dataset", "path", "film", "label", "source")}
    texts = {name: of.to_numpy(str) for name, of in (columns | {"patient": dataset.patients}).items()}
    card = json.loads((films.parents[1] / "models" / "tiny" / "card.json").read_text())
    values = np.random.default_rng(0).normal(size=(len(dataset), 4))
    made = LookAlikeIndex.from_features(f"tiny@{card['version']}", values, texts)
    made.save()
    return made


def test_labels_are_read_blind_by_keyboard_and_the_outcome_becomes_a_revision(
    page: Page, server: Server, films: Path, review: LabelReview
) -> None:
    page.goto(f"{server.url}/data")
    page.get_by_role("radio", name="Labels").click()
    for place in range(len(review.items)):
        page.get_by_text(f"{place} of {len(review.items)}", exact=True).wait_for()
        page.get_by_role("img", name=IMAGE_ALT).wait_for()
        settled(page)
        shown = page.locator("[data-testid=stMain]").inner_text()
        assert not [item.path for item in review.items if item.path in shown]
        page.keyboard.press("1" if review.items[place].label != review.answers[0] else "2")
    page.get_by_text(DONE).wait_for()
    page.get_by_text("Show the outcome").click()
    page.get_by_text("Wrong among doubtful labels").wait_for()
    settled(page)
    page.get_by_role("button", name=REVISE).click()
    expect(page.get_by_text("Saved with 2 edits")).to_be_visible()
    settled(page)
    assert [edit.subject for edit in revisions(films)[0].edits] == [item.path for item in review.items]


def test_an_open_x_ray_is_changed_and_read_again_and_has_look_alikes(
    page: Page, server: Server, index: LookAlikeIndex
) -> None:
    page.goto(server.url)
    drop(page, ("film.png", png(4)))
    anyway = page.get_by_role("button", name="Show anyway")
    checks = page.get_by_text(counter_checks.TITLE)
    expect(anyway.or_(checks).first).to_be_visible()
    if anyway.is_visible():
        anyway.click()
    checks.click()
    page.get_by_role("button", name=counter_checks.RUN).press("Enter")
    picture = page.locator("img.cxr-counter-checks")
    picture.wait_for()
    assert "Rotated 5°" in (picture.get_attribute("alt") or "")
    told = page.locator("#cxr-announcements[aria-live=polite]")
    expect(told).to_contain_text("P(")
    focused = page.locator(f".st-key-{counter_checks.RESULT}")
    expect(focused).to_be_focused()  # the button is gone
    settled(page)
    page.get_by_text(look_alikes.TITLE).click()
    page.get_by_test_id("stMarkdown").get_by_text(f"Nearest {look_alikes.SAME_SHOWN}: ").wait_for()
    expect(told).to_contain_text(look_alikes.TITLE)
    settled(page)
    images = page.get_by_role("img", name="Training X-ray: ")
    assert images.count() >= look_alikes.SAME_SHOWN


def test_slices_open_and_a_comparison_is_saved_as_a_report(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/evaluate?show=Slices")
    page.get_by_text(SLICES[:60]).wait_for()
    settled(page)
    table = page.locator(".st-key-evaluate_slices_table [data-testid=stDataFrame]")
    table.click(position={"x": 15, "y": 55})
    page.get_by_role("heading", name=" first").wait_for()
    settled(page)
    page.get_by_role("radio", name="Compare").click()
    page.get_by_role("combobox", name="Compare with").click()
    page.get_by_role("option", name="tiny").click()
    report = page.get_by_role("button", name="Report (HTML)")
    report.wait_for()
    settled(page)
    with page.expect_download() as download:
        report.click()
    html = Path(download.value.path()).read_text("utf-8")
    assert html.lower().startswith("<!doctype html>")
    assert "tiny" in html


def test_encircled_points_are_shown_and_one_opens_in_the_viewer(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/data")
    page.get_by_text("1–24 of").wait_for()
    page.get_by_role("radio", name="Map").click()
    settled(page)
    page.get_by_role("combobox", name="Features").click()
    page.get_by_role("option", name="tiny").click()
    settled(page)
    page.get_by_role("button", name="Make map").click()
    plot = page.locator(".st-key-map_chart .nsewdrag").first
    plot.wait_for()
    settled(page)
    page.get_by_role("radio", name="Role in training").click()
    settled(page)
    assert page.locator(".st-key-map_chart .legendtext").filter(has_text="Training").count() == 1
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    corners = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in LASSO]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=8)
    page.mouse.up()
    page.get_by_role("heading", name="Selected: ").wait_for()
    settled(page)
    tile = page.locator('[class*="st-key-data_phantoms_map_page_tile_"]').first
    tile.get_by_role("button").last.click()
    page.get_by_role("dialog").locator("canvas").first.wait_for()


def test_weeks_that_left_the_reference_are_said_and_become_it(page: Page, server: Server) -> None:
    version = json.loads((server.home / "models" / "tiny" / "card.json").read_text())["version"]
    folder = server.home / "drift" / version
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(8):
        year, week, _ = (FIRST_MONDAY + timedelta(weeks=number)).isocalendar()
        write_tally(folder / f"{year}-W{week:02d}.json", Tally.of(drawn(rng, 80, Shift(questioned=0.2)), "drawn"))
    usual = DriftReference(MEASURED, Tally.of(drawn(rng, 250), "drawn"))
    (folder / REFERENCE).write_text(json.dumps(asdict(usual)))
    page.goto(f"{server.url}/models")
    page.get_by_role("heading", name=TITLE).wait_for()
    settled(page)
    assert page.get_by_text(DEPARTED[Measure.INPUT_CHECK]).first.is_visible()
    page.get_by_text("Weeks", exact=True).click()
    page.locator(".st-key-drift_chart .js-plotly-plot").wait_for()
    settled(page)
    page.get_by_role("button", name=TAKE).click()
    page.get_by_text(TAKEN).wait_for()
    settled(page)
    assert not page.get_by_text(DEPARTED[Measure.INPUT_CHECK]).is_visible()
