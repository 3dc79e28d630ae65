"""A withheld X-ray is corrected at a click on Predict; a tile on Data opens its X-ray, which is then read."""

import io
from pathlib import Path

import numpy as np
import pydicom
from playwright.sync_api import Dialog, FilePayload, Page

from cxr.films.synthetic.phantom import draw_phantom
from cxr.ui.components.read_this import LABEL
from cxr.ui.predict.withheld import REJECTED
from tests.support.browser import settled
from tests.support.server import Server


def dicom(**elements: object) -> bytes:
    pixels = draw_phantom("bacterial", 1, 128).pixels[:, ::-1]
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    data.Modality, data.PhotometricInterpretation, data.SamplesPerPixel = "DX", "MONOCHROME2", 1
    data.Rows, data.Columns = pixels.shape
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PixelData = np.ascontiguousarray(pixels).tobytes()
    for name, value in elements.items():
        setattr(data, name, value)
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def test_a_mirrored_dicom_is_withheld_until_it_is_flipped_at_a_click(page: Page, server: Server) -> None:
    page.goto(server.url)
    file = FilePayload(
        name="mirrored", mimeType="application/octet-stream", buffer=dicom(PatientOrientation=["R", "F"])
    )
    page.locator("input[type=file]").set_input_files([file])
    page.get_by_text(REJECTED).first.wait_for()
    assert not page.locator("ul.cxr-bars").count()
    page.get_by_role("button", name="Flip horizontally").click()
    page.locator("ul.cxr-bars").wait_for()
    assert page.locator('[data-testid="stMarkdownContainer"] h2').inner_text() == "mirrored, flipped horizontally"
    page.get_by_role("button", name="Undo the correction").click()
    page.get_by_text(REJECTED).first.wait_for()
    settled(page)
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.once("dialog", leave)
    page.reload()
    assert asked == ["beforeunload"]  # the browser asks before an uploaded X-ray is lost


def test_a_click_on_a_tile_opens_its_x_ray_which_is_then_read(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/data")
    tile = page.locator('[class*="_tile_"] img').first
    tile.wait_for()
    settled(page)
    tile.click(force=True)  # the button's area lies over the image
    page.get_by_role("button", name=LABEL).click()
    page.locator('[data-testid="stMarkdownContainer"] h2').wait_for()
    assert Path(page.locator('[data-testid="stMarkdownContainer"] h2').inner_text()).suffix == ".png"
