"""The rooms are read left to right: what a module imports, and what it costs to import it."""

import ast
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "cxr"
ROOMS = (
    "core",
    "films",
    "datasets",
    "registry",
    "learning",
    "inference",
    "evaluation",
    "drift",
    "studies",
    "presentation",
    "exchange",
    "cluster",
    "jobs",
    "ui",
    "cli",
)
WITH_TENSORFLOW = {
    f"cxr.learning.{name}"
    for name in [
        "backbones",
        "checkpoint",
        "epoch",
        "head_rate",
        "network",
        "normalization",
        "optimization",
        "shared_inputs",
        "training",
    ]
}


def module_name(path):
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
IN_ROOMS = [name for name in FILES if name.split(".")[1:2] and name.split(".")[1] in ROOMS]


def imported(path, own_name):
    """Full names of all that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{own_name} imports relatively (line {node.lineno})"
            assert node.module
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in FILES else node.module)
    return names


def test_every_module_belongs_to_a_room():
    assert set(FILES) - set(IN_ROOMS) == {"cxr", "cxr.__main__"}


@pytest.mark.parametrize("name", sorted(IN_ROOMS))
def test_a_module_imports_only_from_its_own_room_and_those_above(name):
    place = ROOMS.index(name.split(".")[1])
    ours = {module for module in imported(FILES[name], name) if module.startswith("cxr.")}
    assert {module for module in ours if module.split(".")[1] not in ROOMS[: place + 1]} == set()


def test_streamlit_is_imported_by_the_pages_and_the_room_ui_alone():
    users = {name for name, path in FILES.items() if any(n.split(".")[0] == "streamlit" for n in imported(path, name))}
    assert {name for name in users if not name.startswith("cxr.ui.")} == set()


def test_pages_are_imported_by_nothing():
    users = {name for name, path in FILES.items() if any(n.split(".")[0] == "pages" for n in imported(path, name))}
    assert users == set()


def loaded_by(code, home):
    """Names of the modules that a fresh interpreter holds after the code."""
    script = f"{code}\nimport json, sys\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    environment = {"CXR_HOME": str(home), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_what_pages_and_lists_need_is_imported_without_tensorflow(tmp_path):
    without = (*ROOMS[: ROOMS.index("ui")], "cli")
    modules = [name for name in IN_ROOMS if name.split(".")[1] in without and name not in WITH_TENSORFLOW]
    loaded = loaded_by("\n".join(f"import {name}" for name in modules), tmp_path)
    assert not loaded & {"tensorflow", "keras", "streamlit", "ray"}


def test_the_first_page_is_drawn_without_what_only_later_ones_need(tmp_path):
    predict = PROJECT / "pages" / "predict.py"
    rooms = sorted(name for name in imported(predict, "pages.predict") if name.startswith("cxr."))
    loaded = loaded_by("".join(f"import {name}\n" for name in rooms), tmp_path)
    assert {"cxr.ui.frame", "cxr.inference.session"} <= loaded
    assert not loaded & {"tensorflow", "keras", "pandas", "scipy", "sklearn", "reportlab"}


@pytest.mark.parametrize("page", ["predict", "reading_practice", "evaluate", "train", "models", "data", "jobs"])
def test_a_page_is_drawn_without_tensorflow(page, tmp_path):
    with zipfile.ZipFile(Path(__file__).parent / "data" / "home-0.1.zip") as home:
        home.extractall(tmp_path)
    code = (
        "from streamlit.testing.v1 import AppTest\n"
        "from cxr.ui import loaded_model\n"
        "loaded_model._warm_up_begun.acquire()\n"  # or TensorFlow is loaded in the background, a moment later
        f"app = AppTest.from_file('pages/{page}.py', default_timeout=60).run()\n"
        "assert not app.exception and not app.error"
    )
    assert not loaded_by(code, tmp_path) & {"tensorflow", "keras", "ray"}


@pytest.mark.parametrize("words", ["--help", "runs list", "models list", "runs list --json", "trail"])
def test_help_and_lists_are_quick(words, tmp_path):
    arguments = words.split()
    code = (
        f"from cxr.cli.app import main\ntry:\n    main({arguments})\nexcept SystemExit as end:\n    assert not end.code"
    )
    assert not loaded_by(code, tmp_path) & {"tensorflow", "keras", "numpy", "pandas", "scipy", "sklearn", "streamlit"}


@pytest.mark.parametrize("room", ["cxr", *(f"cxr.{room}" for room in ROOMS)])
def test_a_room_says_what_it_is_for_and_imports_nothing(room):
    source = ast.parse((PROJECT / room.replace(".", "/") / "__init__.py").read_text("utf-8"))
    assert ast.get_docstring(source)
    assert not [node for node in ast.walk(source) if isinstance(node, ast.Import | ast.ImportFrom)]
