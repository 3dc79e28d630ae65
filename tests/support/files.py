"""Files of real films, and the rows of a manifest."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest


def files_in(folder: Path) -> list[Path]:
    """The files in a folder of the real films; a test is skipped where they came without it."""
    files = sorted(path for path in folder.glob("*") if path.is_file())
    if not files:
        pytest.skip(f"real films are there, but none in {folder.name}")
    return files


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The rows of the manifest in that folder."""
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))
