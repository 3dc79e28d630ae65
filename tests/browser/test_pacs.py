"""X-rays from a real PACS and back: searched, picked and read on the page, their results sent and found there."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import settled
from tests.support.dicom_originals import original, original_dataset
from tests.support.orthanc import PASSWORD, USER, Orthanc, needs_orthanc
from tests.support.server import Server, serving

pytestmark = needs_orthanc
pytest.importorskip("dicomweb_client", reason="dicomweb-client is not installed (requirements-dicom.txt)")
pytest.importorskip("highdicom", reason="highdicom is not installed (requirements-dicom.txt)")
TODAY = f"{date.today():%Y%m%d}"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """A PACS with three X-rays of today."""
    server = Orthanc(tmp_path_factory.mktemp("orthanc"))
    server.start()
    for number in range(3):
        server.add(original(number, StudyDate=TODAY))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def pacs_server(trained_home: Path, orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A dashboard whose operator configured this PACS."""
    home = shutil.copytree(trained_home, tmp_path_factory.mktemp("pacs") / "home")
    (home / "pacs.toml").write_text(f'[dicomweb]\nurl = "{orthanc.settings.url}"\nname = "Test PACS"\n')
    with serving(home, CXR_PACS_USER=USER, CXR_PACS_PASSWORD=PASSWORD) as running:
        yield running


def test_an_x_ray_goes_from_the_pacs_to_the_page_and_its_results_back(
    page: Page, pacs_server: Server, orthanc: Orthanc
) -> None:
    page.goto(f"{pacs_server.url}/predict")
    page.get_by_text("From Test PACS").click()
    page.get_by_role("button", name="Search", exact=True).click()
    table = page.locator('[data-testid="stDataFrame"]')
    table.wait_for()
    settled(page)
    box = table.bounding_box()
    assert box
    page.mouse.click(box["x"] + 15, box["y"] + 50)  # the box before the first row
    page.get_by_role("button", name="Read 1 X-ray").click()
    page.locator(".frame canvas").nth(1).wait_for()
    settled(page)
    assert not any(f"CANARY-ID-{number}" in page.content() for number in range(3))

    page.get_by_text("DICOM results", exact=True).click()
    page.get_by_role("button", name="Make DICOM results").click()
    send = page.get_by_role("button", name="Send to Test PACS")
    send.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download (ZIP)").click()
    names = zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())).namelist()
    assert names[0] == "structured-report.dcm"
    settled(page)
    send.click()
    expect(page.get_by_text(f"Test PACS has {len(names)} objects of this result.")).to_be_visible()
    sizes = sorted(len(orthanc.rest(f"/studies/{study}")["Series"]) for study in orthanc.rest("/studies"))
    assert sizes == [1, 1, 1 + len(names)]

    page.get_by_text("From Test PACS").click()
    page.get_by_role("button", name="Search", exact=True).click()
    table.first.wait_for()
    settled(page)
    box = table.first.bounding_box()
    assert box
    page.mouse.click(box["x"] + 15, box["y"] + 85)  # that before the second
    orthanc.stop()
    failed = page.locator('[data-testid="stAlert"]').get_by_text("cannot be reached")
    try:
        page.get_by_role("button", name="Read 1 X-ray").click()
        failed.wait_for()
        settled(page)
        page.get_by_text("From Test PACS").click()
        page.get_by_role("button", name="Search", exact=True).click()
        expect(failed).to_have_count(2)
    finally:
        orthanc.start()
    settled(page)
    page.get_by_role("button", name="Read again", exact=True).click()
    page.locator(".viewer[data-shows]").wait_for()
    expect(failed).to_have_count(0)
    kept = [path for path in pacs_server.home.rglob("*") if path.is_file()]
    identity = [
        str(original_dataset(number)[key].value).encode() for number in range(3) for key in ("PatientID", "StudyID")
    ]
    assert [path for path in kept if any(canary in path.read_bytes() for canary in identity)] == []
