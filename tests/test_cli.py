"""The command line from one end to the other, on drawn films: what it says, and the code it ends with."""

import csv
import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from PIL import Image

from cxr.cli import main
from cxr.films.phantom import draw_phantom_set
from cxr.home import evaluations_dir
from cxr.judging import shortcuts
from cxr.judging.kept import kept
from cxr.learning import runs
from cxr.learning.runs import Job, Status
from cxr.reading import shelf
from tests.conftest import tiny_recipe

CLASSES = ["normal", "bacterial", "viral", "covid19"]
KEYS = {"file", "film", "label", "probabilities", "decision", "threshold", "unsure", "gate", "warnings", "model"} | {
    "timing_ms"
}


@pytest.fixture
def cxr(capsys):
    """Calls the command line: exit code, standard output, standard error."""

    def call(*words):
        try:
            main([str(word) for word in words])
            code = 0
        except SystemExit as end:
            code = end.code or 0
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def answer(cxr):
    """What a command prints as JSON, which must be strict, as it ends well."""

    def call(*words):
        code, out, err = cxr(*words, "--json")
        assert code == 0, err
        return json.loads(out, parse_constant=pytest.fail)

    return call


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    path.write_text(tiny_recipe(head={"dense": [32]}, training={"epochs": 2}).to_toml())
    return path


@pytest.fixture(scope="module")
def trained_home(tmp_path_factory, phantoms, recipe):
    """A home with one model that a process of its own has trained; not to be changed."""
    home = tmp_path_factory.mktemp("trained") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXR_HOME", str(home))
        patch.setattr(sys, "argv", ["cxr", "train", str(recipe), "--data", str(phantoms), "--name", "first"])
        with pytest.raises(SystemExit) as end:
            main()
    assert not end.value.code
    return home


