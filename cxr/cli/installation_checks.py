"""Checks of the installation itself: Python, packages, folders, disk, memory and network settings."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from cxr.core import paths
from cxr.core.errors import AccessError
from cxr.core.number_format import gigabytes
from cxr.core.paths import PROJECT
from cxr.core.role_list import RoleList

MIN_PYTHON, MAX_PYTHON = (3, 11), (3, 13)  # TensorFlow 2.21 has no package for a later one
LOW_DISK_BYTES, MIN_DISK_BYTES = 5_000_000_000, 500_000_000
LOW_MEMORY_BYTES = 3_000_000_000
REINSTALL = "Reinstall the dashboard's packages: pip install -r requirements.txt"


class Level(StrEnum):
    """How a check ended: as expected, with a warning, or with an error that keeps something from working."""

    OK = "ok"
    WARNING = "note"
    ERROR = "wrong"


@dataclass(frozen=True)
class CheckResult:
    """The result of one check, and what to do about it. The code names the cause; a sentence may change."""

    subject: str
    level: Level
    sentence: str
    remedy: str = ""
    code: str = ""

    def as_dict(self) -> dict[str, str]:
        """The result with the keys that `cxr doctor --json` prints."""
        about = {"about": self.subject, "level": self.level.value, "sentence": self.sentence}
        return about | {"mend": self.remedy, "code": self.code}


def python_version(running: tuple[int, ...] = tuple(sys.version_info[:3])) -> Iterator[CheckResult]:
    """Whether the packages install on this Python."""
    sentence = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}."
    if not MIN_PYTHON <= running[:2] <= MAX_PYTHON:
        remedy = "Install Python {}.{} to {}.{}.".format(*MIN_PYTHON, *MAX_PYTHON)
        yield CheckResult("Python", Level.ERROR, sentence, remedy, "too-old" if running < MIN_PYTHON else "too-new")
    else:
        yield CheckResult("Python", Level.OK, sentence)


def packages(requirements: Path = PROJECT / "requirements.txt") -> Iterator[CheckResult]:
    """Each pinned package that is missing or has another version; or one result if all are as pinned."""
    pins = re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", _requirement_lines(requirements), re.MULTILINE)
    matching = 0
    for name, pinned in pins:
        remedy = f"pip install {name}=={pinned}"
        try:
            installed = version(name)
        except PackageNotFoundError:
            yield CheckResult("packages", Level.ERROR, f"The package {name} is missing.", remedy, "missing")
            continue
        if installed == pinned:
            matching += 1
        else:
            sentence = f"{name} is version {installed}; the tested version is {pinned}."
            yield CheckResult("packages", Level.WARNING, sentence, remedy, "other-version")
    if matching == len(pins):
        yield CheckResult("packages", Level.OK, f"All {matching} packages have the tested versions.")


def _requirement_lines(requirements: Path) -> str:
    """The file's text; where only the package is installed, the requirements in its metadata without the extras."""
    if requirements.is_file():
        return requirements.read_text("utf-8")
    return "\n".join(line for line in requires("cxr") or () if ";" not in line)


def folders() -> Iterator[CheckResult]:
    """Each folder that cannot be written; or one result if all can."""
    needed = [paths.home(), paths.models_dir(), paths.runs_dir(), paths.cache_dir(), paths.data_dir()]
    unwritable = [folder for folder in (*needed, paths.trail_dir(), paths.logs_dir()) if not _is_writable(folder)]
    for folder in unwritable:
        remedy = "Give the dashboard's user write access to it, or set CXR_HOME to another folder."
        yield CheckResult("folders", Level.ERROR, f"Cannot write to {folder}.", remedy, "not-writable")
    if not unwritable:
        yield CheckResult("folders", Level.OK, f"All files are stored in {paths.home()}, which is writable.")


def _is_writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=_nearest_existing(folder)):
            return True
    except OSError:
        return False


def _nearest_existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return folder if folder.exists() else _nearest_existing(folder.parent)


def free_bytes(folder: Path) -> int:
    """The free space of the disk that holds the folder."""
    return shutil.disk_usage(_nearest_existing(folder)).free


def disk(free: Callable[[Path], int] = free_bytes) -> Iterator[CheckResult]:
    """Whether there is enough disk space for training."""
    available = free(paths.home())
    sentence = f"{gigabytes(available)} free in {paths.home()}."
    remedy = "Delete old runs, the cache (it is built again when needed) or models; or move CXR_HOME to another disk."
    if available < MIN_DISK_BYTES:
        full = f"{sentence} Training needs more for its checkpoints."
        yield CheckResult("disk", Level.ERROR, full, remedy, "full")
    elif available < LOW_DISK_BYTES:
        low = f"{sentence} Training with several augmented views may need more."
        yield CheckResult("disk", Level.WARNING, low, remedy, "low")
    else:
        yield CheckResult("disk", Level.OK, sentence)


def memory() -> Iterator[CheckResult]:
    """Whether there is enough free memory for training."""
    import psutil

    state = psutil.virtual_memory()
    sentence = f"{gigabytes(state.available)} of {gigabytes(state.total)} memory free; {os.cpu_count()} CPU cores."
    if state.available < LOW_MEMORY_BYTES:
        low = f"{sentence} Enough to read X-rays, perhaps too little to train."
        remedy = "Close other programs, or train with a smaller training.batch."
        yield CheckResult("memory", Level.WARNING, low, remedy, "low")
    else:
        yield CheckResult("memory", Level.OK, sentence)


def network(folder: Path = PROJECT / ".streamlit") -> Iterator[CheckResult]:
    """Who can reach the dashboard, by its settings, and whether they must sign in; nothing where it has no settings."""
    if not (folder / "config.toml").is_file():
        return
    server = tomllib.loads((folder / "config.toml").read_text("utf-8")).get("server", {})
    address = os.environ.get("STREAMLIT_SERVER_ADDRESS") or server.get("address", "")
    try:
        secrets = tomllib.loads((folder / "secrets.toml").read_text("utf-8"))
    except FileNotFoundError:
        secrets = {}
    except (OSError, ValueError):
        unreadable = "Cannot read secrets.toml, so nobody can sign in."
        yield CheckResult("network", Level.ERROR, unreadable, "See docs/access.md.", "secrets-unreadable")
        return
    is_local = address in ("127.0.0.1", "localhost", "::1")
    if not is_local and "auth" not in secrets:
        sentence = f"The dashboard listens on {address or 'all addresses'}; everyone who can reach it has full access."
        remedy = "Set server.address to 127.0.0.1, or set up sign-in: docs/access.md."
        yield CheckResult("network", Level.ERROR, sentence, remedy, "open-to-all")
    if not server.get("enableXsrfProtection", True) or not server.get("enableCORS", True):
        remedy = "Remove enableXsrfProtection and enableCORS from .streamlit/config.toml."
        sentence = "Pages of other sites can send requests to the dashboard."
        yield CheckResult("network", Level.ERROR, sentence, remedy, "cross-site")
    try:
        people = RoleList.from_secrets(secrets)
    except AccessError as error:
        yield CheckResult("network", Level.ERROR, str(error), "See docs/access.md.", "roles-unusable")
        return
    if "auth" in secrets and not (people.addresses or people.subjects):
        sentence = "People can sign in, but nobody has a role."
        yield CheckResult("network", Level.WARNING, sentence, "See docs/access.md.", "no-roles")
    if is_local:
        yield CheckResult("network", Level.OK, "The dashboard can be reached from this computer only.")
