"""The doctor: sound where all is well, and of each injected fault a sentence with the way to mend it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cxr.cli import doctor
from cxr.cli.app import main
from cxr.cli.doctor import HealthCheck, examine
from cxr.core.audit_trail import read_entries
from cxr.inference.engines import selection
from cxr.learning.device import Device
from cxr.registry import registry


@pytest.fixture
def quick(monkeypatch):
    """Nothing is asked in a process of its own."""
    monkeypatch.setattr(doctor, "_apart", lambda *words: None)


def wrong(about, **more):
    return [one for one in examine(**more) if one.level == "wrong" and one.about == about]


def test_a_sound_installation_reads_a_film_and_leaves_no_trace(trained):
    before = len(read_entries())
    found = {one.about: one for one in examine()}
    assert "'first', which is in use, read a drawn film" in found["a reading"].sentence
    assert {found[about].level for about in ("a reading", "TensorFlow", "models", "a film")} == {"ok"}
    assert len(read_entries()) == before


def test_the_command_line_says_it_ends_with_one_and_prints_json(trained, monkeypatch, capsys):
    findings = [HealthCheck("a", "ok", "Fine."), HealthCheck("b", "wrong", "Broken.", "Mend it.")]
    monkeypatch.setattr(doctor, "examine", lambda: iter(findings))
    with pytest.raises(SystemExit) as end:
        main(["doctor"])
    assert end.value.code == 1
    said = capsys.readouterr().out
    assert "OK     a: Fine." in said and "WRONG  b: Broken.\n       Mend it." in said
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--json"])
    table = json.loads(capsys.readouterr().out)
    assert end.value.code == 1 and not table["works"] and table["findings"][1]["mend"] == "Mend it."
    monkeypatch.setattr(doctor, "examine", lambda: iter(findings[:1]))
    with pytest.raises(SystemExit) as end:
        main(["doctor"])
    assert not end.value.code and "Everything works." in capsys.readouterr().out


def test_a_missing_package_and_one_of_another_version_are_named_with_the_pin(tmp_path):
    (tmp_path / "requirements.txt").write_text("no-such-package==1.2\npytest==0.1  # old\n-r more.txt\n")
    missing, other = doctor.packages(tmp_path / "requirements.txt")
    assert missing.level == "wrong" and missing.remedy == "pip install no-such-package==1.2"
    assert other.level == "note" and "tested is 0.1" in other.sentence


def test_a_folder_that_cannot_be_written_is_named(home):
    home.mkdir()
    (home / "runs").write_text("a file, where a folder should be: not even root can write into it")
    (finding,) = [one for one in doctor.folders() if one.level == "wrong"]
    assert str(home / "runs") in finding.sentence and "CXR_HOME" in finding.remedy


@pytest.mark.parametrize(("free", "level"), [(10**8, "wrong"), (10**9, "note"), (10**11, "ok")])
def test_little_room_on_the_disk_is_said(home, quick, free, level):
    (finding,) = [one for one in examine(disk=lambda folder: free) if one.about == "disk"]
    assert finding.level == level and f"{free / 1e9:.1f} GB" in finding.sentence


def test_truncated_weights_are_told_from_whole_ones(trained, quick):
    path = registry.model_folder("first") / "weights.npz"
    path.write_bytes(path.read_bytes()[:-100])
    (finding,) = wrong("models")
    assert "'first'" in finding.sentence and "models delete first" in finding.remedy


def test_a_model_with_a_file_missing_is_told(trained, quick):
    (registry.model_folder("first") / "recipe.toml").unlink()
    (finding,) = wrong("models")
    assert "recipe.toml is missing" in finding.sentence


@pytest.mark.parametrize("name", ["vgg16_notop.weights.h5", "resnet18_notop.npz"])
def test_truncated_starting_weights_are_told(home, quick, monkeypatch, tmp_path, name):
    import h5py
    import numpy as np

    path = tmp_path / name
    if path.suffix == ".npz":
        np.savez(path, a=np.ones(9999))
    else:
        with h5py.File(path, "w") as file:
            file["a"] = np.ones(9999)
    monkeypatch.setenv("CXR_WEIGHTS", str(tmp_path))
    assert not wrong("starting weights")
    path.write_bytes(path.read_bytes()[:2000])
    (finding,) = wrong("starting weights")
    assert name in finding.sentence and str(path) in finding.remedy


def broken_tensorflow(tmp_path, monkeypatch, code):
    (tmp_path / "broken" / "tensorflow").mkdir(parents=True)
    (tmp_path / "broken" / "tensorflow" / "__init__.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ImportError('libcudart.so.12: cannot open shared object file')", "libcudart.so.12"),
        ("import os; os.kill(os.getpid(), 11)", "ended with code"),
    ],
    ids=["missing library", "native crash"],
)
def test_a_broken_tensorflow_is_a_sentence_and_all_else_is_looked_at(trained, tmp_path, monkeypatch, code, said):
    broken_tensorflow(tmp_path, monkeypatch, code)
    found = list(examine())
    broken = {one.about: one for one in found if one.level == "wrong"}
    assert set(broken) == {"TensorFlow", "a reading"}
    assert said in broken["TensorFlow"].sentence and "pip install" in broken["TensorFlow"].remedy
    assert {"Python", "packages", "folders", "models", "a film"} <= {one.about for one in found}


def test_a_tensorflow_that_hangs_is_not_waited_for(home, tmp_path, monkeypatch):
    broken_tensorflow(tmp_path, monkeypatch, "import time; time.sleep(60)")
    monkeypatch.setattr(doctor, "PATIENCE_S", 2)
    (finding,) = doctor.tensorflow()
    assert "did not start within 2 s" in finding.sentence


def test_the_engine_of_single_films_is_named_where_there_is_a_choice(trained, monkeypatch):
    device = Device("CPU (any, 2 cores)", "float32")
    monkeypatch.setattr("cxr.learning.device.device_without_tensorflow", lambda: device)
    monkeypatch.setattr(selection, "openvino_version", lambda: "")
    assert not list(doctor.engine())
    monkeypatch.setattr(selection, "openvino_version", lambda: "1.0")
    (finding,) = doctor.engine()
    assert "measured after the dashboard's first reading" in finding.sentence
    conditions = selection.conditions_of(registry.get_recipe("first"), device, "1.0")
    selection.cache_timing(selection.EngineTiming(conditions=conditions, tensorflow_ms=80, openvino_ms=67))
    (finding,) = doctor.engine()
    assert "looked at by OpenVINO" in finding.sentence and "80 ms" in finding.sentence


def test_without_a_model_it_says_how_to_get_one(home, quick):
    (finding,) = [one for one in examine() if one.about == "models"]
    assert finding.level == "note" and "train RECIPE" in finding.remedy


@pytest.mark.parametrize(
    ("config", "secrets", "level", "said"),
    [
        ('[server]\naddress = "127.0.0.1"', None, "ok", "this machine alone"),
        ('[server]\naddress = "0.0.0.0"', None, "wrong", "everyone there may do everything"),
        ("", None, "wrong", "all addresses"),
        ('[server]\naddress = "127.0.0.1"\nenableXsrfProtection = false', None, "wrong", "Other sites' pages"),
        ('[server]\naddress = "127.0.0.1"', "[auth]", "note", "none has a role"),
        ('[server]\naddress = "127.0.0.1"', "[auth", "wrong", "nobody is let in"),
    ],
)
def test_who_can_reach_the_dashboard_is_said(tmp_path, config, secrets, level, said):
    (tmp_path / "config.toml").write_text(config)
    if secrets:
        (tmp_path / "secrets.toml").write_text(secrets)
    assert any(one.level == level and said in one.sentence for one in doctor.network(tmp_path))


def test_a_check_that_fails_itself_is_a_finding_and_ends_nothing(home, quick, monkeypatch):
    monkeypatch.setattr(doctor, "models", lambda: 1 / 0)
    (finding,) = wrong("models")
    assert "ZeroDivisionError" in finding.sentence


def test_it_runs_where_tensorflow_is_not_even_there(trained):
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "from cxr.cli import doctor; doctor._apart = lambda *words: None\n"
        "print([one.about for one in doctor.examine() if one.level == 'ok'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "'a film'" in done.stdout and "'models'" in done.stdout
