"""Where this installation keeps its models, runs, evaluations, caches, datasets, starting weights, trail and logs.

`CXR_HOME` moves all of them; without it they lie in the project's folder, beside the code.
"""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    return Path(os.environ.get("CXR_HOME") or Path(__file__).parents[2]).resolve()


def models_dir() -> Path:
    return home() / "models"


def runs_dir() -> Path:
    return home() / "runs"


def cache_dir() -> Path:
    return home() / "cache"


def data_dir() -> Path:
    """Datasets that were added, and films that were drawn or unpacked here."""
    return home() / "data"


def evaluations_dir() -> Path:
    """Scores of evaluations that a person ran and wants to find again."""
    return home() / "evaluations"


def trail_dir() -> Path:
    """Who did what, one file a month."""
    return home() / "trail"


def logs_dir() -> Path:
    return home() / "logs"


def extra_data_dir() -> Path | None:
    """A folder of datasets that a person named in the environment."""
    named = os.environ.get("CXR_DATA")
    return Path(named).resolve() if named else None


def examples_dir() -> Path | None:
    """A folder of films that a person wants to have at hand on the page Predict."""
    named = os.environ.get("CXR_EXAMPLES")
    return Path(named).resolve() if named else None


def weights_dirs() -> list[Path]:
    """Folders that are looked through for starting weights before anything is downloaded."""
    named = os.environ.get("CXR_WEIGHTS")
    project = Path(__file__).parents[2]
    return [Path(named)] if named else [home() / "weights", project.parent / "shared" / "weights"]
