"""Predict as a clinician uses it: drop, view, compare, respond, export; nobody sees another's X-rays."""

import io
import re

import numpy as np
import pydicom
import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect

from cxr.datasets.labels import display_in_sentence, display_name
from cxr.films.synthetic.phantom import draw_phantom
from cxr.ui.predict.examples import EXAMPLES_LABEL
from cxr.ui.predict.withheld import REJECTED
from tests.support.browser import settled
from tests.support.server import Server


def png(seed: int = 1, bits: int = 8) -> bytes:
    pixels = draw_phantom("viral", seed, 128).pixels
    file = io.BytesIO()
    Image.fromarray(pixels if bits == 8 else pixels.astype(np.uint16) * 257).save(file, "PNG")
    return file.getvalue()


def dicom(seed: int = 1) -> bytes:
    pixels = draw_phantom("bacterial", seed, 128).pixels
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PixelData = pixels.tobytes()
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def drop(tab: Page, *files: tuple[str, bytes]) -> None:
    tab.locator("input[type=file]").set_input_files(
        [FilePayload(name=name, mimeType="application/octet-stream", buffer=data) for name, data in files]
    )


def colored_share(tab: Page) -> float:
    """The share of colored pixels in the right-hand image; an X-ray alone has none."""
    share: float = tab.evaluate("""() => {
        const roots = [...document.querySelectorAll('*')].map((node) => node.shadowRoot);
        const root = roots.find((root) => root?.querySelector('.panes'));
        const canvas = root?.querySelectorAll('canvas')[1];
        if (!canvas) return 0;
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let colored = 0;
        for (let i = 0; i < data.length; i += 4) colored += Math.abs(data[i] - data[i + 2]) > 12;
        return colored / (data.length / 4);
    }""")
    return share


def drawn(tab: Page) -> None:
    """Waits until what was changed is drawn."""
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def wait_for_heatmap(tab: Page) -> None:
    """Waits until a heatmap is drawn on the X-ray."""
    tab.locator(".frame canvas").nth(1).wait_for()
    for _ in range(100):
        if colored_share(tab) > 0.005:
            return
        tab.wait_for_timeout(100)
    pytest.fail("There is no heatmap on the X-ray.")


@pytest.mark.parametrize(
    ("name", "data"),
    [("film.png", png()), ("deep.png", png(2, bits=16)), ("1.2.3", dicom())],
    ids=["PNG", "16 bit", "DICOM"],
)
def test_a_dropped_film_gets_a_heatmap(page: Page, server: Server, name: str, data: bytes) -> None:
    page.goto(server.url)
    drop(page, (name, data))
    wait_for_heatmap(page)
    assert page.locator("ul.cxr-bars").is_visible()


def test_the_view_changes_without_the_server(page: Page, server: Server) -> None:
    page.goto(server.url)
    drop(page, ("film.png", png(3)))
    wait_for_heatmap(page)
    settled(page)
    before = colored_share(page)
    page.get_by_label("Opacity").fill("0")
    drawn(page)
    assert colored_share(page) < before / 10
    page.get_by_label("Opacity").fill("80")
    drawn(page)
    assert colored_share(page) > before
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator(".scale")).not_to_have_text("Fit")
    page.get_by_role("button", name="Reset view").click()
    expect(page.locator(".scale")).to_have_text("Fit")
    page.locator(".overlay").uncheck()
    drawn(page)
    assert colored_share(page) == 0


def test_another_class_has_another_heatmap_and_the_report_follows_it(page: Page, server: Server) -> None:
    page.goto(server.url)
    drop(page, ("film.png", png(4)))
    wait_for_heatmap(page)
    for label in ("normal", "covid19"):
        page.get_by_role("radio", name=display_name(label), exact=True).check(force=True)
        page.locator(".method", has_text=display_in_sentence(label)).wait_for()
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Report (PDF)").click()
    assert download.value.path().read_bytes().startswith(b"%PDF")


def test_two_of_twenty_files_are_unreadable_and_the_rest_are_read(page: Page, server: Server) -> None:
    page.goto(server.url)
    drop(page, *((f"film-{n:02d}.png", png(n)) for n in range(18)), ("broken.png", b"no"), ("cut.png", png()[:400]))
    page.get_by_test_id("stMain").get_by_text(re.compile("20 files: .*2 unreadable")).wait_for()
    wait_for_heatmap(page)
    page.get_by_role("button", name="Next").click()
    page.get_by_text("2 of 20", exact=True).wait_for()
    page.get_by_text("Unreadable (2)").click()
    page.get_by_text("1 of 2", exact=True).wait_for()
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert len(download.value.path().read_text().splitlines()) == 21


def test_a_rejected_image_has_no_heatmap_before_a_person_insists(page: Page, server: Server) -> None:
    file = io.BytesIO()
    Image.new("L", (400, 300), 120).save(file, "PNG")
    page.goto(server.url)
    drop(page, ("blank.png", file.getvalue()))
    page.get_by_text(REJECTED).first.wait_for()
    page.locator(".viewer[data-depth=full]").wait_for()
    assert colored_share(page) == 0
    assert not page.get_by_role("radio", name=display_name("normal")).count()
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Report (PDF)").click()
    assert download.value.path().read_bytes().startswith(b"%PDF")
    page.get_by_role("button", name="Show anyway").click()
    page.get_by_role("radio", name=display_name("normal")).wait_for()
    assert not page.get_by_text(REJECTED).count()


def test_films_stay_when_the_page_is_left_and_nobody_else_sees_them(
    page: Page, browser: Browser, server: Server
) -> None:
    page.goto(server.url)
    drop(page, ("mine.png", png(5)))
    wait_for_heatmap(page)
    page.get_by_role("link", name="Models").click()
    page.wait_for_url("**/models")
    settled(page)
    page.get_by_role("link", name="Predict").click()
    wait_for_heatmap(page)
    assert page.get_by_text("mine.png").count()
    other = browser.new_context(color_scheme="dark")
    tab = other.new_page()
    tab.goto(server.url)
    tab.get_by_text(EXAMPLES_LABEL).wait_for()
    assert tab.get_by_text("mine.png").count() == 0
    drop(tab, ("theirs.png", png(6)))
    tab.locator(".frame canvas").nth(1).wait_for()
    assert tab.get_by_text("mine.png").count() == 0
    assert page.get_by_text("theirs.png").count() == 0
    other.close()


def test_no_dropped_file_is_on_the_disk(page: Page, server: Server) -> None:
    page.goto(server.url)
    drop(page, ("canary-7319.png", png(7)))
    wait_for_heatmap(page)
    assert not [path for path in server.home.rglob("*") if path.is_file() and "canary-7319" in path.name]
    mark = png(7)[60:120]
    files = [path for path in server.home.rglob("*") if path.is_file() and path.stat().st_size < 50_000_000]
    assert not [path for path in files if mark in path.read_bytes() or b"canary-7319" in path.read_bytes()]
