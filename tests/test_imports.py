"""The rooms are read left to right: what a module imports, and what it costs to import it."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "cxr"
ROOMS = ("films", "datasets", "learning", "reading", "judging", "showing")
FOR_ALL = {"cxr", "cxr.errors", "cxr.home", "cxr.logbook", "cxr.person", "cxr.trail", "cxr.writing"}
MAY_STREAMLIT = {
    f"cxr.showing.{name}"
    for name in (
        "ui",
        "access",
        "mishaps",
        "viewer",
        "film_panel",
        "recipe_form",
        "run_panel",
        "beside_panel",
        "evaluation_panel",
        "shortcuts_panel",
        "lasting",
        "refusal_panel",
        "opinion_panel",
        "downloads",
        "batch_panel",
        "phantom_panel",
        "split_panel",
    )
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
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in FILES else node.module)
    return names


def test_every_module_belongs_to_a_room_or_stands_above_them():
    outside = set(FILES) - set(IN_ROOMS)
    assert outside == FOR_ALL | {
        "cxr.__main__",
        "cxr.cli",
        "cxr.cli_judging",
        "cxr.cli_models",
        "cxr.cli_reading",
        "cxr.cli_runs",
        "cxr.cli_upkeep",
        "cxr.console",
        "cxr.doctor",
        "cxr.gatehouse",
        "cxr.workshop",
    }


@pytest.mark.parametrize("name", IN_ROOMS)
def test_a_module_imports_only_from_its_own_room_and_those_to_its_left(name):
    place = ROOMS.index(name.split(".")[1])
    may = {"errors", "home", *ROOMS[: place + 1]}
    ours = {found for found in imported(FILES[name], name) if found.split(".")[0] == "cxr"} - FOR_ALL
    assert {found for found in ours if found.split(".")[1] not in may} == set()


@pytest.mark.parametrize("name", sorted(FOR_ALL))
def test_what_all_rooms_share_imports_none_of_them(name):
    assert not {found for found in imported(FILES[name], name) if found.startswith("cxr.")} - FOR_ALL


def test_streamlit_is_imported_by_the_pages_and_their_frame_alone():
    users = {name for name, path in FILES.items() if any(n.split(".")[0] == "streamlit" for n in imported(path, name))}
    assert users <= MAY_STREAMLIT


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
    modules = [
        "cxr.cli, cxr.console, cxr.workshop, cxr.gatehouse, cxr.doctor",
        "cxr.films.film, cxr.datasets.dataset, cxr.datasets.split, cxr.datasets.audit",
        "cxr.learning.recipe, cxr.learning.runs, cxr.learning.worker, cxr.learning.selection",
        "cxr.reading.shelf, cxr.reading.classifier, cxr.reading.batch",
        "cxr.reading.gate, cxr.reading.lesson, cxr.reading.ages",
        "cxr.datasets.catalogue, cxr.datasets.audited, cxr.datasets.manifest",
        "cxr.judging.evaluation, cxr.judging.intervals, cxr.judging.comparison, cxr.judging.subgroups",
        "cxr.judging.band, cxr.judging.benefit, cxr.judging.calibration, cxr.judging.examination",
        "cxr.judging.shortcuts, cxr.judging.verdict, cxr.judging.inquiry, cxr.showing.charts_shortcuts",
        "cxr.showing.overlay, cxr.showing.tiles, cxr.showing.charts_data, cxr.showing.charts",
    ]
    loaded = loaded_by("\n".join(f"import {line}" for line in modules), tmp_path)
    assert not loaded & {"tensorflow", "keras", "streamlit"}


def test_the_first_page_is_drawn_without_what_only_later_ones_need(tmp_path):
    predict = PROJECT / "pages" / "predict.py"
    rooms = sorted(name for name in imported(predict, "pages.predict") if name.startswith("cxr."))
    loaded = loaded_by("".join(f"import {name}\n" for name in rooms), tmp_path)
    assert {"cxr.showing.ui", "cxr.reading.desk"} <= loaded
    assert not loaded & {"tensorflow", "keras", "pandas", "scipy", "sklearn", "reportlab"}


@pytest.mark.parametrize("words", ["--help", "runs list", "models list", "runs list --json", "trail"])
def test_help_and_lists_are_quick(words, tmp_path):
    arguments = words.split()
    code = f"from cxr.cli import main\ntry:\n    main({arguments})\nexcept SystemExit as end:\n    assert not end.code"
    assert not loaded_by(code, tmp_path) & {"tensorflow", "keras", "pandas", "scipy", "sklearn", "streamlit"}


@pytest.mark.parametrize("room", ["cxr", *(f"cxr.{room}" for room in ROOMS)])
def test_a_room_says_what_it_is_for_and_imports_nothing(room):
    source = ast.parse((PROJECT / room.replace(".", "/") / "__init__.py").read_text("utf-8"))
    assert ast.get_docstring(source)
    assert not [node for node in ast.walk(source) if isinstance(node, ast.Import | ast.ImportFrom)]
