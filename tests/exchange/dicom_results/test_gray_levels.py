"""A presentation state shows the gray levels of its original as the original is read here."""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import DataElement, Dataset, dcmread

from cxr.exchange.dicom_results.object_kinds import DicomObject, ObjectKind
from cxr.exchange.dicom_results.writing import ResultWriter
from cxr.films.film import Film
from tests.support.dicom_originals import content_of, original
from tests.support.file_seeds import quiet_writing

VIEWER = pytest.mark.skipif(
    not (shutil.which("dcmp2pgm") and shutil.which("dciodvfy")), reason="dcmtk and dicom3tools are not installed"
)


def table(entries: np.ndarray, bits: int, **elements: Any) -> list[Dataset]:
    """A lookup table for the values from 0 on."""
    item = Dataset()
    item.add(DataElement("LUTDescriptor", "US", [len(entries) % 65536, 0, bits]))
    item.add(DataElement("LUTData", "OW", entries.astype("<u2").tobytes()))
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return [item]


WINDOW = {"WindowCenter": 1500, "WindowWidth": 2000}
CURVE = np.sqrt(np.arange(4096) / 4095)
ORIGINALS: dict[str, dict[str, Any]] = {
    "a window": WINDOW,
    "inverted": WINDOW | {"PhotometricInterpretation": "MONOCHROME1"},
    "inverted by its shape": WINDOW | {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
    "contradictory": WINDOW | {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"},
    "several windows": {"WindowCenter": [1500, 100], "WindowWidth": [2000, 50]},
    "rescaled": {"RescaleSlope": 2, "RescaleIntercept": -1000, "RescaleType": "US"}
    | {"WindowCenter": 2000, "WindowWidth": 4000},
    "a table": {"VOILUTSequence": table(CURVE * 4095, 12)},
    "two tables": {
        "ModalityLUTSequence": table(CURVE * 65535, 16, ModalityLUTType="US"),
        "VOILUTSequence": table(np.arange(65536) >> 4, 12),
    },
}


def state_of(writer: ResultWriter, data: bytes) -> DicomObject:
    """The presentation state of this original."""
    return next(item for item in writer.write(data, content_of()) if item.kind == ObjectKind.STATE)


def parsed_state(writer: ResultWriter, **elements: Any) -> Dataset:
    """The presentation state of an original with these elements."""
    with quiet_writing():
        return dcmread(BytesIO(state_of(writer, original(1, **elements)).data))


@pytest.mark.parametrize(("photometric", "shape"), [("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "IDENTITY")])
def test_a_state_has_the_polarity_of_its_original(writer: ResultWriter, photometric: str, shape: str) -> None:
    assert parsed_state(writer, PhotometricInterpretation=photometric).PresentationLUTShape == shape


def test_a_state_has_the_first_window_of_its_original_and_its_function(writer: ResultWriter) -> None:
    state = parsed_state(writer, WindowCenter=[1500, 9], WindowWidth=[2000, 9], VOILUTFunction="SIGMOID")
    (voi,) = state.SoftcopyVOILUTSequence
    assert (voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction) == (1500, 2000, "SIGMOID")
    assert "RescaleSlope" not in state


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 1500, "WindowWidth": 0}, {"WindowWidth": 2000}])
def test_a_state_of_an_original_without_a_valid_window_has_none(writer: ResultWriter, window: dict[str, Any]) -> None:
    assert "SoftcopyVOILUTSequence" not in parsed_state(writer, **window)


def test_a_negative_first_value_of_a_table_is_kept(writer: ResultWriter) -> None:
    (item,) = table(np.arange(40_000), 16)
    item.add(DataElement("LUTDescriptor", "SS", [40_000, -1000, 16]))
    rescaled = {"RescaleSlope": 1, "RescaleIntercept": -1000}
    (voi,) = parsed_state(writer, VOILUTSequence=[item], **rescaled).SoftcopyVOILUTSequence
    assert list(voi.VOILUTSequence[0].LUTDescriptor) == [40_000, -1000, 16]
    assert voi.VOILUTSequence[0].LUTData == np.arange(40_000).astype("<u2").tobytes()


@VIEWER
@pytest.mark.parametrize("name", ORIGINALS)
def test_a_viewer_shows_the_original_by_its_state_as_it_is_read_here(
    writer: ResultWriter, tmp_path: Path, name: str
) -> None:
    data = original(1, **ORIGINALS[name])
    for file, content in (("film.dcm", data), ("state.dcm", state_of(writer, data).data)):
        (tmp_path / file).write_bytes(content)
    checked = subprocess.run(["dciodvfy", "state.dcm"], cwd=tmp_path, capture_output=True, text=True)
    assert [line for line in checked.stderr.splitlines() if line.startswith("Error")] == []
    command = ["dcmp2pgm", "-p", "state.dcm", "film.dcm", "shown.pgm"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    shown, read = np.asarray(Image.open(tmp_path / "shown.pgm")).astype(int), Film.read(data).pixels
    assert np.ptp(read) > 100
    assert abs(shown - read).max() <= 2
