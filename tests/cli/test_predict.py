"""Films read on the command line: as JSON, as tables, with heatmaps; and what cannot be read."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr import DISCLAIMER
from cxr.registry import registry

CLASSES = ["normal", "bacterial", "viral", "covid19"]
KEYS = {"file", "film", "label", "probabilities", "decision", "threshold", "unsure", "gate", "warnings", "model"} | {
    "timing_ms"
}


def test_a_reading_as_json_has_these_keys_and_no_others(trained, phantoms, answer):
    files = [phantoms / "images" / f"phantom-{n:05d}.png" for n in (0, 1)]
    readings = answer("predict", *files)
    assert [reading["file"] for reading in readings] == [str(file) for file in files]
    for reading in readings:
        assert set(reading) == KEYS
        assert set(reading["timing_ms"]) == {"decode", "model"}
        assert list(reading["probabilities"]) == CLASSES
        assert sum(reading["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert reading["decision"] in CLASSES and reading["label"] in CLASSES
        assert reading["model"].startswith("first@")
        assert all(milliseconds > 0 for milliseconds in reading["timing_ms"].values())


def test_a_file_that_is_no_film_ends_with_code_3_after_the_others_were_read(trained, phantoms, tmp_path, cxr):
    broken = tmp_path / "notes.png"
    broken.write_text("no film")
    films = [phantoms / "images" / "phantom-00000.png", broken, phantoms / "images" / "phantom-00001.png"]
    code, out, err = cxr("predict", *films, "--json")
    readings = json.loads(out)
    assert code == 3 and "1 of 3 files could not be read" in err and "Traceback" not in err
    assert ["decision" in reading for reading in readings] == [True, False, True]
    assert set(readings[1]) == {"file", "error"}
    code, out, _ = cxr("predict", *films)
    assert code == 3 and readings[1]["error"] in out and "not a medical device" in out
    assert cxr("predict", tmp_path / "missing.png")[0] == 3


def test_a_folder_of_films_becomes_a_table(trained, phantoms, tmp_path, cxr):
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


def test_a_folder_without_films_is_said(trained, tmp_path, cxr):
    (tmp_path / "empty").mkdir()
    code, _, err = cxr("predict", tmp_path / "empty")
    assert code == 3 and "no film" in err


def test_a_table_that_cannot_be_written_is_said(trained, phantoms, tmp_path, cxr):
    code, _, err = cxr("predict", phantoms / "images" / "phantom-00001.png", "--csv", tmp_path)
    assert code == 1 and "cannot be written" in err


def test_a_picture_that_is_no_film_is_refused_and_read_only_on_demand(trained, phantoms, tmp_path, answer, cxr):
    film, blank = phantoms / "images" / "phantom-00000.png", tmp_path / "blank.png"
    Image.new("L", (300, 300), 90).save(blank)
    sound, refused = answer("predict", film, blank)
    assert sound["decision"] and not sound["gate"]["refused"]
    assert refused["gate"]["refused"] and refused["gate"]["reasons"][0]["kind"] == "blank"
    assert refused["probabilities"] is refused["decision"] is refused["label"] is None
    assert "next to nothing" in refused["warnings"][0]
    assert sum(answer("predict", film, blank, "--insist")[1]["probabilities"].values()) == pytest.approx(1)
    code, out, _ = cxr("predict", blank)
    assert code == 0 and f"{blank}: refused" in out and "next to nothing" in out and "--insist" in out
    code, out, _ = cxr("predict", blank, "--insist")
    assert f"{blank}: refused" not in out and "normal" in out and "next to nothing" in out
    cxr("predict", film, blank, "--heatmap", tmp_path / "heat")
    assert len(list((tmp_path / "heat").iterdir())) == 1


def test_a_patient_of_an_age_that_the_model_does_not_know_is_a_warning(trained, phantoms, answer):
    film, known = phantoms / "images" / "phantom-00000.png", registry.get_card("first").ages
    within = answer("predict", film, "--age", (known.youngest + known.oldest) / 2)[0]["warnings"]
    beyond = answer("predict", film, "--age", known.oldest + 1)[0]["warnings"]
    assert within == answer("predict", film)[0]["warnings"]
    assert len(beyond) == len(within) + 1 and "years old" in beyond[-1]


def test_a_heatmap_is_the_film_with_the_model_and_what_it_is_not_under_it(trained, phantoms, tmp_path, cxr):
    film = phantoms / "images" / "phantom-00001.png"
    assert cxr("predict", film, "--heatmap", tmp_path / "new" / "heat.png")[0] == 0
    with Image.open(tmp_path / "new" / "heat.png") as picture:
        assert picture.format == "PNG" and picture.height > 64
        assert picture.text["Disclaimer"] == DISCLAIMER
        assert picture.text["Source"] == f"first, version {registry.get_card('first').version}"
        assert picture.text["Description"].startswith("Grad-CAM: what speaks for ")
        heat = np.asarray(picture)[:64, :64].astype(int)
    cold = np.abs(heat - np.asarray(Image.open(film).convert("RGB"))).max(axis=2)
    assert 0 < (cold == 0).sum() < 64 * 64, "the film as it was, but for the heat"


def test_heatmaps_of_many_films_go_to_a_folder_under_names_of_their_own(trained, phantoms, others, tmp_path, cxr):
    same_name = [folder / "images" / "phantom-00001.png" for folder in (phantoms, others / "loose")]
    assert cxr("predict", *same_name, "--heatmap", tmp_path / "heat", "--method", "scorecam")[0] == 0
    pictures = sorted((tmp_path / "heat").iterdir())
    assert [path.name for path in pictures] == ["0001-phantom-00001.png", "0002-phantom-00001.png"]
    for path, side_px in zip(pictures, (64, 48), strict=True):
        with Image.open(path) as picture:
            strip = np.asarray(picture)[side_px:]
            assert (np.asarray(picture)[:side_px, side_px:] == strip[0, 0]).all() and len(np.unique(strip)) > 2


def test_a_heatmap_that_cannot_be_written_is_said_in_a_sentence(trained, phantoms, tmp_path, cxr):
    (tmp_path / "file").write_text("")
    film = phantoms / "images" / "phantom-00001.png"
    code, _, err = cxr("predict", film, "--heatmap", tmp_path / "file" / "heat.png")
    assert code == 1 and "cannot be written" in err and "Traceback" not in err


def test_an_unknown_method_is_said_in_a_sentence(trained, phantoms, tmp_path, cxr):
    film = phantoms / "images" / "phantom-00001.png"
    code, _, err = cxr("predict", film, "--heatmap", tmp_path / "heat.png", "--method", "tea-leaves")
    assert code == 1 and "tea-leaves" in err
