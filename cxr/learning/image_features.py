"""Features of a dataset's X-rays by a frozen backbone: the mean of each channel at the end of each block.

By ImageNet's VGG16, which saw no X-ray, or by a stored model. Computed once for each image and kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.datasets.dataset import Dataset
from cxr.registry.recipe import Recipe
from cxr.registry.verification import load_verified
from cxr.registry.weights_file import assign

if TYPE_CHECKING:
    from cxr.learning.network import Network

IMAGENET = "imagenet"  # the name of the backbone that was trained on photographs alone
IMAGENET_RECIPE = "vgg16-default"

Progress = Callable[[int, int], None]
BuildNetwork = Callable[[str], "tuple[Network, Recipe]"]
Choose = Callable[[Sequence[str]], "NDArray[np.bool_]"]  # which of the X-rays with these ids


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """The features of the X-rays that can be read, in the dataset's order."""

    backbone: str  # IMAGENET, or name@version of a stored model
    values: NDArray[np.float32]  # (films, features)
    films: Dataset  # with `film`, the id of each
    unreadable: dict[str, str]  # path -> reason
    last: int  # how many of the features, the last ones, are of the last block

    @property
    def digest(self) -> str:
        """A text that differs where the backbone, the X-rays by their bytes, or what is known of them does.

        The features follow from these, up to rounding, so they take no part.
        """
        return f"{self.backbone} {self.films.digest}"

    @property
    def last_block(self) -> NDArray[np.float32]:
        """The features of the backbone's last block, which know most of what is seen and least of how."""
        return self.values[:, -self.last :]


def image_features(
    backbone: str,
    dataset: Dataset,
    progress: Progress,
    network_of: BuildNetwork | None = None,
    choose: Choose | None = None,
) -> ImageFeatures:
    """The features of the dataset's X-rays by ImageNet's VGG16 or by the stored model of this name.

    With `choose`, of the chosen ones only: it is asked once all are read, before the first is computed.
    """
    from cxr.learning.features import feature_table, pixel_table

    network, recipe = (network_of or backbone_network)(backbone)
    pixels = pixel_table(dataset, recipe.input.size_px, progress)
    rows = np.array([i for i in range(len(dataset)) if i not in pixels.unreadable], np.int64)
    if not len(rows):
        raise DatasetError("None of the X-rays can be read.", code="none-readable")
    ids = np.array([pixels.digests[i].hex()[:16] for i in rows])
    if choose:
        chosen = choose(ids.tolist())
        rows, ids = rows[chosen], ids[chosen]
    table = feature_table(_features_of(network), recipe, rows, pixels, 0, progress)
    films = dataset.where(np.isin(np.arange(len(dataset)), rows)).with_column("film", ids.tolist())
    paths = dataset.table["path"]
    return ImageFeatures(
        backbone=_version_of(backbone),
        values=np.asarray(table.take(rows), np.float32),
        films=films,
        unreadable={str(paths.iloc[i]): reason for i, reason in pixels.unreadable.items()},
        last=int(network.model.get_layer(network.target).output.shape[-1]),
    )


def backbone_network(name: str) -> tuple[Network, Recipe]:
    """The network whose backbone is asked, in float32, and its recipe."""
    from cxr.learning.device import find_device

    find_device("float32")  # first: it imports TensorFlow without its messages
    from cxr.learning.network import build
    from cxr.learning.starting_weights import load_starting_weights

    if name == IMAGENET:
        recipe = Recipe.read(IMAGENET_RECIPE)
        network = build(recipe, 2)
        load_starting_weights(network.model, recipe)
        return network, recipe
    model = load_verified(name)
    network = build(model.recipe, len(model.card.classes), "float32", model.card.zca_rank)
    assign(network.model.weights, model.arrays)
    return network, model.recipe


def _features_of(network: Network) -> Any:
    import keras

    whole = network.maps_and_features
    return keras.Model(whole.input, whole.outputs[1])


def _version_of(name: str) -> str:
    from cxr.registry.stored_models import get_card

    return name if name == IMAGENET else f"{name}@{get_card(name).version}"
