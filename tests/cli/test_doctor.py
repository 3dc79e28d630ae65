"""`cxr doctor`: no problems in a sound installation, and an error with a remedy for each injected fault."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cxr.cli import doctor, installation_checks, reading_checks
from cxr.cli.doctor import CHECKS, examine, report
from cxr.cli.installation_checks import CheckResult, Level
from cxr.core.audit_trail import read_entries
from cxr.inference.engines.selection import EngineSelector
from cxr.learning.device import Device
from cxr.registry import registry
from tests.support.command_line import Cxr

PROJECT = Path(__file__).parents[2]
FINE = CheckResult("a", Level.OK, "Fine.")
BROKEN = CheckResult("b", Level.ERROR, "Broken.", "Repair it.", "broken")
CPU = Device("CPU (any, 2 cores)", "float32")


def of_level(level: Level, results: Iterable[CheckResult]) -> list[CheckResult]:
    return [result for result in results if result.level == level]


def test_a_sound_installation_has_no_errors_and_its_check_leaves_no_trace(trained: Path) -> None:
    lines = len(read_entries())
    results = {result.subject: result for result in examine()}
    assert {results[name].level for name in ("prediction", "TensorFlow", "models", "image file")} == {Level.OK}
    assert "'first'" in results["prediction"].sentence
    assert len(read_entries()) == lines


def test_results_are_printed_with_their_remedies(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([FINE, BROKEN]) == 1
    out = capsys.readouterr().out
    assert "OK       a: Fine." in out
    assert "ERROR    b: Broken.\n         Repair it." in out
    assert report([FINE]) == 0
    assert "1 error" not in capsys.readouterr().out


def test_json_has_the_keys_of_version_0_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([FINE, BROKEN], as_json=True) == 1
    table = json.loads(capsys.readouterr().out)
    assert not table["works"]
    assert table["findings"][1] == {
        "about": "b",
        "level": "wrong",
        "sentence": "Broken.",
        "mend": "Repair it.",
        "code": "broken",
    }


@pytest.mark.parametrize(("results", "code"), [([FINE, BROKEN], 1), ([FINE], 0)], ids=["an error", "no error"])
def test_the_exit_code_is_one_if_there_is_an_error(
    cxr: Cxr, monkeypatch: pytest.MonkeyPatch, results: list[CheckResult], code: int
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: iter(results))  # the command has no other argument to inject it by
    assert cxr("doctor")[0] == code


def test_a_missing_package_and_one_of_another_version_are_named_with_the_pin(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("no-such-package==1.2\npytest==0.1  # old\n-r more.txt\n")
    missing, other = installation_checks.packages(requirements)
    assert (missing.level, missing.code, missing.remedy) == (Level.ERROR, "missing", "pip install no-such-package==1.2")
    assert (other.level, other.code, other.remedy) == (Level.WARNING, "other-version", "pip install pytest==0.1")


def test_a_folder_that_cannot_be_written_is_named(home: Path) -> None:
    home.mkdir()
    (home / "runs").write_text("a file in the place of a folder: not even root can write into it")
    (result,) = installation_checks.folders()
    assert (result.level, result.code) == (Level.ERROR, "not-writable")
    assert str(home / "runs") in result.sentence


@pytest.mark.parametrize(
    ("free", "level"), [(10**8, Level.ERROR), (10**9, Level.WARNING), (10**11, Level.OK)], ids=["full", "low", "enough"]
)
def test_the_free_disk_space_is_compared_with_what_training_needs(home: Path, free: int, level: Level) -> None:
    (result,) = installation_checks.disk(lambda folder: free)
    assert result.level == level
    assert f"{free / 1e9:.1f} GB" in result.sentence


def test_truncated_weights_of_a_model_are_an_error(trained: Path) -> None:
    assert not of_level(Level.ERROR, reading_checks.models())
    path = registry.model_folder("first") / "weights.npz"
    path.write_bytes(path.read_bytes()[:-100])
    (result,) = reading_checks.models()
    assert (result.level, result.code) == (Level.ERROR, "damaged")
    assert "'first'" in result.sentence


def test_a_model_with_a_missing_file_is_an_error(trained: Path) -> None:
    (registry.model_folder("first") / "recipe.toml").unlink()
    (result,) = reading_checks.models()
    assert (result.level, result.code) == (Level.ERROR, "damaged")
    assert "recipe.toml" in result.sentence


@pytest.mark.parametrize("name", ["vgg16_notop.weights.h5", "resnet18_notop.npz"])
def test_truncated_pretrained_weights_are_an_error(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    import h5py
    import numpy as np

    path = tmp_path / name
    if path.suffix == ".npz":
        np.savez(path, a=np.ones(9999))
    else:
        with h5py.File(path, "w") as file:
            file["a"] = np.ones(9999)
    monkeypatch.setenv("CXR_WEIGHTS", str(tmp_path))
    assert not of_level(Level.ERROR, reading_checks.pretrained_weights())
    path.write_bytes(path.read_bytes()[:2000])
    (result,) = reading_checks.pretrained_weights()
    assert (result.level, result.code) == (Level.ERROR, "damaged")
    assert name in result.sentence
    assert str(path) in result.remedy


def install_broken_tensorflow(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    (folder / "broken" / "tensorflow").mkdir(parents=True)
    (folder / "broken" / "tensorflow" / "__init__.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder / "broken"))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise ImportError('libcudart.so.12: cannot open shared object file')", "libcudart.so.12"),
        ("import os; os.kill(os.getpid(), 11)", "exit code -11"),
    ],
    ids=["missing library", "native crash"],
)
def test_a_broken_tensorflow_is_an_error_and_all_other_checks_are_done(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    install_broken_tensorflow(tmp_path, monkeypatch, code)
    results = list(examine())
    errors = {result.subject: result for result in of_level(Level.ERROR, results)}
    assert set(errors) == {"TensorFlow", "prediction"}
    assert errors["TensorFlow"].code == "broken"
    assert reason in errors["TensorFlow"].sentence
    assert {"Python", "packages", "folders", "models", "image file"} <= {result.subject for result in results}


def test_a_tensorflow_that_hangs_is_not_waited_for(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_broken_tensorflow(tmp_path, monkeypatch, "import time; time.sleep(60)")
    (result,) = reading_checks.tensorflow(partial(reading_checks.run_python, limit_s=2))
    assert (result.level, result.code) == (Level.ERROR, "timeout")


def selector(version: str, times_ms: dict[str, float] | None = None) -> EngineSelector:
    """A selector of engines whose plugin has this version, with these cached times."""
    plugin = SimpleNamespace(name="OpenVINO", version=lambda: version)
    return cast(EngineSelector, SimpleNamespace(plugin=plugin, cached=lambda recipe, device: times_ms))


def test_the_engine_of_single_films_is_named_if_there_is_a_choice(trained: Path) -> None:
    assert not list(reading_checks.engine(selector(""), CPU))
    (untimed,) = reading_checks.engine(selector("1.0"), CPU)
    assert untimed.code == "not-timed"
    (timed,) = reading_checks.engine(selector("1.0", {"TensorFlow": 80, "OpenVINO": 67}), CPU)
    assert timed.code == "timed"
    assert timed.sentence.startswith("OpenVINO")
    assert "80 ms" in timed.sentence


def test_without_a_model_the_remedy_is_to_train_or_import_one(home: Path) -> None:
    (result,) = reading_checks.models()
    assert (result.level, result.code) == (Level.WARNING, "none")
    assert "cxr train" in result.remedy


LOCAL_ADDRESS = '[server]\naddress = "127.0.0.1"'


@pytest.mark.parametrize(
    ("config", "secrets", "level", "code"),
    [
        (LOCAL_ADDRESS, None, Level.OK, ""),
        ('[server]\naddress = "0.0.0.0"', None, Level.ERROR, "open-to-all"),
        ("", None, Level.ERROR, "open-to-all"),
        (f"{LOCAL_ADDRESS}\nenableXsrfProtection = false", None, Level.ERROR, "cross-site"),
        (LOCAL_ADDRESS, "[auth]", Level.WARNING, "no-roles"),
        (LOCAL_ADDRESS, "[auth", Level.ERROR, "secrets-unreadable"),
    ],
    ids=["local", "all addresses", "no address", "cross-site", "no roles", "secrets"],
)
def test_the_network_settings_are_checked(
    tmp_path: Path, config: str, secrets: str | None, level: Level, code: str
) -> None:
    (tmp_path / "config.toml").write_text(config)
    if secrets:
        (tmp_path / "secrets.toml").write_text(secrets)
    assert (level, code) in [(result.level, result.code) for result in installation_checks.network(tmp_path)]


def test_a_check_that_fails_itself_is_an_error_and_the_others_are_done() -> None:
    def fail() -> Iterator[CheckResult]:
        raise ZeroDivisionError
        yield FINE

    failed, fine = examine({"models": fail, "a": lambda: [FINE]})
    assert (failed.subject, failed.level, failed.code) == ("models", Level.ERROR, "check-failed")
    assert fine == FINE


def test_the_checks_without_tensorflow_run_where_it_is_not_installed(trained: Path) -> None:
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "from cxr.cli.doctor import CHECKS, examine\n"
        "quick = {name: check for name, check in CHECKS.items() if name not in ('TensorFlow', 'prediction')}\n"
        "print([result.subject for result in examine(quick) if result.level == 'ok'])"
    )
    process: Any = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert "'image file'" in process.stdout
    assert "'models'" in process.stdout


def test_every_check_has_the_subject_of_its_results(home: Path) -> None:
    quick = {name: check for name, check in CHECKS.items() if name not in ("TensorFlow", "prediction")}
    for name, check in quick.items():
        assert {result.subject for result in check()} <= {name}
