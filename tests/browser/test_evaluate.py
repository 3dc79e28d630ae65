"""Evaluate in a browser: what can only be clicked there."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.ui.components.jobs.live import GOES_ON
from cxr.ui.evaluate.classes import CLASSES_NOTE
from cxr.ui.evaluate.controls import DELETE_EVALUATION
from cxr.ui.evaluate.fit_panel import TITLE as FIT
from cxr.ui.evaluate.shortcuts import PROBES_TITLE, TITLE
from tests.support.browser import WAIT_MS, settled, wait_until
from tests.support.server import Server

AUDIT_MS = 180_000  # of 160 small X-rays, on a busy machine
FIRST_ROW = {"x": 15.0, "y": 70.0}  # of a table, in pixels


@pytest.fixture
def evaluate(page: Page, server: Server) -> Page:
    page.goto(f"{server.url}/evaluate")
    page.locator(".js-plotly-plot .annotation-text").first.wait_for()
    settled(page)
    return page


def metric(tab: Page, name: str) -> Locator:
    return tab.locator('[data-testid="stMetric"]').filter(has_text=name).locator('[data-testid="stMetricValue"]')


def cells(tab: Page) -> list[str]:
    return tab.locator(".js-plotly-plot .annotation-text").all_text_contents()


def click_first_row(table: Locator) -> None:
    table.scroll_into_view_if_needed()
    table.click(position={"x": FIRST_ROW["x"], "y": FIRST_ROW["y"]})


def wait_for_film(tab: Page, key: str) -> None:
    tab.locator(f".st-key-{key} canvas, .st-key-{key} img").first.wait_for()
    tab.locator(f".st-key-{key}").get_by_text("Probabilities:").wait_for()


def test_the_threshold_moves_the_metrics_and_the_matrix(evaluate: Page) -> None:
    before, matrix = metric(evaluate, "Sensitivity").inner_text(), cells(evaluate)
    evaluate.get_by_role("slider").first.focus()
    evaluate.keyboard.press("End")
    expect(metric(evaluate, "Sensitivity")).to_have_text("0.000")
    settled(evaluate)
    assert before != "0.000"
    assert cells(evaluate) != matrix
    evaluate.get_by_role("link", name="Models").click()
    settled(evaluate)
    evaluate.get_by_role("link", name="Evaluate").click()
    evaluate.locator(".js-plotly-plot .annotation-text").first.wait_for()
    assert metric(evaluate, "Sensitivity").inner_text() == "0.000"  # it survives a visit to another page
    evaluate.get_by_role("button", name="Reset").click()
    settled(evaluate)
    assert metric(evaluate, "Sensitivity").inner_text() == before
    assert cells(evaluate) == matrix


def test_a_clicked_cell_lists_its_films_and_a_clicked_film_opens(evaluate: Page) -> None:
    plot = evaluate.locator(".js-plotly-plot .nsewdrag").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    first = next(k for k, text in enumerate(cells(evaluate)) if not text.startswith("0"))  # that has films
    side = round(len(cells(evaluate)) ** 0.5)
    row, column = divmod(first, side)
    plot.click(position={"x": box["width"] * (column + 0.2) / side, "y": box["height"] * (row + 0.3) / side})
    evaluate.get_by_role("heading", name="Reference ").wait_for()
    settled(evaluate)
    click_first_row(evaluate.locator('[data-testid="stDataFrame"]').first)
    wait_for_film(evaluate, "evaluate_film")


def test_a_film_on_which_two_models_disagree_opens_with_its_heatmap(evaluate: Page) -> None:
    evaluate.get_by_role("slider").first.focus()
    evaluate.keyboard.press("End")  # all is normal, so that the model differs from itself at its own threshold
    expect(metric(evaluate, "Sensitivity")).to_have_text("0.000")
    evaluate.get_by_role("radio", name="Compare").click()
    evaluate.get_by_role("combobox", name="Compare with").click()
    evaluate.get_by_role("option", name="tiny").click()
    evaluate.get_by_role("heading", name="Disagreements").wait_for()
    settled(evaluate)
    click_first_row(evaluate.locator('[data-testid="stDataFrame"]').nth(1))
    wait_for_film(evaluate, "evaluate_disagreement")


def test_the_table_of_classes_fits_the_screen(evaluate: Page) -> None:
    evaluate.get_by_role("radio", name="Classes").click()
    evaluate.get_by_text(CLASSES_NOTE).wait_for()
    settled(evaluate)
    table = evaluate.locator('[data-testid="stDataFrame"]')
    widths = table.locator(".dvn-scroller").evaluate("element => [element.scrollWidth, element.clientWidth]")
    assert widths[0] <= widths[1]
    box = table.bounding_box()
    assert box
    assert box["x"] + box["width"] <= 1280


def test_an_evaluation_goes_on_when_its_page_is_left_and_is_there_after_a_reload(
    evaluate: Page, server: Server
) -> None:
    evaluate.get_by_text("Run an evaluation").click()
    wait_until(evaluate, "document.getAnimations().length === 0")  # a list closes while its place still moves
    evaluate.get_by_role("combobox", name="Datasets").fill("phantoms")
    evaluate.get_by_role("option", name="phantoms").click()
    evaluate.keyboard.press("Escape")
    evaluate.get_by_role("button", name="Run", exact=True).click()
    evaluate.get_by_text(GOES_ON).wait_for()
    evaluate.goto(f"{server.url}/models")  # another visit, which knows nothing of the first
    evaluate.get_by_text("Evaluation of tiny on phantoms:").wait_for()
    evaluate.goto(f"{server.url}/evaluate")
    chosen = evaluate.get_by_role("combobox", name="Evaluated on")
    offered = evaluate.get_by_role("button", name="Show it")  # where it ended before this visit
    expect(offered.or_(evaluate.get_by_role("button", name=DELETE_EVALUATION))).to_be_visible(timeout=WAIT_MS)
    if offered.is_visible():
        offered.click()
    expect(chosen).to_have_value("phantoms")
    assert [path.name for path in (server.home / "evaluations").glob("tiny@*/*.csv")] == ["phantoms.csv"]
    evaluate.goto(f"{server.url}/jobs")
    evaluate.get_by_role("heading", name="Past jobs").wait_for()
    settled(evaluate)
    assert not evaluate.get_by_text(GOES_ON).is_visible()


def test_an_audit_comes_to_its_verdict_which_is_there_after_a_reload(evaluate: Page) -> None:
    evaluate.get_by_role("radio", name="Shortcuts").click()
    evaluate.get_by_role("heading", name=TITLE).wait_for()
    settled(evaluate)
    run = evaluate.get_by_role("button", name="Run audit")
    for _ in range(3):  # a list closes when the page moves below it, before the click or under it
        if run.is_enabled():
            break
        evaluate.get_by_role("combobox", name="Datasets with at least two of the classes").click()
        with suppress(TimeoutError):
            evaluate.get_by_role("option", name="phantoms").click(timeout=5_000)
        evaluate.keyboard.press("Escape")
        settled(evaluate)
    run.click()
    again = evaluate.get_by_text("Run the audit again")
    again.wait_for(timeout=AUDIT_MS)
    settled(evaluate)
    evaluate.reload()
    again.wait_for()
    settled(evaluate)
    assert evaluate.get_by_text(PROBES_TITLE).is_visible()


def test_a_fit_to_a_hospital_goes_on_when_its_page_is_left_and_makes_a_model(evaluate: Page, server: Server) -> None:
    data = server.home / "data" / "ward"
    draw_phantom_set(data, 80, seed=9, size_px=64)
    known = server.home / "data" / "datasets.json"
    known.write_text(json.dumps(json.loads(known.read_text()) | {"ward": str(data)}))
    evaluate.goto(f"{server.url}/evaluate?show=Fit")
    evaluate.get_by_role("heading", name=FIT).wait_for()
    settled(evaluate)
    start = evaluate.get_by_role("button", name="Fit", exact=True)
    for _ in range(3):  # a list closes when the page moves below it, before the click or under it
        if start.is_enabled():
            break
        evaluate.get_by_role("combobox", name="Labeled X-rays of this hospital").click()
        with suppress(TimeoutError):
            evaluate.get_by_role("option", name="ward").click(timeout=5_000)
        evaluate.keyboard.press("Escape")
        settled(evaluate)
    start.click()
    evaluate.get_by_text(GOES_ON).wait_for()
    evaluate.goto(f"{server.url}/models")
    evaluate.goto(f"{server.url}/evaluate?show=Fit")
    evaluate.get_by_text("Fit again").wait_for(timeout=AUDIT_MS)
    settled(evaluate)
    assert evaluate.get_by_text("more normal patients").or_(evaluate.get_by_text("wide.")).first.is_visible()
    evaluate.get_by_role("link", name="Model card of tiny-fitted").click()
    evaluate.get_by_text("specificity of 90%").first.wait_for()
