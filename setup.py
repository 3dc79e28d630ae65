"""The optional dependencies, as in `pip install .[export]`, and the example X-rays, which are no Python package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

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


class BuildWithExamples(build_py):
    """Builds the package with the folder of examples in it, where `cxr.core.paths` looks for them."""

    def run(self) -> None:
        """Build, then copy the examples."""
        super().run()
        if not self.editable_mode:
            shutil.copytree(PROJECT / "examples", Path(self.build_lib) / "cxr" / "examples", dirs_exist_ok=True)


setup(
    cmdclass={"build_py": BuildWithExamples},
    extras_require={
        path.stem.removeprefix("requirements-"): requirements(path.name)
        for path in sorted(PROJECT.glob("requirements-*.txt"))
    },
)
