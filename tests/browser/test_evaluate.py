"""Evaluate in a browser: what can only be clicked there."""

import re
from contextlib import suppress

import pytest
from playwright.sync_api import TimeoutError, expect

from tests.support.browser import WAIT_MS, settled

AUDIT_MS = 180_000  # of 160 small films, on a busy machine


@pytest.fixture
def evaluate(page, server):
    page.goto(server.url)
    page.get_by_role("link", name="Evaluate").click()
    page.locator(".js-plotly-plot .annotation-text").first.wait_for()
    settled(page)
    return page


def metric(tab, name):
    return tab.locator('[data-testid="stMetric"]').filter(has_text=name).locator('[data-testid="stMetricValue"]')


def cells(tab):
    return tab.locator(".js-plotly-plot .annotation-text").all_text_contents()


def test_moving_the_threshold_moves_the_numbers_and_the_matrix(evaluate):
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
    assert metric(evaluate, "Sensitivity").inner_text() == "0.000"  # a switch of pages keeps what was there
    evaluate.get_by_role("button", name=re.compile("Back to")).click()
    settled(evaluate)
    assert metric(evaluate, "Sensitivity").inner_text() == before
    assert cells(evaluate) == matrix


def test_a_clicked_cell_shows_its_films_and_a_clicked_film_its_heatmap(evaluate):
    plot = evaluate.locator(".js-plotly-plot .nsewdrag").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    count = next(k for k, text in enumerate(cells(evaluate)) if not text.startswith("0"))  # the first that has films
    side = round(len(cells(evaluate)) ** 0.5)
    row, column = divmod(count, side)
    plot.click(position={"x": box["width"] * (column + 0.2) / side, "y": box["height"] * (row + 0.3) / side})
    evaluate.get_by_role("heading", name=re.compile("films? labelled")).wait_for()
    settled(evaluate)
    table = evaluate.locator('[data-testid="stDataFrame"]').first
    table.scroll_into_view_if_needed()
    table.click(position={"x": 15, "y": 70})
    evaluate.locator(".st-key-evaluate_film canvas, .st-key-evaluate_film img").first.wait_for()
    evaluate.get_by_text("The model's probabilities").wait_for()


def test_a_film_on_which_two_models_decide_differently_is_opened_with_its_heatmap(evaluate):
    evaluate.get_by_role("slider").first.focus()
    evaluate.keyboard.press("End")  # all is normal, so that the model differs from itself at its own threshold
    expect(metric(evaluate, "Sensitivity")).to_have_text("0.000")
    evaluate.get_by_role("radio", name="Another model").click()
    evaluate.get_by_role("combobox", name="Compare with").click()
    evaluate.get_by_role("option", name="tiny").click()
    evaluate.get_by_text(re.compile("They decide differently on")).wait_for()
    settled(evaluate)
    table = evaluate.locator('[data-testid="stDataFrame"]').nth(1)
    table.scroll_into_view_if_needed()
    table.click(position={"x": 15, "y": 70})
    evaluate.locator(".st-key-evaluate_differing_film canvas, .st-key-evaluate_differing_film img").first.wait_for()
    evaluate.get_by_text("The model's probabilities").wait_for()


def test_the_report_of_classes_is_read_without_scrolling_sideways(evaluate):
    evaluate.get_by_role("radio", name="Classes").click()
    evaluate.get_by_text("In brackets 95 % intervals.").wait_for()
    settled(evaluate)
    table = evaluate.locator('[data-testid="stDataFrame"]')
    wide = table.locator(".dvn-scroller").evaluate("one => [one.scrollWidth, one.clientWidth]")
    assert wide[0] <= wide[1]
    box = table.bounding_box()
    assert box["x"] + box["width"] <= 1280


def test_an_evaluation_is_run_from_the_page_and_chosen_again_after_a_reload(evaluate, server):
    evaluate.get_by_text("Run an evaluation on a dataset").click()
    evaluate.wait_for_function("document.getAnimations().length === 0")  # a list closes while its place still moves
    evaluate.get_by_role("combobox", name="Datasets").fill("phantoms")
    evaluate.get_by_role("option", name="phantoms").click()
    evaluate.keyboard.press("Escape")
    evaluate.get_by_role("button", name="Run", exact=True).click()
    chosen = evaluate.get_by_role("combobox", name="Judged by")
    expect(chosen).to_have_value("Phantoms", timeout=WAIT_MS)
    assert [path.name for path in (server.home / "evaluations").glob("tiny@*/*.csv")] == ["phantoms.csv"]
    evaluate.reload()
    chosen.click()
    evaluate.get_by_role("option", name="Phantoms").click()
    expect(chosen).to_have_value("Phantoms")
    settled(evaluate)


def test_an_audit_comes_to_its_verdict_which_a_reload_finds_again(evaluate):
    evaluate.get_by_role("radio", name="Shortcuts").click()
    evaluate.get_by_text("Does it read the lungs, or the scanner?").wait_for()
    settled(evaluate)
    run = evaluate.get_by_role("button", name="Run the audit")
    for _ in range(3):  # a list closes when the page moves below it, before the click or under it
        if run.is_enabled():
            break
        evaluate.get_by_role("combobox", name="Films of at least two of its classes").click()
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
    assert evaluate.get_by_text("What tells the class, with and without the lungs").is_visible()
