"""The viewer in a real browser: full gray depth, tools, keys, and no request to the server while one looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, Request, WebSocket, expect

from cxr.datasets.labels import display_name
from cxr.films.synthetic.phantom import draw_phantom
from tests.support.accessibility import serious_findings
from tests.support.browser import settled
from tests.support.file_seeds import dataset_of, saved, written
from tests.support.server import Server

# The mean and the spread of gray in the left image, and the share of color in the right one.
PIXELS = """() => {
  const roots = [...document.querySelectorAll('*')].map((node) => node.shadowRoot);
  const root = roots.find((root) => root?.querySelector('.panes'));
  const frames = [...root.querySelectorAll('.frame')], box = frames.find((frame) => frame.clientWidth);
  const read = (frame) => {
    const canvas = frame.querySelector('canvas');
    return canvas.width ? canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data : [];
  };
  const data = read(box), right = frames[1].clientWidth ? read(frames[1]) : [];
  let sum = 0, squares = 0, colored = 0;
  for (let i = 0; i < data.length; i += 4) { sum += data[i]; squares += data[i] * data[i]; }
  for (let i = 0; i < right.length; i += 4) colored += Math.abs(right[i] - right[i + 2]) > 12;
  const count = data.length / 4, mean = sum / count;
  return { mean, spread: Math.sqrt(squares / count - mean * mean), colored: colored / Math.max(1, right.length / 4) };
}"""
HEIGHT, WIDTH = 300, 260
LOW, HIGH = 30_000, 30_040  # of 65,535: one gray level of 256 apart at the most


def phantom(seed: int = 1, side: int = 300) -> np.ndarray:
    return draw_phantom("bacterial", seed, side).pixels.astype(np.uint16)


def deep_png() -> bytes:
    """A 16-bit phantom with a square in it that 8 bits cannot show."""
    samples = phantom() * 250
    samples[120:180, 120:180] = LOW
    samples[140:160, 140:160] = HIGH
    return saved(Image.fromarray(samples), "PNG")


def narrow_dicom(**elements: Any) -> bytes:
    """A 12-bit phantom whose header asks for a window that shows next to nothing."""
    facts: dict[str, Any] = {
        "WindowCenter": ["300", "2000"],
        "WindowWidth": ["60", "3600"],
        "ViewPosition": "PA",
        "PatientOrientation": ["L", "F"],
        "ImagerPixelSpacing": [0.5, 0.5],
        "KVP": 120,
        "ExposureInuAs": 2600,
        "Manufacturer": "Agfa-Gevaert 12345",
    }
    return written(dataset_of(phantom(2) * 14 + 200, **facts | elements))


class Traffic:
    """What a tab asks of the server: requests, and frames on its sockets. Streamlit's scripts come when it likes."""

    def __init__(self, tab: Page) -> None:
        self.tab, self.asked, self.received = tab, 0, 0
        tab.on("websocket", self._listen)
        tab.on("request", self._request)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framesent", self._count)
        socket.on("framereceived", self._add)

    def _request(self, request: Request) -> None:
        if "/static/" not in request.url:
            self._count(request)

    def _count(self, _: object) -> None:
        self.asked += 1

    def _add(self, data: str | bytes) -> None:
        self.received += len(data)

    def stop(self) -> None:
        """Listen no more."""
        self.tab.remove_listener("websocket", self._listen)
        self.tab.remove_listener("request", self._request)


@pytest.fixture
def traffic(page: Page) -> Iterator[Traffic]:
    listener = Traffic(page)
    yield listener
    listener.stop()


def opened(tab: Page, server: Server, *files: tuple[str, bytes]) -> None:
    """A tab in which these files were dropped, and the first of them shows its full depth."""
    tab.goto(server.url)
    settled(tab)
    payloads = [FilePayload(name=name, mimeType="application/octet-stream", buffer=data) for name, data in files]
    tab.locator("input[type=file]").set_input_files(payloads)
    tab.locator(".viewer[data-depth=full]").wait_for()
    settled(tab)


def pixels(tab: Page) -> dict[str, float]:
    """What the images show, once they are drawn."""
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    shown: dict[str, float] = tab.evaluate(PIXELS)
    return shown


