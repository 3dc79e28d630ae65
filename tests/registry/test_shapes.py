"""The shapes that a recipe demands are those of the network that is built by it."""

from __future__ import annotations

import pytest

from cxr.inference.input_check.findings import KINDS
from cxr.learning.network import build
from cxr.registry.input_check_file import KIND_COUNT
from cxr.registry.recipe import Recipe, built_in_names
from cxr.registry.shapes import expected_shapes, feature_count
from cxr.registry.weights_file import shapes_of

BACKBONES = ("vgg16", "vgg19", "resnet18", "resnet50", "tiny")
ODD_SIZES = (33, 47, 65, 95, 150)
HEADS = ({"pool": "flatten", "dense": [5]}, {"pool": "average"}, {"pool": "max", "dense": [7, 3], "dropout": 0.5})
WHITENING = (
    {"featurewise_center": True},
    {"featurewise_std": True},
    {"zca": True},
    {"zca": True, "featurewise_std": True},
)


def assert_same(recipe: Recipe, classes: int, zca_rank: int = 0) -> None:
    network = build(recipe, classes, zca_rank=zca_rank)
    assert shapes_of(network.model.weights) == expected_shapes(recipe, classes, zca_rank)
    assert network.maps_and_features.output[1].shape[-1] == feature_count(recipe.trunk.backbone)


@pytest.mark.parametrize("name", built_in_names())
def test_of_every_built_in_recipe(name: str) -> None:
    recipe = Recipe.read(name)
    assert_same(recipe, len(recipe.data.classes) or 4, 7 if recipe.input.zca else 0)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("size_px", ODD_SIZES)
def test_of_every_backbone_at_odd_sizes(backbone: str, size_px: int) -> None:
    trunk = {"backbone": backbone, "weights": "none"}
    assert_same(Recipe.from_table({"input": {"size_px": size_px}, "trunk": trunk, "head": HEADS[0]}), 3)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("whitening", WHITENING)
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_of_every_head_output_and_whitening(head: dict[str, object], whitening: dict[str, bool], output: str) -> None:
    table = {"input": {"size_px": 32} | whitening, "trunk": {"backbone": "tiny", "weights": "none"}}
    assert_same(Recipe.from_table(table | {"head": head | {"output": output}}), 2, zca_rank=6)


def test_a_stored_input_check_has_as_many_kinds_as_the_detector_knows() -> None:
    assert len(KINDS) == KIND_COUNT
