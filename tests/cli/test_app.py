"""The command line from one end to the other, on drawn films: what it says, and the code it ends with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cxr.jobs import run_store
from tests.support.files import rows_of


def test_a_model_on_the_shelf_is_given_a_gate(trained, phantoms, tmp_path, cxr):
    code, out, _ = cxr("models", "gate", "first", "--data", phantoms)
    assert code == 0 and "'first' has a gate" in out and "validation films" in out
    code, _, err = cxr("models", "gate", "absent", "--data", phantoms)
    assert code == 7 and "absent" in err


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


def test_what_is_done_on_the_shelf_is_answered_in_json(trained, tmp_path, answer):
    zipped, network = str(tmp_path / "first.zip"), str(tmp_path / "first.keras")
    assert answer("models", "export", "first", zipped) == {"model": "first", "file": zipped}
    assert answer("models", "export", "first", network, "--format", "keras") == {"model": "first", "file": network}
    assert answer("models", "import", zipped, "--name", "second") == {"model": "second"}
    assert answer("models", "promote", "second") == {"model": "second"}
    assert answer("models", "rollback") == {"model": "first"}
    assert answer("models", "rename", "second", "third") == {"model": "third"}
    assert answer("models", "delete", "third") == {"model": "third"}


def test_a_gate_that_is_given_is_answered_in_json(trained, phantoms, answer):
    given = answer("models", "gate", "first", "--data", phantoms)
    assert given == {"model": "first", "gate": answer("models", "show", "first")["gate"]}
    assert given["gate"]["let_through"] <= given["gate"]["held_out"]


def test_an_empty_shelf_is_said_in_a_sentence(home, answer, cxr):
    assert answer("models", "list") == {"models": [], "damaged": {}}
    assert "The shelf is empty" in cxr("models", "list")[1]
    code, _, err = cxr("predict", "film.png")
    assert code == 7 and "no model on the shelf" in err
    assert cxr("evaluate", "--data", "films")[0] == 7


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
    assert run_store.all_runs() == []


@pytest.mark.parametrize(
    "words", [["--debug", "train", "none", "--data", "."], ["train", "none", "--data", ".", "--debug"]]
)
def test_debug_shows_where_an_error_arose(tmp_path, words):
    def run(*arguments):
        command = [sys.executable, "-m", "cxr", *arguments]
        environment = os.environ | {"CXR_HOME": str(tmp_path)}
        project = Path(__file__).parents[2]
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


def test_a_plant_is_drawn_where_it_is_asked_for(tmp_path, cxr):
    assert cxr("phantom", tmp_path / "plain", "--films", 8, "--size", 32)[0] == 0
    assert cxr("phantom", tmp_path / "with", "--films", 8, "--size", 32, "--plant", "border")[0] == 0
    normal, viral = (f"images/phantom-0000{n}.png" for n in (0, 2))
    assert (tmp_path / "plain" / normal).read_bytes() == (tmp_path / "with" / normal).read_bytes()
    assert (tmp_path / "plain" / viral).read_bytes() != (tmp_path / "with" / viral).read_bytes()
    assert cxr("phantom", tmp_path / "other", "--plant", "ivy")[0] == 2


def test_drawn_phantoms_are_answered_in_json(tmp_path, answer):
    drawn = answer("phantom", tmp_path / "films", "--films", 8, "--size", 32)
    assert drawn == {"dataset": str(tmp_path / "films"), "films": 8}


def test_phantoms_are_drawn_to_a_new_folder_only(tmp_path, cxr):
    assert cxr("phantom", tmp_path / "films", "--films", "8", "--size", "32")[0] == 0
    assert len(rows_of(tmp_path / "films")) == 8
    assert cxr("phantom", tmp_path / "films", "--films", "8", "--size", "32")[0] == 4