@pytest.fixture
def trained(trained_home, tmp_path, monkeypatch):
    """A copy of that home for this test alone."""
    home = shutil.copytree(trained_home, tmp_path / "home")
    monkeypatch.setenv("CXR_HOME", str(home))
    return home


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Two sets of films that no model was trained on: one with test films, one that places none."""
    folder = tmp_path_factory.mktemp("others")
    draw_phantom_set(folder / "placed", 16, seed=5, size_px=48)
    draw_phantom_set(folder / "loose", 12, seed=6, size_px=48, test_share=0)
    return folder


def rows_of(manifest):
    with (manifest / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def wait_for(true, seconds=90):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def ended_run(state="stopped", **facts):
    run = runs.create(Job("", (), None), "tiny")
    run.write_status(Status(state, **facts))
    return run


def test_a_training_puts_a_model_on_the_shelf_and_into_use(trained, answer, cxr):
    listed = answer("models", "list")
    assert [(model["name"], model["default"]) for model in listed["models"]] == [("first", True)]
    card = answer("models", "show", "first")
    assert card["classes"] == CLASSES and card["epochs"] == 2 and card["size_px"] == 32
    assert card["films"]["test"] == dict.fromkeys(CLASSES, 10)
    assert card["results"]["test"]["n"] == 40
    assert 0 < card["threshold"] < 1 and card["threshold_rule"]
    assert cxr("models", "list")[1].startswith("* first")
    assert "first" in cxr("models", "show", "first")[1]


def test_a_training_leaves_a_finished_run_with_its_history(trained, answer, cxr):
    (run,) = answer("runs", "list")
    assert run["state"] == "finished" and run["model"] == "first"
    shown = answer("runs", "show", run["run"][:12])
    assert [row["epoch"] for row in shown["history"]] == [1, 2]
    assert any("Ended after epoch 2" in line for line in shown["log"])
    code, out, _ = cxr("runs", "show", run["run"])
    assert code == 0 and "finished" in out and "on the shelf as 'first'" in out
    assert "finished" in cxr("runs", "list")[1]


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
    film, known = phantoms / "images" / "phantom-00000.png", shelf.card("first").ages
    within = answer("predict", film, "--age", (known.youngest + known.oldest) / 2)[0]["warnings"]
    beyond = answer("predict", film, "--age", known.oldest + 1)[0]["warnings"]
    assert within == answer("predict", film)[0]["warnings"]
    assert len(beyond) == len(within) + 1 and "years old" in beyond[-1]


def test_a_model_on_the_shelf_is_given_a_gate(trained, phantoms, tmp_path, cxr):
    code, out, _ = cxr("models", "gate", "first", "--data", phantoms)
    assert code == 0 and "'first' has a gate" in out and "validation films" in out
    code, _, err = cxr("models", "gate", "absent", "--data", phantoms)
    assert code == 7 and "absent" in err


def test_a_heatmap_has_the_films_size(trained, phantoms, tmp_path, cxr):
    film = phantoms / "images" / "phantom-00001.png"
    assert cxr("predict", film, "--heatmap", tmp_path / "new" / "heat.png")[0] == 0
    with Image.open(tmp_path / "new" / "heat.png") as picture:
        assert picture.size == (64, 64) and picture.format == "PNG"


def test_heatmaps_of_many_films_go_to_a_folder_under_names_of_their_own(trained, phantoms, others, tmp_path, cxr):
    same_name = [folder / "images" / "phantom-00001.png" for folder in (phantoms, others / "loose")]
    assert cxr("predict", *same_name, "--heatmap", tmp_path / "heat", "--method", "scorecam")[0] == 0
    pictures = sorted((tmp_path / "heat").iterdir())
    assert [path.name for path in pictures] == ["0001-phantom-00001.png", "0002-phantom-00001.png"]
    for path, side_px in zip(pictures, (64, 48), strict=True):
        with Image.open(path) as picture:
            assert picture.size == (side_px, side_px)


def test_a_heatmap_that_cannot_be_written_is_said_in_a_sentence(trained, phantoms, tmp_path, cxr):
    (tmp_path / "file").write_text("")
    film = phantoms / "images" / "phantom-00001.png"
    code, _, err = cxr("predict", film, "--heatmap", tmp_path / "file" / "heat.png")
    assert code == 1 and "cannot be written" in err and "Traceback" not in err


def test_an_unknown_method_is_said_in_a_sentence(trained, phantoms, tmp_path, cxr):
    film = phantoms / "images" / "phantom-00001.png"
    code, _, err = cxr("predict", film, "--heatmap", tmp_path / "heat.png", "--method", "tea-leaves")
    assert code == 1 and "tea-leaves" in err


def test_the_films_of_its_training_judge_a_model_by_its_test_films_alone(trained, phantoms, tmp_path, answer, cxr):
    scores = tmp_path / "scores.csv"
    found = answer("evaluate", "--data", phantoms, "--scores", scores)
    assert {"n", "classes", "accuracy", "auc", "macro_f1", "confusion"} <= set(found)
    assert found["n"] == 40 and found["classes"] == CLASSES and found["unreadable"] == {}
    tested = {row["path"] for row in rows_of(phantoms) if row["split"] == "test"}
    assert not evaluations_dir().exists()  # nothing is kept unasked
    with scores.open(newline="") as file:
        assert {row["path"] for row in csv.DictReader(file)} == tested
    code, out, _ = cxr("evaluate", "--data", phantoms)
    assert code == 0 and "40 films" in out


def test_an_evaluation_has_intervals_and_groups_where_they_are_asked_for(trained, phantoms, answer, cxr):
    plain = answer("evaluate", "--data", phantoms)
    assert "intervals" not in plain and "groups" not in plain
    found = answer("evaluate", "--data", phantoms, "--intervals", "--by", "sex")
    assert {key: found[key] for key in plain} == plain
    assert found["intervals"]["accuracy"]["value"] == pytest.approx(plain["accuracy"])
    assert found["intervals"]["accuracy"]["low"] < plain["accuracy"] < found["intervals"]["accuracy"]["high"]
    assert found["sure"] is None and found["groups"]["column"] == "sex"  # so few validation films give no band
    assert sum(group["n"] for group in found["groups"]["groups"]) == plain["n"]
    code, out, _ = cxr("evaluate", "--data", phantoms, "--intervals", "--by", "source")
    assert code == 0 and "binary.sensitivity" in out and "source phantom: 40 films" in out and " to " in out
    card = trained / "models" / "first" / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"unsure": [0.0, 2.0], "unsure_rule": "all"}))
    assert answer("evaluate", "--data", phantoms, "--intervals")["sure"]["n"] == 0
    assert "outside of the unsure band: 0 films" in cxr("evaluate", "--data", phantoms, "--intervals")[1]
    assert all(reading["unsure"] for reading in answer("predict", phantoms / "images" / "phantom-00001.png"))
    assert "(unsure)" in cxr("predict", phantoms / "images" / "phantom-00001.png")[1]
    code, _, err = cxr("evaluate", "--data", phantoms, "--by", "colour")
    assert code == 4 and "no column 'colour'" in err


def test_two_models_are_compared_on_films_or_by_their_stored_scores(trained, phantoms, tmp_path, answer, cxr):
    assert cxr("models", "export", "first", tmp_path / "first.zip")[0] == 0
    assert cxr("models", "import", tmp_path / "first.zip", "--name", "second")[0] == 0
    for where in (["--stored"], ["--data", phantoms]):
        found = answer("compare", "first", "second", *where)
        assert (found["n"], found["question"], found["left_out"]) == (40, "class", 0)
        assert found["accuracy_difference"] == {"value": 0, "low": 0, "high": 0}
        assert (found["mcnemar_p"], found["delong_p"], found["differing"]) == (1, None, [])
    code, out, _ = cxr("compare", "first", "second", "--stored")
    assert code == 0 and "40 films" in out and "difference: 0.000 (0.000 to 0.000)" in out
    assert cxr("compare", "first", "second")[0] == 2
    assert cxr("compare", "first", "second", "--stored", "--data", phantoms)[0] == 2
    assert cxr("compare", "first", "third", "--stored")[0] == 7


def test_an_evaluation_is_kept_for_the_page_when_asked(trained, others, answer):
    found = answer("evaluate", "--data", others / "placed", "--split", "all", "--keep")
    stored = kept(shelf.card("first"))[-1]
    assert (stored.name, len(stored.scores())) == ("placed, all films", found["n"])


def test_foreign_films_judge_a_model_by_those_placed_in_test_or_all(trained, others, answer):
    placed = sum(row["split"] == "test" for row in rows_of(others / "placed"))
    assert 0 < placed < 16
    assert answer("evaluate", "--data", others / "placed")["n"] == placed
    assert answer("evaluate", "--data", others / "loose")["n"] == 12
    assert answer("evaluate", "--data", others / "placed", "--split", "all")["n"] == 16
    assert answer("evaluate", "--data", others / "placed", "--data", others / "loose")["n"] == placed + 12


def test_films_that_cannot_be_read_are_left_out_of_an_evaluation_and_named(trained, others, tmp_path, answer, cxr):
    folder = shutil.copytree(others / "loose", tmp_path / "torn")
    (folder / "images" / "phantom-00003.png").write_bytes(b"torn")
    found = answer("evaluate", "--data", folder)
    assert found["n"] == 11 and list(found["unreadable"]) == ["images/phantom-00003.png"]
    code, _, err = cxr("evaluate", "--data", folder)
    assert code == 0 and "Left out images/phantom-00003.png" in err


def test_models_are_promoted_rolled_back_deleted_exported_and_imported(trained, tmp_path, answer, cxr):
    def in_use():
        return [model["name"] for model in answer("models", "list")["models"] if model["default"]]

    assert cxr("models", "export", "first", tmp_path / "first.zip")[0] == 0
    assert cxr("models", "import", tmp_path / "first.zip")[0] == 7  # the name is taken
    assert cxr("models", "import", tmp_path / "first.zip", "--name", "second")[0] == 0
    assert in_use() == ["first"]
    assert cxr("models", "promote", "second")[0] == 0 and in_use() == ["second"]
    code, _, err = cxr("models", "delete", "second")
    assert code == 7 and "in use" in err
    assert cxr("models", "rollback")[0] == 0 and in_use() == ["first"]
    assert cxr("models", "rollback")[0] == 7
    assert cxr("models", "delete", "second")[0] == 0
    assert [model["name"] for model in answer("models", "list")["models"]] == ["first"]
    assert cxr("models", "promote", "second")[0] == 7
    assert cxr("models", "show", "second")[0] == 7
    assert cxr("models", "rename", "first", "prime")[0] == 0 and in_use() == ["prime"]
    assert cxr("models", "rename", "first", "other")[0] == 7
    code, said, _ = cxr("models", "export", "prime", tmp_path / "prime.keras", "--format", "keras")
    assert code == 0 and "probabilities of" in said and (tmp_path / "prime.keras").stat().st_size > 1000
    assert cxr("models", "rename", "prime", "first")[0] == 0
    assert cxr("predict", "film.png", "--model", "second")[0] == 7


def test_an_empty_shelf_is_said_in_a_sentence(home, answer, cxr):
    assert answer("models", "list") == {"models": [], "damaged": {}}
    assert "The shelf is empty" in cxr("models", "list")[1]
    code, _, err = cxr("predict", "film.png")
    assert code == 7 and "no model on the shelf" in err
    assert cxr("evaluate", "--data", "films")[0] == 7


def test_a_name_that_is_taken_is_refused_before_anything_starts(trained, phantoms, recipe, cxr):
    code, _, err = cxr("train", recipe, "--data", phantoms, "--name", "first")
    assert code == 7 and "already a model 'first'" in err
    assert len(runs.all_runs()) == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["train", "no-such-recipe", "--data", "."], 5),
        (["train", "vgg16-default", "--data", ".", "--set", "head.colour=red"], 5),
        (["train", "vgg16-default", "--data", "no-such-folder"], 4),
        (["audit", "no-such-folder"], 4),
        (["runs", "show", "no-such-run"], 6),
        (["runs", "stop", "no-such-run"], 6),
        (["models", "import", "no-such-file.zip"], 7),
        (["train"], 2),
        (["crossval", "vgg16-default", "--data", ".", "--folds", "1"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_every_family_of_errors_has_its_code_and_one_sentence(home, tmp_path, monkeypatch, cxr, words, code):
    monkeypatch.chdir(tmp_path)
    ended, out, err = cxr(*words)
    assert ended == code and out == ""
    assert "Traceback" not in err
    if code != 2:
        assert err.startswith("Error: ") and err.strip().endswith((".", ")")) and "\n" not in err.strip()
    assert runs.all_runs() == []


@pytest.mark.parametrize(
    "words", [["--debug", "train", "none", "--data", "."], ["train", "none", "--data", ".", "--debug"]]
)
def test_debug_shows_where_an_error_arose(tmp_path, words):
    def run(*arguments):
        command = [sys.executable, "-m", "cxr", *arguments]
        environment = os.environ | {"CXR_HOME": str(tmp_path)}
        project = Path(__file__).parents[1]
        return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)

    quiet = run(*[word for word in words if word != "--debug"])
    assert quiet.returncode == 5 and "Traceback" not in quiet.stderr and "There is no recipe 'none'" in quiet.stderr
    loud = run(*words)
    assert loud.returncode != 0 and "Traceback" in loud.stderr and "RecipeError" in loud.stderr


def test_an_audit_is_printed_and_given_as_json(phantoms, others, answer, cxr):
    found = answer("audit", others / "placed", others / "loose")
    assert found["films"] == 28
    code, out, _ = cxr("audit", phantoms)
    assert code == 0 and out.startswith("160 films")


def test_a_model_is_audited_for_shortcuts_and_the_audit_kept(trained, phantoms, answer, cxr):
    code, out, err = cxr("audit-model", "first", "--data", phantoms)
    assert code == 0 and err == ""
    assert out.startswith("No shortcut found on 160 films of 120 patients.\n  because: With the lungs hidden")
    roles = {role: sum(of.values()) for role, of in shelf.card("first").films.items()}
    for words in (
        f"(test {roles['test']}, val {roles['val']}, train {roles['train']})",
        "lungs by their outlines",
        "  lungs hidden  ",
        "heat of viral in the out",
    ):
        assert words in out
    said = answer("audit-model", "first", "--data", phantoms)
    assert said["verdict"]["level"] == "none found" and said["model"] == shelf.card("first").version
    assert said == shortcuts.kept(shelf.card("first")).as_dict() | {"made": said["made"]}


def test_an_audit_of_a_model_without_films_enough_is_refused_in_a_sentence(trained, others, cxr):
    code, out, err = cxr("audit-model", "first", "--data", others / "loose")
    assert (code, out) == (4, "") and "10 patients each" in err
    assert shortcuts.kept(shelf.card("first")) is None
    assert cxr("audit-model", "nobody", "--data", others / "loose")[0] == 7


def test_a_plant_is_drawn_where_it_is_asked_for(tmp_path, cxr):
    assert cxr("phantom", tmp_path / "plain", "--films", 8, "--size", 32)[0] == 0
    assert cxr("phantom", tmp_path / "with", "--films", 8, "--size", 32, "--plant", "border")[0] == 0
    normal, viral = (f"images/phantom-0000{n}.png" for n in (0, 2))
    assert (tmp_path / "plain" / normal).read_bytes() == (tmp_path / "with" / normal).read_bytes()
    assert (tmp_path / "plain" / viral).read_bytes() != (tmp_path / "with" / viral).read_bytes()
    assert cxr("phantom", tmp_path / "other", "--plant", "ivy")[0] == 2


def test_phantoms_are_drawn_to_a_new_folder_only(tmp_path, cxr):
    assert cxr("phantom", tmp_path / "films", "--films", "8", "--size", "32")[0] == 0
    assert len(rows_of(tmp_path / "films")) == 8
    assert cxr("phantom", tmp_path / "films", "--films", "8", "--size", "32")[0] == 4


def test_a_cross_validation_holds_every_training_film_out_once(home, phantoms, recipe, answer):
    found = answer("crossval", recipe, "--data", phantoms, "--folds", "2", "--set", "training.epochs=1")
    assert sum(fold["n"] for fold in found["folds"]) == sum(row["split"] == "train" for row in rows_of(phantoms))
    accuracies = [fold["accuracy"] for fold in found["folds"]]
    assert found["spread"]["accuracy"]["mean"] == pytest.approx(sum(accuracies) / 2)
    assert found["spread"]["accuracy"]["sd"] == pytest.approx(abs(accuracies[0] - accuracies[1]) / math.sqrt(2))
    assert answer("models", "list")["models"] == []
    assert [run.status.state for run in runs.all_runs()] == ["finished", "finished"]


def test_a_run_whose_figures_are_no_numbers_is_still_strict_json(home, answer):
    run = ended_run()
    run.write_history([{"epoch": 1.0, "loss": 0.5, "val_auc": float("nan")}])
    assert answer("runs", "show", run.id)["history"] == [{"epoch": 1.0, "loss": 0.5, "val_auc": None}]


def test_runs_are_stopped_resumed_and_deleted_only_when_that_makes_sense(home, cxr):
    finished = ended_run("finished")
    assert cxr("runs", "stop", finished.id)[0] == 6
    assert cxr("runs", "resume", finished.id)[0] == 6
    waiting = runs.create(Job("", (), None), "waiting")
    code, _, err = cxr("runs", "delete", waiting.id)
    assert code == 6 and "stop it first" in err
    assert cxr("runs", "stop", waiting.id)[0] == 0 and (waiting.folder / "stop").exists()
    assert cxr("runs", "delete", finished.id)[0] == 0
    assert runs.all_runs() == [waiting]


def start_long_run(answer, phantoms, recipe, epochs):
    """A run of its own process that is in its second epoch or later."""
    long = ("--set", f"training.epochs={epochs}", "--set", "training.steps_per_epoch=50")
    run = runs.find(answer("train", recipe, "--data", phantoms, "--name", "long", "--detach", *long)["run"])
    wait_for(lambda: not run.status.alive or run.history())
    return run


def test_a_run_killed_in_the_middle_of_an_epoch_goes_on_to_its_end(home, phantoms, recipe, answer):
    run = start_long_run(answer, phantoms, recipe, epochs=12)
    psutil.Process(run.status.pid).kill()
    wait_for(lambda: not run.status.alive)
    assert run.status.state == "interrupted" and run.status.phase == "training"
    before = run.history()
    assert 1 <= len(before) < 12
    said = answer("runs", "resume", run.id)
    assert said["state"] == "finished" and said["model"] == "long"
    assert [row["epoch"] for row in run.history()] == list(range(1, 13))
    assert run.history()[: len(before)] == before  # what was done was not done again


def test_a_run_stopped_in_the_middle_leaves_its_best_so_far(home, phantoms, recipe, answer, cxr):
    run = start_long_run(answer, phantoms, recipe, epochs=1000)
    wait_for(lambda: run.status.epoch >= 2 and run.status.done > 0)  # seen at a heartbeat
    assert run.status.state == "working" and run.status.total == 50
    assert cxr("runs", "stop", run.id)[0] == 0
    wait_for(lambda: not run.status.alive)
    assert run.status.state == "stopped" and run.status.model == "long"
    done = len(run.history())
    card = answer("models", "show", "long")
    best = min(run.history(), key=lambda row: row["val_loss"])
    assert 1 <= done < 1000 and (card["epochs"], card["best_epoch"]) == (done, best["epoch"])
