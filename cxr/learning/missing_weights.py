"""Whether the weights that a training would start from are here, known before it starts; without TensorFlow."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr.core.bounded_files import is_regular
from cxr.core.errors import RecipeError
from cxr.core.paths import models_dir, weights_dirs
from cxr.learning.starting_weights import STORED_MODEL
from cxr.registry.recipe import Recipe

CHECK_S = 5.0  # for the server to answer
_SERVER = "https://storage.googleapis.com/tensorflow/keras-applications"
_KERAS_FILES = {  # what Keras downloads: folder on the server, file, megabytes
    "vgg16": ("vgg16", "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", 59),
    "vgg19": ("vgg19", "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5", 80),
    "resnet50": ("resnet", "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", 95),
}


@dataclass(frozen=True)
class MissingWeights:
    """Weights that are not on this computer: what to do about it, and where they could come from."""

    sentence: str
    address: str = ""  # from which they would be downloaded; "" where they cannot be

    @property
    def can_start(self) -> bool:
        """Whether a run may get them by itself."""
        return bool(self.address)


def missing_weights(recipe: Recipe, has_network: Callable[[], bool] | None = None) -> MissingWeights | None:
    """The weights that the recipe asks for and that are not here; None where there is nothing to fetch."""
    source, backbone = recipe.trunk.weights, recipe.trunk.backbone
    if source == "none":
        return None
    if source.startswith(STORED_MODEL):
        name = source.removeprefix(STORED_MODEL)
        return None if (models_dir() / name).is_dir() else MissingWeights(f"There is no model '{name}' to start from.")
    if source != "imagenet":
        return None if is_regular(Path(source)) else MissingWeights(f"There is no weights file at {source}.")
    folders = weights_dirs()
    if any(
        is_regular(folder / f"{backbone}_notop{ending}") for folder in folders for ending in (".weights.h5", ".npz")
    ):
        return None
    if backbone not in _KERAS_FILES:
        return MissingWeights(
            f"The ImageNet weights of {backbone} are not on this computer, and Keras does not publish them. Put the "
            f"file {backbone}_notop.npz into {folders[0]}, or start from a stored model or without weights."
        )
    folder, file, size_mb = _KERAS_FILES[backbone]
    if is_regular(_keras_home() / "models" / file):
        return None
    manual = f"put the file {backbone}_notop.weights.h5 into {folders[0]}, or start from a stored model"
    if not (has_network or network_is_up)():
        return MissingWeights(
            f"The ImageNet weights of {backbone} are not on this computer, and it has no network: {manual}."
        )
    return MissingWeights(
        f"The ImageNet weights of {backbone} are not on this computer. The run downloads them first ({size_mb} MB). "
        f"Without access to the internet, {manual}.",
        f"{_SERVER}/{folder}/{file}",
    )


def check_download(missing: MissingWeights, ask: Callable[..., Any] = urllib.request.urlopen) -> None:
    """RecipeError where the server of the weights cannot be reached; nothing is downloaded."""
    try:
        ask(urllib.request.Request(missing.address, method="HEAD"), timeout=CHECK_S).close()
    except (OSError, ValueError) as error:
        raise RecipeError(
            f"The weights cannot be downloaded now, so nothing was started. {missing.sentence}", code="no-weights"
        ) from error


def network_is_up() -> bool:
    """Whether this computer has a network connection of any kind; nothing is sent to find out."""
    import psutil  # late: only where weights are missing

    stats = psutil.net_if_stats()
    return any(stat.isup and name != "lo" and "loopback" not in stat.flags for name, stat in stats.items())


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