def drag(tab: Page, dx: int, dy: int, button: str = "left", frame: int = 0) -> None:
    box = tab.locator(".frame").nth(frame).bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down(button=button)  # type: ignore[arg-type]
    tab.mouse.move(x + dx / 2, y + dy / 2)
    tab.mouse.move(x + dx, y + dy)
    tab.mouse.up(button=button)  # type: ignore[arg-type]


def number(tab: Page, name: str) -> float:
    return float(tab.locator(f".{name}").input_value())


def test_nothing_is_asked_of_the_server_while_one_looks(page: Page, unchanged_server: Server, traffic: Traffic) -> None:
    opened(page, unchanged_server, ("deep.png", deep_png()))
    before, traffic.asked = pixels(page), 0
    level, width = number(page, "level"), number(page, "width")

    drag(page, 80, 0)
    assert number(page, "width") > 1.1 * width
    drag(page, 0, -60)
    assert number(page, "level") < level
    assert pixels(page)["mean"] > before["mean"]
    page.get_by_role("button", name="Pan").click()
    drag(page, 60, 0, button="right")
    page.locator(".preset").select_option("full")
    page.locator(".invert").check()
    assert abs(pixels(page)["mean"] - before["mean"]) > 5
    page.locator(".invert").uncheck()
    page.locator(".width").fill("3000")
    page.locator(".width").press("Enter")
    assert number(page, "width") == 3000

    drag(page, 10, 10)
    page.mouse.wheel(0, -300)
    expect(page.locator(".scale")).not_to_have_text("Fit")
    drag(page, 40, 40)
    for name in ("1:1", "Rotate right", "Flip", "Side by side", "Zoom in", "Fit", "Reset view"):
        page.get_by_role("button", name=name, exact=True).click()
    page.get_by_role("button", name="Side by side").click()
    page.get_by_label("Opacity").fill("90")
    page.locator(".style").select_option("contours")
    page.locator(".colors").select_option("turbo")
    assert pixels(page)["colored"] > 0.001
    page.get_by_role("button", name="Measure").click()
    drag(page, 50, 0)
    assert "not calibrated" in page.locator(".notes").inner_text()
    assert traffic.asked == 0


