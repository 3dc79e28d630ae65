"""The viewer's script by itself in a browser: what it does with what the server sends it, without a server."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from cxr.films.film import Film
from cxr.ui.components.viewer.show_viewer import _ASSETS, _SCRIPTS, ViewerHeatmaps, _heat
from cxr.ui.components.viewer.viewer_film import ViewerFilm
from tests.support.file_seeds import drawn

PLACE = "http://127.0.0.1:1/"  # no server: the test itself answers
START = """async ([viewer, film]) => {
  const load = (text) => import(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })));
  const [{ default: show }, { default: keep }] = [await load(viewer), await load(film)];
  globalThis.told = [];
  globalThis.showFilm = (data, packed) => {
    const calls = { setStateValue: (...call) => told.push(call), setTriggerValue: (...call) => told.push(call) };
    if (packed) keep({ data: Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0)) });
    show({ parentElement: document, data, ...calls });
  };
}"""
TOUCH = """([name, id, x, y]) => document.querySelectorAll('.frame')[1].dispatchEvent(
  new PointerEvent(name, { pointerId: id, clientX: x, clientY: y, button: 0, bubbles: true, cancelable: true }))"""
NAMES = ("normal", "viral")
Show = Callable[..., None]


def film_of(seed: int) -> ViewerFilm:
    return ViewerFilm.from_film(Film.from_pixels(np.roll(drawn(), seed, axis=1)), str(seed))


def data_of(film: ViewerFilm, target: str) -> dict[str, Any]:
    """What the server sends of an X-ray whose heatmap of `target` is to be shown."""
    heat = _heat(ViewerHeatmaps({name: np.eye(4) for name in NAMES}, target), target)
    sent = {"key": "v", "heat": heat, "result": "", "previous": False, "next": False, "marks": True, "marked": ()}
    return film.facts | sent


@pytest.fixture
def show(page: Page) -> Iterator[Show]:
    """Shows an X-ray in the viewer of a page that has nothing else."""

    def answer(route: Route) -> None:
        route.fulfill(content_type="text/html", body=f"<!doctype html>{(_ASSETS / 'viewer.html').read_text('utf-8')}")

    def shown(film: ViewerFilm, target: str = "normal") -> None:
        packed = base64.b64encode(film.packed).decode()
        page.evaluate("([data, packed]) => showFilm(data, packed)", [data_of(film, target), packed])
        expect(page.locator(".viewer[data-depth=full]")).to_have_attribute("data-shows", film.content_key)

    page.route(f"{PLACE}**", answer)
    page.goto(PLACE)
    page.add_style_tag(content=(_ASSETS / "viewer.css").read_text("utf-8"))
    viewer = "\n".join((_ASSETS / f"{name}.js").read_text("utf-8") for name in _SCRIPTS)
    page.evaluate(START, [viewer, (_ASSETS / "film.js").read_text("utf-8")])
    yield shown
    page.unroute(f"{PLACE}**")


def chosen(page: Page) -> str:
    return str(page.locator(".classes input:checked").input_value())


def test_the_class_of_another_models_decision_is_shown_on_the_same_x_ray(page: Page, show: Show) -> None:
    film = film_of(0)
    show(film, "viral")
    assert chosen(page) == "viral"
    show(film, "normal")
    assert chosen(page) == "normal"


def test_a_class_that_is_chosen_stays_until_the_server_knows_it(page: Page, show: Show) -> None:
    film = film_of(0)
    show(film, "viral")
    page.get_by_role("radio", name="Normal").check()
    show(film, "viral")  # of a run that began before the choice
    assert chosen(page) == "normal"
    show(film, "normal")
    show(film, "viral")
    assert chosen(page) == "viral"


def test_a_measurement_that_was_begun_is_not_carried_to_the_next_x_ray(page: Page, show: Show) -> None:
    show(film_of(0))
    page.locator(".frame").first.focus()
    for key in ("m", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".status")).to_have_text("First end")
    show(film_of(5))
    for key in ("ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".status")).to_have_text("First end")
    expect(page.locator(".notes li")).to_have_count(0)


def test_a_second_finger_gives_up_the_measurement_of_the_first(page: Page, show: Show) -> None:
    show(film_of(0))
    page.evaluate("Element.prototype.setPointerCapture = () => {}")  # these fingers are none
    page.get_by_role("button", name="Measure").click()

    def image() -> str:
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return str(page.evaluate("document.querySelectorAll('.frame canvas')[1].toDataURL()"))

    box = page.locator(".frame").nth(1).bounding_box()
    assert box
    x, y, before = box["x"] + 60, box["y"] + 60, image()
    for name, finger, at in (("down", 1, x), ("move", 1, x + 50), ("down", 2, x + 80), ("up", 2, x + 80), ("up", 1, x)):
        page.evaluate(TOUCH, [f"pointer{name}", finger, at, y])
    assert image() == before


def test_an_emptied_field_leaves_the_window_as_it_is(page: Page, show: Show) -> None:
    show(film_of(0))
    level, note = page.locator(".level"), page.locator(".gray-note")
    before, words = level.input_value(), note.inner_text()
    level.fill("")
    level.press("Enter")
    assert (level.input_value(), note.inner_text()) == (before, words)
    level.fill("40")
    level.press("Enter")
    assert level.input_value() == "40"
    assert note.inner_text() != words
