"""Where this installation keeps its models, runs, caches and starting weights.

`CXR_HOME` moves all of them; without it they lie in the project's folder, beside the code.
"""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    return Path(os.environ.get("CXR_HOME") or Path(__file__).parents[1]).resolve()


def models_dir() -> Path:
    return home() / "models"


def runs_dir() -> Path:
    return home() / "runs"


def cache_dir() -> Path:
    return home() / "cache"


def weights_dirs() -> list[Path]:
    """Folders that are looked through for starting weights before anything is downloaded."""
    named = os.environ.get("CXR_WEIGHTS")
    project = Path(__file__).parents[1]
    return [Path(named)] if named else [home() / "weights", project.parent / "shared" / "weights"]