def test_a_window_shows_what_eight_bits_cannot(page: Page, unchanged_server: Server) -> None:
    opened(page, unchanged_server, ("deep.png", deep_png()))
    page.get_by_role("button", name="Zoom", exact=True).click()
    box = page.locator(".frame").first.bounding_box()
    assert box
    page.locator(".frame").first.focus()
    for _ in range(7):  # until the square alone is in sight
        page.keyboard.press("+")
    default = pixels(page)
    page.locator(".level").fill(str((LOW + HIGH) // 2))
    page.locator(".width").fill(str(HIGH - LOW))
    page.locator(".width").press("Enter")
    assert default["spread"] < 60 < pixels(page)["spread"]


def test_zoom_and_window_stay_when_a_class_or_another_film_is_chosen(
    page: Page, unchanged_server: Server, traffic: Traffic
) -> None:
    large = phantom(1, 600) * 200
    grain = [np.random.default_rng(seed).integers(0, 200, large.shape, np.uint16) for seed in (1, 2)]
    opened(page, unchanged_server, *((f"{n}.png", saved(large + grain[n], "PNG")) for n in (0, 1)))
    assert traffic.received > large.size  # a byte for each of its samples at the least
    traffic.received = 0
    page.locator(".opacity").fill("70")
    drag(page, 100, 40)
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="Pan").click()
    expect(page.locator(".scale")).not_to_have_text("Fit")
    kept = number(page, "level"), number(page, "width"), page.locator(".scale").inner_text()
    page.get_by_role("radio", name=display_name("normal"), exact=True).check(force=True)
    settled(page)
    assert traffic.received < large.size / 2  # the samples are not sent again
    assert (number(page, "level"), number(page, "width"), page.locator(".scale").inner_text()) == kept
    assert page.get_by_role("radio", name=display_name("normal"), exact=True).is_checked()
    first = page.locator(".viewer").get_attribute("data-shows")
    page.locator(".frame").first.focus()
    page.keyboard.press("n")
    page.locator(f".viewer[data-depth=full]:not([data-shows='{first}'])").wait_for()
    settled(page)
    expect(page.locator(".scale")).to_have_text(kept[2])
    assert page.locator(".opacity").input_value() == "70"
    assert page.get_by_role("button", name="Pan").get_attribute("aria-pressed") == "true"
    assert page.locator(".preset").input_value() == ""  # as far from its own window as the first one
    page.locator(".frame").first.focus()
    page.keyboard.press("p")
    page.locator(f".viewer[data-shows='{first}']").wait_for()
    assert (number(page, "level"), number(page, "width")) == kept[:2]
    page.get_by_role("button", name="Full screen").click()
    page.locator(".method-choice").select_option("gradcam++")
    page.locator(".method", has_text="Grad-CAM++: evidence").wait_for()
    settled(page)
    expect(page.locator(".scale")).not_to_have_text("Fit")
    page.evaluate("document.exitFullscreen()")
    assert (number(page, "level"), number(page, "width")) == kept[:2]
    page.get_by_role("link", name="Models").click()
    page.wait_for_url("**/models")
    settled(page)
    page.get_by_role("link", name="Predict").click()
    page.locator(".viewer[data-depth=full]").wait_for()
    assert number(page, "level") == kept[0]
    expect(page.locator(".scale")).to_have_text(kept[2])


def test_a_dicom_with_a_narrow_window_is_rescued_measured_and_described(page: Page, unchanged_server: Server) -> None:
    opened(page, unchanged_server, ("1.2.3", narrow_dicom()))
    assert (number(page, "level"), number(page, "width")) == (300, 60)
    narrow = pixels(page)
    page.locator(".preset").select_option("auto")
    assert narrow["mean"] - pixels(page)["mean"] > 40
    page.locator(".preset").select_option("header-2")
    assert (number(page, "level"), number(page, "width")) == (2000, 3600)
    facts = page.locator(".facts")
    facts.locator("summary").click()
    text = facts.inner_text()
    assert all(words in text for words in ("120 kV", "2.6 mAs", "0.5 mm at the detector", "300 × 300", "12 bits"))
    assert "Agfa" not in text
    page.get_by_label("Show the manufacturer").check()
    assert "Agfa" in facts.inner_text()
    assert "12345" not in facts.inner_text()
    page.get_by_role("button", name="Measure").click()
    drag(page, 100, 0)
    box = page.locator(".frame").first.bounding_box()
    assert box
    measured = float(page.locator(".notes").inner_text().split()[0])
    scale = min(box["width"], box["height"]) / 300
    assert measured == pytest.approx(0.5 * 100 / scale, rel=0.02)
    assert "at the detector" in page.locator(".notes").inner_text()


def test_all_is_done_with_keys_alone(page: Page, unchanged_server: Server) -> None:
    opened(page, unchanged_server, ("1.2.3", narrow_dicom()))
    page.locator(".frame").first.focus()
    page.keyboard.press("2")
    assert page.locator(".preset").input_value() == "auto"
    width = number(page, "width")
    page.keyboard.press("Shift+ArrowRight")
    assert number(page, "width") > width
    page.keyboard.press("+")
    expect(page.locator(".scale")).not_to_have_text("Fit")
    page.keyboard.press("0")
    expect(page.locator(".scale")).to_have_text("Fit")
    page.keyboard.press("m")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert "mm" in page.locator(".notes").inner_text()
    page.keyboard.press("Delete")
    assert page.locator(".notes li").count() == 0
    page.keyboard.press("r")
    assert page.locator(".turned").is_visible()
    page.keyboard.press("Home")
    assert not page.locator(".turned").is_visible()
    assert page.locator(".preset").input_value() == "default"
    assert page.locator(".result").inner_text()
    page.keyboard.press("?")
    assert page.locator("dialog.keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog.keys").is_visible()
    # The buttons are two stops of the Tab key; arrows go from one to the next.
    page.get_by_role("button", name="Measure").focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(FOCUSED) == "Zoom"
    page.keyboard.press("Home")
    assert page.evaluate(FOCUSED) == "Window"
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) not in ("Pan", "Zoom", "Measure")


