"""Names planted in twenty originals are found in the proper places of their results, and nowhere else."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import DicomDictionary
from pydicom.uid import ExplicitVRLittleEndian

from tests.support.dicom_originals import original_dataset
from tests.support.file_seeds import quiet_writing, written

COPIED = {"PatientName", "PatientID", "AccessionNumber", "StudyID", "ReferringPhysicianName", "StudyDescription"}
COPIED |= {"IssuerOfPatientID"}
TEXTS = {"LO", "SH", "PN", "LT", "ST", "UT", "UC"}
FIRST_TAG = 0x00080000  # what comes before belongs to files and messages
ORIGINALS = 20


def canary(number: int, keyword: str) -> str:
    """The text in this element of this original; short enough for every kind of element."""
    return f"QXCN{number:02}{abs(hash_of(keyword)) % 10**8:08}"


def hash_of(keyword: str) -> int:
    """A number that follows from the keyword alone."""
    return int.from_bytes(keyword.encode()[-7:], "big") * 31 + sum(keyword.encode())


def planted(number: int) -> bytes:
    """An original whose every text element has a canary of its own."""
    dataset: Dataset = original_dataset(number)
    for tag, (vr, multiplicity, _, retired, keyword) in DicomDictionary.items():
        if vr in TEXTS and multiplicity == "1" and not retired and keyword and tag > FIRST_TAG:
            setattr(dataset, keyword, canary(number, keyword))
    private = dataset.private_block(0x0011, "CANARIES", create=True)
    private.add_new(0x01, "LO", canary(number, "private"))
    with quiet_writing():
        return written(dataset, ExplicitVRLittleEndian)


def test_canaries_are_where_they_belong_and_nowhere_else(
    trained_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cxr: Callable[..., tuple[int, str, str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    home = shutil.copytree(trained_home, tmp_path / "home")
    monkeypatch.setenv("CXR_HOME", str(home))
    inbox, outbox = tmp_path / "inbox", tmp_path / "outbox"
    inbox.mkdir()
    for number in range(ORIGINALS):
        (inbox / f"{number:02}.dcm").write_bytes(planted(number))
    before = {path for path in Path(tempfile.gettempdir()).iterdir()}
    code, out, err = cxr("predict", inbox, "--dicom-out", outbox, "--show-rejected")
    assert code == 0
    results = sorted(outbox.rglob("*.dcm"))
    assert len(results) == 5 * ORIGINALS
    for path in results:
        number = int(path.parent.name[:4]) - 1
        with quiet_writing():
            made = dcmread(BytesIO(path.read_bytes()))
            found = {
                element.keyword for element in made.iterall() if element.VR in TEXTS and "QXCN" in str(element.value)
            }
            assert found <= COPIED
            assert found >= COPIED - {"IssuerOfPatientID"}
            for keyword in found:
                assert str(made[keyword].value) == canary(number, keyword)
        assert path.read_bytes().count(b"QXCN") == len(found)
    assert "QXCN" not in out + err + caplog.text
    fresh = [path for path in Path(tempfile.gettempdir()).iterdir() if path not in before and path.is_file()]
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert kept
    assert [path for path in (*kept, *fresh) if b"QXCN" in path.read_bytes()] == []
