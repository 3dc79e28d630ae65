"""`cxr predict`: predictions as JSON, as text, as a table and with heatmaps; files that cannot be read."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from cxr import DISCLAIMER
from cxr.cli.predict import REJECTED
from cxr.core.number_format import probability
from cxr.registry import registry
from tests.support.command_line import Answer, Cxr

CLASSES = ["normal", "bacterial", "viral", "covid19"]
KEYS = {"file", "film", "label", "probabilities", "decision", "threshold", "unsure", "gate", "warnings", "model"} | {
    "timing_ms"
}


def test_the_json_of_a_reading_has_these_keys_and_no_others(trained: Path, phantoms: Path, answer: Answer) -> None:
    files = [phantoms / "images" / f"phantom-{n:05d}.png" for n in (0, 1)]
    readings = answer("predict", *files)
    assert [reading["file"] for reading in readings] == [str(file) for file in files]
    for reading in readings:
        assert set(reading) == KEYS
        assert set(reading["timing_ms"]) == {"decode", "model"}
        assert list(reading["probabilities"]) == CLASSES
        assert sum(reading["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert reading["decision"] in CLASSES
        assert reading["label"] in CLASSES
        assert reading["model"].startswith("first@")
        assert all(milliseconds > 0 for milliseconds in reading["timing_ms"].values())


def test_an_unreadable_file_sets_exit_code_3_after_the_others_are_read(
    trained: Path, phantoms: Path, tmp_path: Path, cxr: Cxr
) -> None:
    broken = tmp_path / "notes.png"
    broken.write_text("no film")
    films = [phantoms / "images" / "phantom-00000.png", broken, phantoms / "images" / "phantom-00001.png"]
    code, out, err = cxr("predict", *films, "--json")
    readings = json.loads(out)
    assert code == 3
    assert "1 of 3 files" in err
    assert "Traceback" not in err
    assert ["decision" in reading for reading in readings] == [True, False, True]
    assert set(readings[1]) == {"file", "error"}
    code, out, _ = cxr("predict", *films)
    assert code == 3
    assert readings[1]["error"] in out
    assert DISCLAIMER in out
    line = next(line for line in out.splitlines() if line.startswith(f"{films[0]}: "))
    assert "(threshold " in line
    assert f"Normal {probability(readings[0]['probabilities']['normal'])}, " in line
    assert cxr("predict", tmp_path / "missing.png")[0] == 3


def test_a_folder_of_x_rays_becomes_a_table(trained: Path, phantoms: Path, tmp_path: Path, cxr: Cxr) -> None:
    films = sorted((phantoms / "images").iterdir())[:3]
    for film in films:
        (tmp_path / "films" / film.stem).mkdir(parents=True)
        (tmp_path / "films" / film.stem / film.name).write_bytes(film.read_bytes())
    (tmp_path / "films" / "notes.txt").write_text("not a film")
    assert cxr("predict", tmp_path / "films", "--csv", tmp_path / "readings.csv")[0] == 0
    with (tmp_path / "readings.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["file"]).name for row in rows] == [film.name for film in films]
    assert all(row["decision"] in CLASSES and 0 <= float(row["p_normal"]) <= 1 for row in rows)


@pytest.mark.parametrize(
    ("inputs", "option", "output"),
    [
        ("films/a.png", "--csv", "films/a.png"),
        ("films/a.png", "--heatmap", "films/../films/a.png"),
        ("one", "--heatmap", "one/only.png"),
        ("films", "--csv", "films/b.png"),
        ("films", "--heatmap", "films"),
    ],
)
def test_an_x_ray_is_never_overwritten(
    trained: Path, phantoms: Path, tmp_path: Path, cxr: Cxr, inputs: str, option: str, output: str
) -> None:
    data = (phantoms / "images" / "phantom-00000.png").read_bytes()
    for name in ("films/a.png", "films/b.png", "films/0003-b.png", "one/only.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    code, _, err = cxr("predict", tmp_path / inputs, option, tmp_path / output, "--show-rejected")
    assert code == 1
    assert option in err
    assert {path.read_bytes() for path in tmp_path.rglob("*.png")} == {data}


def test_hidden_files_of_a_folder_are_left_out(trained: Path, phantoms: Path, tmp_path: Path, answer: Answer) -> None:
    data = (phantoms / "images" / "phantom-00000.png").read_bytes()
    folder = tmp_path / "folder"
    for name in ("film.png", ".DS_Store", "._film.png", ".trash/film.png"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(data if name == "film.png" else b"x")
    (reading,) = answer("predict", folder)
    assert reading["file"] == str(folder / "film.png")


def test_a_folder_without_x_rays_is_an_error(trained: Path, tmp_path: Path, cxr: Cxr) -> None:
    (tmp_path / "empty").mkdir()
    assert cxr("predict", tmp_path / "empty")[0] == 3


def test_a_table_that_cannot_be_written_is_an_error(trained: Path, phantoms: Path, tmp_path: Path, cxr: Cxr) -> None:
    code, _, err = cxr("predict", phantoms / "images" / "phantom-00001.png", "--csv", tmp_path)
    assert code == 1
    assert f"Cannot write {tmp_path}" in err


@pytest.mark.parametrize("option", ["--show-rejected", "--insist"], ids=["present name", "name in version 0.1"])
def test_a_rejected_image_has_a_prediction_only_on_request(
    trained: Path, phantoms: Path, tmp_path: Path, answer: Answer, cxr: Cxr, option: str
) -> None:
    film, blank = phantoms / "images" / "phantom-00000.png", tmp_path / "blank.png"
    Image.new("L", (300, 300), 90).save(blank)
    sound, refused = answer("predict", film, blank)
    assert sound["decision"]
    assert not sound["gate"]["refused"]
    assert refused["gate"]["refused"]
    assert refused["gate"]["reasons"][0]["kind"] == "blank"
    assert refused["probabilities"] is refused["decision"] is refused["label"] is None
    reason = refused["warnings"][0]
    assert sum(answer("predict", film, blank, option)[1]["probabilities"].values()) == pytest.approx(1)
    code, out, _ = cxr("predict", blank)
    assert code == 0
    assert f"{blank}: {REJECTED}" in out
    assert reason in out
    assert "--show-rejected" in out
    code, out, _ = cxr("predict", blank, option)
    assert REJECTED not in out
    assert "Normal" in out
    assert reason in out
    cxr("predict", film, blank, "--heatmap", tmp_path / "heatmaps")
    assert len(list((tmp_path / "heatmaps").iterdir())) == 1


def test_an_age_outside_the_training_data_is_a_warning(trained: Path, phantoms: Path, answer: Answer) -> None:
    film, known = phantoms / "images" / "phantom-00000.png", registry.get_card("first").ages
    assert known
    within = answer("predict", film, "--age", (known.youngest + known.oldest) / 2)[0]["warnings"]
    beyond = answer("predict", film, "--age", known.oldest + 1)[0]["warnings"]
    assert within == answer("predict", film)[0]["warnings"]
    assert len(beyond) == len(within) + 1


def test_a_heatmap_file_names_the_model_and_has_the_disclaimer(
    trained: Path, phantoms: Path, tmp_path: Path, cxr: Cxr
) -> None:
    film = phantoms / "images" / "phantom-00001.png"
    assert cxr("predict", film, "--heatmap", tmp_path / "new" / "heat.png")[0] == 0
    with PngImageFile(tmp_path / "new" / "heat.png") as picture:
        assert picture.height > 64
        assert picture.text["Disclaimer"] == DISCLAIMER
        assert picture.text["Source"] == f"first, version {registry.get_card('first').version}"
        assert picture.text["Description"].startswith("Grad-CAM: ")
        overlay = np.asarray(picture)[:64, :64].astype(int)
    difference = np.abs(overlay - np.asarray(Image.open(film).convert("RGB"))).max(axis=2)
    assert 0 < (difference == 0).sum() < 64 * 64  # the X-ray is unchanged where there is no heatmap


def test_heatmaps_of_several_x_rays_are_numbered_files_in_a_folder(
    trained: Path, phantoms: Path, others: Path, tmp_path: Path, cxr: Cxr
) -> None:
    same_name = [folder / "images" / "phantom-00001.png" for folder in (phantoms, others / "loose")]
    assert cxr("predict", *same_name, "--heatmap", tmp_path / "heat", "--method", "scorecam")[0] == 0
    pictures = sorted((tmp_path / "heat").iterdir())
    assert [path.name for path in pictures] == ["0001-phantom-00001.png", "0002-phantom-00001.png"]
    for path, side_px in zip(pictures, (64, 48), strict=True):
        with Image.open(path) as picture:
            strip = np.asarray(picture)[side_px:]
            assert (np.asarray(picture)[:side_px, side_px:] == strip[0, 0]).all()
            assert len(np.unique(strip)) > 2


def test_a_heatmap_that_cannot_be_written_is_an_error(trained: Path, phantoms: Path, tmp_path: Path, cxr: Cxr) -> None:
    (tmp_path / "file").write_text("")
    film = phantoms / "images" / "phantom-00001.png"
    code, _, err = cxr("predict", film, "--heatmap", tmp_path / "file" / "heat.png")
    assert code == 1
    assert f"Cannot write {tmp_path}" in err
    assert "Traceback" not in err


def test_an_unknown_heatmap_method_is_an_error(trained: Path, phantoms: Path, tmp_path: Path, cxr: Cxr) -> None:
    film = phantoms / "images" / "phantom-00001.png"
    code, _, err = cxr("predict", film, "--heatmap", tmp_path / "heat.png", "--method", "tea-leaves")
    assert code == 1
    assert "tea-leaves" in err