def test_each_key_tells_a_screen_reader_what_it_changed(page: Page, unchanged_server: Server) -> None:
    opened(page, unchanged_server, ("deep.png", deep_png()))
    status = page.locator(".viewer .status")
    page.locator(".frame").first.focus()
    for key, words in (
        ("i", "Inverted"),
        ("i", "Not inverted"),
        ("h", "Heatmap hidden"),
        ("h", "Heatmap shown"),
        ("o", "Contours"),
        ("o", "Color wash"),
        ("]", "Opacity 55%"),
        ("m", "Measure tool"),
        ("ArrowRight", "Measure tool"),
        ("Enter", "First end"),
        ("ArrowRight", "First end"),
        ("Enter", re.compile(" px, not calibrated")),
        ("Delete", "Removed"),
    ):
        page.keyboard.press(key)
        expect(status).to_have_text(words)


def test_the_focus_goes_on_where_its_image_is_hidden(page: Page, unchanged_server: Server) -> None:
    opened(page, unchanged_server, ("deep.png", deep_png()))
    page.locator(".frame").first.focus()
    page.keyboard.press("s")
    expect(page.locator(".viewer .status")).to_have_text("One image")
    expect(page.locator(".frame:visible")).to_be_focused()
    page.keyboard.press("+")
    expect(page.locator(".scale")).not_to_have_text("Fit")


def test_an_image_has_a_name_within_an_application(page: Page, unchanged_server: Server) -> None:
    """Orca names no element with the role application; NVDA passes single letters on only within one."""
    opened(page, unchanged_server, ("deep.png", deep_png()))
    for application in page.get_by_role("application").all():
        image = application.get_by_role("img", name=re.compile("^Chest X-ray, "))
        expect(image).to_have_attribute("tabindex", "0")
    assert page.get_by_role("application").count() == 2


def test_the_list_of_keys_does_not_let_the_result_be_read_twice(page: Page, unchanged_server: Server) -> None:
    """A live region that is back once a dialog closes is read again, unless it is empty."""
    opened(page, unchanged_server, ("deep.png", deep_png()))
    expect(page.locator(".result")).not_to_have_text("")
    page.locator(".frame").first.focus()
    page.keyboard.press("?")
    expect(page.locator(".result")).to_have_text("")
    assert "w: Window tool. v: Pan tool. " in (page.locator("dialog.keys").text_content() or "")


def test_a_list_that_stays_as_it_is_is_not_filled_again(page: Page, unchanged_server: Server) -> None:
    """A screen reader reads each change of a list aloud, wherever the focus is."""
    opened(page, unchanged_server, ("deep.png", deep_png()))
    first = page.locator(".colors option").first.element_handle()
    page.locator(".frame").first.focus()
    page.keyboard.press("]")
    expect(page.locator(".opacity")).to_have_value("55")
    assert first.evaluate("option => option.isConnected")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_page_is_accessible_in_every_state_and_fits_every_width(
    page: Page, unchanged_server: Server, theme: str
) -> None:
    page.goto(f"{unchanged_server.url}/_stcore/health")
    key = "stActiveTheme-/-v2"
    page.evaluate(f"localStorage.setItem('{key}', '\"{theme.title()}\"'); localStorage.setItem('cxr-{key}', 'x')")
    opened(page, unchanged_server, ("1.2.3", narrow_dicom()))
    if page.get_by_role("button", name="Show anyway").count():
        assert serious_findings(page) == []
        page.get_by_role("button", name="Show anyway").click()
        page.locator(".classes label").first.wait_for()
        settled(page)
    for width, height in ((1280, 900), (800, 1000), (640, 450)):  # the last is 1280 by 900 at a zoom of 200%
        page.set_viewport_size({"width": width, "height": height})
        assert page.locator(".viewer").evaluate("(viewer) => viewer.scrollWidth <= viewer.clientWidth")
    assert serious_findings(page) == []
    page.locator(".style").select_option("contours")
    page.get_by_role("button", name="Measure").click()
    drag(page, 60, 20)
    page.get_by_role("button", name="Rotate right").click()
    page.locator(".facts summary").click()
    assert serious_findings(page) == []
    page.keyboard.press("?")
    page.locator("dialog.keys[open]").wait_for()
    assert serious_findings(page) == []


FOCUSED = """() => {
  let element = document.activeElement;
  while (element.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return element.textContent.trim();
}"""
