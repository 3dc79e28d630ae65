"""`cxr predict --dicom-out`: what it writes, and what it says where there is nothing to write."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from cxr.core.errors import ExchangeError
from cxr.films.film import film_id
from tests.support.dicom_originals import original
from tests.support.file_seeds import drawn, saved

pytest.importorskip("highdicom", reason="highdicom is not installed (requirements-dicom.txt)")
from cxr.exchange.dicom_results.writing import require_same_file  # noqa: E402

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


def test_an_x_ray_without_a_study_costs_its_own_results_alone(trained: Path, tmp_path: Path, cxr: Cxr) -> None:
    films = [tmp_path / f"{number}.dcm" for number in range(3)]
    for number, film in enumerate(films):
        film.write_bytes(original(number) if number != 1 else without_study(original(number)))
    code, out, err = cxr(
        "predict", *films, "--dicom-out", tmp_path / "out", "--csv", tmp_path / "a.csv", "--show-rejected"
    )
    assert code == 10
    assert "1 DICOM X-ray" in err
    assert [f"{film}: " in out for film in films] == [True, True, True]
    assert sorted(folder.name[:4] for folder in (tmp_path / "out").iterdir()) == ["0001", "0003"]
    assert len((tmp_path / "a.csv").read_text("utf-8").splitlines()) == 4


def test_a_file_that_is_replaced_after_it_was_read_gets_no_result() -> None:
    require_same_file(original(0), film_id(original(0)))
    require_same_file(original(0), f"{film_id(original(0))}-flipped")
    with pytest.raises(ExchangeError) as error:
        require_same_file(original(1), film_id(original(0)))
    assert error.value.code == "exchange.changed"


def without_study(data: bytes) -> bytes:
    dataset = dcmread(BytesIO(data))
    del dataset.StudyInstanceUID
    changed = BytesIO()
    dataset.save_as(changed)
    return changed.getvalue()
