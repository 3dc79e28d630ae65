"""DICOM files look here as dcmtk shows them; the whole comparison is bench/dicom_rendering.py."""

import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom.data
import pytest

from bench.dicom_rendering import constructed, outcome
from tests.support.file_seeds import quiet_writing

HEADERS = {name: data for name, data in constructed()}
SHIPPED = ["CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "examples_overlay.dcm", "image_dfl.dcm"]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with quiet_writing(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def dcmtk() -> None:
    if not shutil.which("dcm2img") and not shutil.which("dcmj2pnm"):
        pytest.skip("dcmtk is not installed (Debian's package dcmtk)")


@pytest.mark.usefixtures("dcmtk")
@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_are_easily_misread_look_as_in_dcmtk(name: str) -> None:
    assert outcome(HEADERS[name]).agreement == "within 2"


@pytest.mark.usefixtures("dcmtk")
@pytest.mark.parametrize("name", SHIPPED)
def test_files_of_pydicom_look_as_in_dcmtk(name: str) -> None:
    path = next(Path(pydicom.data.__file__).parent.rglob(name))
    assert outcome(path.read_bytes()).agreement == "within 2"


def test_the_comparison_says_that_dcmtk_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "bench/dicom_rendering.py"]
    root = Path(__file__).parents[2]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env={"PATH": str(tmp_path)})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "dcmtk" in ended.stderr
