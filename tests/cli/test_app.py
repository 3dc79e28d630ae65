"""The command line as a whole: exit codes, error messages, and --debug."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cxr.jobs import run_store
from tests.support.command_line import Cxr

PROJECT = Path(__file__).parents[2]


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
        (["predict", "film.png", "--model", "no-such-model"], 7),
        (["train"], 2),
        (["crossval", "vgg16-default", "--data", ".", "--folds", "1"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_every_family_of_errors_has_its_exit_code_and_one_sentence(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cxr: Cxr, words: list[str], code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    ended, out, err = cxr(*words)
    assert (ended, out) == (code, "")
    assert "Traceback" not in err
    if code != 2:
        assert err.startswith("Error: ")
        assert err.strip().endswith((".", ")"))
        assert "\n" not in err.strip()
    assert run_store.all_runs() == []


def run_cxr(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CXR_HOME": str(home)}
    command = [sys.executable, "-m", "cxr", *words]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "words", [["--debug", "train", "none", "--data", "."], ["train", "none", "--data", ".", "--debug"]]
)
def test_debug_shows_where_an_error_was_raised(tmp_path: Path, words: list[str]) -> None:
    without = run_cxr(tmp_path, *[word for word in words if word != "--debug"])
    assert without.returncode == 5
    assert "Traceback" not in without.stderr
    assert "'none'" in without.stderr
    with_debug = run_cxr(tmp_path, *words)
    assert with_debug.returncode != 0
    assert "Traceback" in with_debug.stderr
    assert "RecipeError" in with_debug.stderr
