"""`cxr predict --dicom-out`: what it writes, and what it says where there is nothing to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.dicom_originals import original
from tests.support.file_seeds import drawn, saved

pytest.importorskip("highdicom", reason="highdicom is not installed (requirements-dicom.txt)")
Cxr = Callable[..., tuple[int, str, str]]


def test_a_folder_is_written_for_each_dicom_file_and_none_for_other_images(
    trained: Path, tmp_path: Path, cxr: Cxr
) -> None:
    films = [tmp_path / "patient-name.dcm", tmp_path / "photo.png"]
    films[0].write_bytes(original(0))
    films[1].write_bytes(saved(drawn(), "PNG"))
    code, out, _ = cxr("predict", *films, "--dicom-out", tmp_path / "out", "--show-rejected")
    assert code == 0
    (folder,) = (tmp_path / "out").iterdir()
    assert len(list(folder.iterdir())) == 5
    assert "patient-name" not in folder.name
    assert "Wrote 5 DICOM objects" in out
    code, _, err = cxr("predict", films[1], "--dicom-out", tmp_path / "nothing", "--show-rejected")
    assert code == 10
    assert err
    assert not (tmp_path / "nothing").exists()
