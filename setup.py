"""The optional dependencies, as in `pip install .[export]`, read from the requirements files."""

from pathlib import Path

from setuptools import setup

PROJECT = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """The packages of a requirements file and of those that it includes, without those that everybody needs."""
    packages = []
    for line in (PROJECT / name).read_text("utf-8").splitlines():
        requirement = line.partition("#")[0].strip()
        if requirement.startswith("-r"):
            included = requirement.removeprefix("-r").strip()
            packages += requirements(included) if included != "requirements.txt" else []
        elif requirement:
            packages.append(requirement)
    return packages


setup(
    extras_require={
        path.stem.removeprefix("requirements-"): requirements(path.name)
        for path in sorted(PROJECT.glob("requirements-*.txt"))
    }
)
