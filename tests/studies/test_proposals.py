"""Every recipe has a space that suits it, and presets that need no choice."""

from __future__ import annotations

import pytest

from cxr.registry.recipe import Recipe, built_in_names
from cxr.studies.proposals import PRESETS, PresetName, dimension_for, preset_space, proposed_space
from cxr.studies.search import Search
from cxr.studies.space import Space, searchable

SEARCHING = [PresetName.QUICK, PresetName.BALANCED, PresetName.THOROUGH]


@pytest.mark.parametrize("name", built_in_names())
def test_each_preset_suits_each_recipe_and_has_its_own_values(name: str) -> None:
    recipe = Recipe.read(name)
    sizes = []
    for preset in SEARCHING:
        space = preset_space(recipe, preset)
        space.check(recipe)
        assert Space.from_toml(space.to_toml()) == space
        assert Search(space, "val_auc", 0, PRESETS[preset].trials).first_values(recipe) is not None
        sizes.append(len(space.dimensions))
    assert 2 <= sizes[0] < sizes[1] < sizes[2]
    assert PRESETS[PresetName.QUICK].trials < PRESETS[PresetName.BALANCED].trials


def test_the_trials_of_a_frozen_recipe_share_their_features() -> None:
    recipe = Recipe.read("vgg16-broad", ["trunk.train=head", "training.views=4"])
    sections = {dimension.key.partition(".")[0] for dimension in proposed_space(recipe).dimensions}
    assert sections <= {"optimiser", "training", "head"}


def test_a_recipe_that_augments_anew_may_search_its_augmentation() -> None:
    keys = {dimension.key for dimension in proposed_space(Recipe.read("vgg16-broad")).dimensions}
    assert {"augmentation.rotation_deg", "augmentation.crop_area", "trunk.train"} <= keys
    assert "augmentation.flip_vertical" not in keys


@pytest.mark.parametrize("key", list(searchable()))
def test_any_hyperparameter_can_be_searched_with_bounds_of_its_own(key: str) -> None:
    dimension = dimension_for(Recipe.read("vgg16-default"), key)
    space = Space((dimension,))
    assert Space.from_toml(space.to_toml()).dimensions[0].key == key
    assert len(set(dimension.extremes)) > 1 or dimension.item.kind in ("text", "numbers")
