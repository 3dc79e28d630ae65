"""The folders of this installation: models, runs, evaluations, cache, datasets, weights, trail, drift and logs.

`CXR_HOME` moves all of them. By default they are in the project's folder, beside the code; where only the package is
installed, in `~/.cxr`.
"""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).parents[2]  # the checkout; of an installed package, the folder of all packages
BUNDLED_EXAMPLES = (PROJECT / "examples", PROJECT / "cxr" / "examples")  # of the checkout; of an installed package


def home() -> Path:
    """The folder that holds all others."""
    default = PROJECT if (PROJECT / "pyproject.toml").is_file() else Path.home() / ".cxr"
    return Path(os.environ.get("CXR_HOME") or default).resolve()


def models_dir() -> Path:
    """The models of the registry, one folder each."""
    return home() / "models"


def runs_dir() -> Path:
    """Training runs and other jobs, one folder each."""
    return home() / "runs"


def cache_dir() -> Path:
    """Results that can be computed again."""
    return home() / "cache"


def data_dir() -> Path:
    """The list of added datasets, and the films that were generated or unpacked here."""
    return home() / "data"


def evaluations_dir() -> Path:
    """Scores of the evaluations that were saved."""
    return home() / "evaluations"


def trail_dir() -> Path:
    """The audit trail, one file a month."""
    return home() / "trail"


def drift_dir() -> Path:
    """Counts of what models in use read, one folder for each."""
    return home() / "drift"


def logs_dir() -> Path:
    """The dashboard's log files."""
    return home() / "logs"


def extra_data_dir() -> Path | None:
    """A further folder of datasets, if CXR_DATA names one."""
    folder = os.environ.get("CXR_DATA")
    return Path(folder).resolve() if folder else None


def examples_dir() -> Path | None:
    """The folder of example X-rays: the one that CXR_EXAMPLES names, by default the project's; None where it is ""."""
    folder = os.environ.get("CXR_EXAMPLES")
    if folder is not None:
        return Path(folder).resolve() if folder else None
    return next((path for path in BUNDLED_EXAMPLES if path.is_dir()), None)


def weights_dirs() -> list[Path]:
    """The folders that are searched for pretrained weights before anything is downloaded."""
    folder = os.environ.get("CXR_WEIGHTS")
    return [Path(folder)] if folder else [home() / "weights", PROJECT.parent / "shared" / "weights"]
