"""The Python versions that everything installs on, named in several places, are the same everywhere."""

import re
import tomllib
from pathlib import Path

import pytest

from cxr.cli.installation_checks import MAX_PYTHON, MIN_PYTHON, Level, python_version

PROJECT = Path(__file__).parents[1]
VERSIONS = [(3, minor) for minor in range(MIN_PYTHON[1], MAX_PYTHON[1] + 1)]


def versions_in(text: str) -> list[tuple[int, int]]:
    """Every 3.x in a text."""
    return [(3, int(minor)) for minor in re.findall(r"\b3\.(\d+)\b", text)]


def test_the_package_asks_for_these_versions_and_lists_them() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    above = (3, MAX_PYTHON[1] + 1)
    assert project["requires-python"] == ">={}.{},<{}.{}".format(*MIN_PYTHON, *above)
    assert versions_in(" ".join(project["classifiers"])) == VERSIONS


@pytest.mark.parametrize("file", ["README.md", "Makefile", "requirements.txt"])
def test_a_text_names_the_first_and_the_last_of_them(file: str) -> None:
    line = next(line for line in (PROJECT / file).read_text("utf-8").splitlines() if versions_in(line))
    assert (versions_in(line)[0], versions_in(line)[-1]) == (MIN_PYTHON, MAX_PYTHON)


def test_continuous_integration_runs_the_first_and_the_last() -> None:
    workflow = (PROJECT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    matrix = next(line for line in workflow.splitlines() if "python: [" in line)
    assert versions_in(matrix) == [MIN_PYTHON, MAX_PYTHON]


def test_make_refuses_the_same_versions() -> None:
    check = next(line for line in (PROJECT / "Makefile").read_text("utf-8").splitlines() if "version_info" in line)
    bounds = re.findall(r"\((\d+), (\d+)\)", check)
    assert bounds == [tuple(map(str, MIN_PYTHON)), ("3", str(MAX_PYTHON[1] + 1))]


@pytest.mark.parametrize(
    ("running", "code"),
    [((3, 10, 9), "too-old"), ((3, 11, 0), ""), ((3, 13, 9), ""), ((3, 14, 0), "too-new"), ((4, 0, 0), "too-new")],
)
def test_doctor_names_a_python_that_nothing_installs_on(running: tuple[int, int, int], code: str) -> None:
    (check,) = python_version(running)
    assert (check.level, check.code) == (Level.ERROR if code else Level.OK, code)
