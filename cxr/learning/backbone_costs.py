"""The trunks by their blocks: what each block costs, and from where on a trunk can be trained. No TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from cxr.core.errors import RecipeError
from cxr.registry.recipe import Recipe


@dataclass(frozen=True)
class Block:
    """What one block of a trunk costs for a film of 224 px."""

    gmac: float  # thousand million multiplications
    weights_m: float
    maps_m: float  # values of all its layers' maps, in millions


# Counted over the layers that `network.build` makes; a test counts again.
TRUNKS: dict[str, dict[str, Block]] = {
    "vgg16": {
        "block1": Block(1.936, 0.039, 7.225),
        "block2": Block(2.775, 0.221, 3.613),
        "block3": Block(4.624, 1.475, 2.609),
        "block4": Block(4.624, 5.900, 1.305),
        "block5": Block(1.387, 7.079, 0.326),
    },
    "vgg19": {
        "block1": Block(1.936, 0.039, 7.225),
        "block2": Block(2.775, 0.221, 3.613),
        "block3": Block(6.474, 2.065, 3.412),
        "block4": Block(6.474, 8.260, 1.706),
        "block5": Block(1.850, 9.439, 0.426),
    },
    "resnet50": {
        "conv1": Block(0.118, 0.010, 3.599),
        "conv2": Block(0.668, 0.220, 14.852),
        "conv3": Block(0.951, 1.230, 9.634),
        "conv4": Block(1.387, 7.129, 7.025),
        "conv5": Block(0.732, 14.999, 1.857),
    },
    "resnet18": {
        "conv1": Block(0.118, 0.010, 3.599),
        "conv2": Block(0.462, 0.148, 3.671),
        "conv3": Block(0.411, 0.527, 2.167),
        "conv4": Block(0.411, 2.102, 1.115),
        "conv5": Block(0.411, 8.399, 0.591),
    },
    "tiny": {
        "block1": Block(0.0108, 0.000, 0.502),
        "block2": Block(0.0145, 0.001, 0.251),
        "block3": Block(0.0072, 0.002, 0.050),
    },
}


def blocks(backbone: str) -> list[str]:
    """From which blocks on a trunk can be trained."""
    return list(TRUNKS[backbone])


def must_be_trainable(recipe: Recipe) -> None:
    """RecipeError where the trunk has no such block."""
    known = ["head", *blocks(recipe.trunk.backbone), "all"]
    if recipe.trunk.train not in known:
        raise RecipeError(
            f"trunk.train = '{recipe.trunk.train}' is no block of {recipe.trunk.backbone}. Known: {', '.join(known)}."
        )
