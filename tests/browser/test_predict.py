"""Reading films as a clinician does: drop, look, compare, answer, export; nobody sees another's films."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image

from cxr.films.synthetic.phantom import draw_phantom
from tests.support.browser import settled


def png(seed=1, bits=8):
    pixels = draw_phantom("viral", seed, 128).pixels
    file = io.BytesIO()
    Image.fromarray(pixels if bits == 8 else pixels.astype(np.uint16) * 257).save(file, "PNG")
    return file.getvalue()


def dicom(seed=1):
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


def drop(tab, *files):
    tab.locator("input[type=file]").set_input_files(
        [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files]
    )


def heat(tab):
    """How much colour there is in the right-hand picture: a film alone has none."""
    return tab.evaluate("""() => {
        const roots = [...document.querySelectorAll('*')].map((node) => node.shadowRoot);
        const root = roots.find((root) => root?.querySelector('.panes'));
        const canvas = root?.querySelectorAll('canvas')[1];
        if (!canvas) return 0;
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let coloured = 0;
        for (let i = 0; i < data.length; i += 4) coloured += Math.abs(data[i] - data[i + 2]) > 12;
        return coloured / (data.length / 4);
    }""")


def looked_at(tab):
    """Wait for a heatmap on the film."""
    tab.locator(".frame canvas").nth(1).wait_for()
    for _ in range(100):
        if heat(tab) > 0.005:
            return
        tab.wait_for_timeout(100)
    pytest.fail("There is no heat on the film.")


@pytest.mark.parametrize(
    ("name", "data"),
    [("film.png", png()), ("deep.png", png(bits=16)), ("1.2.3", dicom())],
    ids=["PNG", "16 bit", "DICOM"],
)
def test_a_dropped_film_gets_a_heatmap(page, server, name, data):
    page.goto(server.url)
    drop(page, (name, data))
    looked_at(page)
    assert page.get_by_text("The model").first.is_visible()


def test_the_view_changes_in_the_browser_alone(page, server):
    page.goto(server.url)
    drop(page, ("film.png", png(3)))
    looked_at(page)
    settled(page)
    before = heat(page)
    page.get_by_label("Opacity").fill("0")
    assert heat(page) < before / 10
    page.get_by_label("Opacity").fill("80")
    assert heat(page) > before
    page.get_by_role("button", name="Zoom in").click()
    assert page.locator(".scale").inner_text() == "125 %"
    page.locator(".frame").first.focus()
    page.keyboard.press("+")
    assert page.locator(".scale").inner_text() == "156 %"
    page.get_by_role("button", name="Reset view").click()
    assert page.locator(".scale").inner_text() == "100 %"
    page.get_by_text("Heatmap", exact=True).first.click()
    page.locator(".shown").uncheck()
    assert heat(page) == 0


def test_another_class_has_another_heatmap_and_the_report_follows_it(page, server):
    page.goto(server.url)
    drop(page, ("film.png", png(4)))
    looked_at(page)
    for name in ("normal", "covid19"):
        page.get_by_role("radio", name=name, exact=True).check(force=True)
        page.get_by_text(f"what speaks for {name}").wait_for()
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Report (PDF)").click()
    assert download.value.path().read_bytes().startswith(b"%PDF")


def test_of_twenty_files_two_are_broken_and_the_rest_are_read(page, server):
    page.goto(server.url)
    drop(page, *((f"film-{n:02d}.png", png(n)) for n in range(18)), ("broken.png", b"no"), ("cut.png", png()[:400]))
    page.get_by_text("20 files, 2 could not be read.").wait_for()
    looked_at(page)
    page.get_by_role("button", name="Next").click()
    page.get_by_text("2 of 20", exact=True).wait_for()
    page.get_by_text("not readable (2)").click()
    page.get_by_text("1 of 2", exact=True).wait_for()
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="All as CSV").click()
    assert len(download.value.path().read_text().splitlines()) == 21


def test_a_refused_picture_has_no_heatmap_until_somebody_insists(page, server):
    file = io.BytesIO()
    Image.new("L", (400, 300), 120).save(file, "PNG")
    page.goto(server.url)
    drop(page, ("blank.png", file.getvalue()))
    page.get_by_text("next to nothing").first.wait_for()
    page.get_by_alt_text("The refused film.").wait_for()
    assert not page.locator(".frame canvas").count()
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Report (PDF)").click()
    assert download.value.path().read_bytes().startswith(b"%PDF")
    page.get_by_role("button", name="Show it all the same").click()
    page.locator(".frame canvas").first.wait_for()
    assert page.get_by_text("next to nothing").first.is_visible()


def test_films_stay_when_the_page_is_left_and_come_to_nobody_else(page, browser, server):
    page.goto(server.url)
    drop(page, ("mine.png", png(5)))
    looked_at(page)
    page.get_by_role("link", name="Models").click()
    page.wait_for_url("**/models")
    settled(page)
    page.get_by_role("link", name="Predict").click()
    looked_at(page)
    assert page.get_by_text("mine.png").count()
    other = browser.new_context(color_scheme="dark")
    tab = other.new_page()
    tab.goto(server.url)
    tab.get_by_text("Or read an example").wait_for()
    assert tab.get_by_text("mine.png").count() == 0
    drop(tab, ("theirs.png", png(6)))
    tab.locator(".frame canvas").nth(1).wait_for()
    assert tab.get_by_text("mine.png").count() == 0 and page.get_by_text("theirs.png").count() == 0
    other.close()


def test_nothing_that_was_dropped_is_on_the_disk(page, server):
    page.goto(server.url)
    drop(page, ("canary-7319.png", png(7)))
    looked_at(page)
    assert not [path for path in server.home.rglob("*") if path.is_file() and "canary-7319" in path.name]
    mark = png(7)[60:120]
    files = [path for path in server.home.rglob("*") if path.is_file() and path.stat().st_size < 50_000_000]
    assert not [path for path in files if mark in path.read_bytes() or b"canary-7319" in path.read_bytes()]
