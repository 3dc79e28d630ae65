"""`cxr counter-check`: checks as JSON, in words and as pictures; files that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from cxr import DISCLAIMER
from cxr.evaluation.counter_checks.changes import Change
from cxr.presentation.counter_check_text import CAVEAT
from tests.support.command_line import Answer, Cxr


def test_each_change_is_a_row_and_the_x_ray_itself_is_read_as_by_predict(
    trained: Path, phantoms: Path, answer: Answer, tmp_path: Path
) -> None:
    files = [phantoms / "images" / f"phantom-{n:05d}.png" for n in (0, 1)]
    rows = answer("counter-check", *files, "--picture", tmp_path / "checks", "--show-rejected")
    readings = answer("predict", *files, "--show-rejected")
    for row, reading in zip(rows, readings, strict=True):
        assert row["probability"] == pytest.approx(1 - reading["probabilities"]["normal"], abs=1e-4)
        assert {check["change"] for check in row["checks"]} | set(row["not_made"]) == {
            change.value for change in Change
        }
    pictures = sorted((tmp_path / "checks").iterdir())
    assert [path.suffix for path in pictures] == [".png", ".png"]
    with Image.open(pictures[0]) as picture:
        assert picture.info["Disclaimer"] == DISCLAIMER


def test_a_class_an_unreadable_file_and_a_wrong_picture(
    trained: Path, phantoms: Path, tmp_path: Path, cxr: Cxr
) -> None:
    film, broken = phantoms / "images" / "phantom-00000.png", tmp_path / "notes.png"
    broken.write_text("no film")
    code, out, err = cxr("counter-check", film, broken, "--class", "viral", "--show-rejected", "--json")
    rows = json.loads(out)
    assert code == 3
    assert "1 of 2" in err
    assert rows[0]["target"] == "viral"
    assert set(rows[1]) == {"file", "error"}
    code, out, _ = cxr("counter-check", film, "--show-rejected")
    assert code == 0
    assert CAVEAT in out
    assert DISCLAIMER in out
    assert cxr("counter-check", film, "--class", "pneumothorax")[0] == 1
    assert cxr("counter-check", film, "--picture", film)[0] == 1
