"""The cost of each block of each backbone, and the blocks from which it can be trained. Needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from cxr.core.errors import RecipeError
from cxr.registry.recipe import Recipe


@dataclass(frozen=True)
class BlockCost:
    """The cost of one block of a backbone for an image of 224 px."""

    gmac: float  # billions of multiply-accumulate operations
    weights_m: float  # millions of weights
    maps_m: float  # millions of values in the feature maps of its layers


# Counted over the layers that `network.build` makes; a test counts them again.
BLOCK_COSTS: dict[str, dict[str, BlockCost]] = {
    "vgg16": {
        "block1": BlockCost(1.936, 0.039, 7.225),
        "block2": BlockCost(2.775, 0.221, 3.613),
        "block3": BlockCost(4.624, 1.475, 2.609),
        "block4": BlockCost(4.624, 5.900, 1.305),
        "block5": BlockCost(1.387, 7.079, 0.326),
    },
    "vgg19": {
        "block1": BlockCost(1.936, 0.039, 7.225),
        "block2": BlockCost(2.775, 0.221, 3.613),
        "block3": BlockCost(6.474, 2.065, 3.412),
        "block4": BlockCost(6.474, 8.260, 1.706),
        "block5": BlockCost(1.850, 9.439, 0.426),
    },
    "resnet50": {
        "conv1": BlockCost(0.118, 0.010, 3.599),
        "conv2": BlockCost(0.668, 0.220, 14.852),
        "conv3": BlockCost(0.951, 1.230, 9.634),
        "conv4": BlockCost(1.387, 7.129, 7.025),
        "conv5": BlockCost(0.732, 14.999, 1.857),
    },
    "resnet18": {
        "conv1": BlockCost(0.118, 0.010, 3.599),
        "conv2": BlockCost(0.462, 0.148, 3.671),
        "conv3": BlockCost(0.411, 0.527, 2.167),
        "conv4": BlockCost(0.411, 2.102, 1.115),
        "conv5": BlockCost(0.411, 8.399, 0.591),
    },
    "tiny": {
        "block1": BlockCost(0.0108, 0.000, 0.502),
        "block2": BlockCost(0.0145, 0.001, 0.251),
        "block3": BlockCost(0.0072, 0.002, 0.050),
    },
}


def block_names(backbone: str) -> list[str]:
    """The names of the backbone's blocks, from the input on; training can start at each."""
    return list(BLOCK_COSTS[backbone])


def check_trainable_layers(recipe: Recipe) -> None:
    """RecipeError if the backbone has no block of the name `trunk.train`."""
    known = ["head", *block_names(recipe.trunk.backbone), "all"]
    if recipe.trunk.train not in known:
        raise RecipeError(
            f"trunk.train = '{recipe.trunk.train}' is not a block of {recipe.trunk.backbone}. Use one of "
            f"{', '.join(known)}.",
            code="no-block",
        )
