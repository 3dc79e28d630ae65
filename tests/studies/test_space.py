"""A search space says what may be tried for each hyperparameter; what cannot be tried is refused with a code."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from cxr.core.errors import RecipeError
from cxr.registry.recipe import Recipe
from cxr.studies.space import Dimension, Space, searchable

TEXT = """
[optimiser]
rate = { low = 1e-5, high = 1e-2, scale = "log" }
[head]
dropout = { low = 0.0, high = 0.6, step = 0.1 }
dense = { choices = [[], [256], [512, 128]] }
[training]
batch = { low = 8, high = 64 }
class_weights = { choices = ["none", "balanced"] }
"""


def test_a_space_is_read_from_toml_and_written_to_it() -> None:
    space = Space.from_toml(TEXT)
    assert [dimension.key for dimension in space.dimensions] == [
        "head.dense",
        "head.dropout",
        "optimiser.rate",
        "training.batch",
        "training.class_weights",
    ]
    assert Space.from_toml(space.to_toml()) == space
    space.check(Recipe.read("vgg16-default"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("optimiser = 3", "recipe.space"),
        ("optimiser.rate = 3", "recipe.space"),
        ("optimiser.rate = { low = 1 }", "recipe.space"),
        ("optimiser.rate = { low = 1, high = 2, width = 3 }", "recipe.space"),
        ("optimiser.rate = { low = 2, high = 1 }", "recipe.space-bounds"),
        ('optimiser.rate = { low = 0, high = 1, scale = "log" }', "recipe.space-bounds"),
        ('optimiser.rate = { low = 1e-3, high = 1, scale = "log", step = 0.1 }', "recipe.space-bounds"),
        ("optimiser.rate = { low = nan, high = 1 }", "recipe.space"),
        ("training.batch = { low = 1.5, high = 8 }", "recipe.space-bounds"),
        ("training.batch = { low = 8, high = 16, step = 20 }", "recipe.space-bounds"),
        ("training.class_weights = { low = 0, high = 1 }", "recipe.space"),
        ("training.class_weights = { choices = [] }", "recipe.space"),
        ("training.class_weights = { choices = [1] }", "recipe.space"),
        ('training.class_weights = { choices = ["none", "none"] }', "recipe.space"),
        ("head.dropout = { choices = [0.1], low = 0 }", "recipe.space"),
        ("head.size = { low = 0, high = 1 }", "recipe.not-searchable"),
        ("data.validation = { low = 0.1, high = 0.2 }", "recipe.not-searchable"),
        ("training.seed = { low = 0, high = 9 }", "recipe.not-searchable"),
        ("decision.sure = { low = 0.6, high = 0.9 }", "recipe.not-searchable"),
        ("[[[", "recipe.not-toml"),
    ],
)
def test_what_is_no_space_is_refused(text: str, code: str) -> None:
    with pytest.raises(RecipeError) as error:
        Space.from_toml(text)
    assert error.value.code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "recipe.empty-space"),
        ("head.dropout = { low = 0.0, high = 1.5 }", "recipe.invalid"),
        ("training.epochs = { low = 0, high = 5 }", "recipe.invalid"),
        ('optimiser.schedule = { choices = ["constant", "cosine"] }', "recipe.invalid"),  # with warmup epochs
    ],
)
def test_values_that_the_recipe_cannot_have_are_refused(text: str, code: str) -> None:
    with pytest.raises(RecipeError) as error:
        Space.from_toml(text).check(Recipe.read("vgg16-default"))
    assert error.value.code == code


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as error:
        Space.read(tmp_path / "none.toml")
    assert error.value.code == "recipe.unreadable"


def test_the_number_of_different_trials_is_known_where_it_is_finite() -> None:
    assert Space.from_toml("head.dropout = { low = 0.0, high = 0.6, step = 0.2 }").size == 4
    assert Space.from_toml("training.batch = { low = 8, high = 64 }\nhead.dense = { choices = [[], [8]] }").size == 114
    assert Space.from_toml(TEXT).size == inf


def test_a_dimension_knows_the_values_that_it_has() -> None:
    steps = Dimension("head.dropout", 0.0, 0.6, step=0.1)
    assert [value for value in (0.0, 0.3, 0.6, 0.25, 0.7) if steps.contains(value)] == [0.0, 0.3, 0.6]
    assert Dimension("head.dense", choices=((), (8,))).contains((8,))
    assert not Dimension("optimiser.rate", 1e-5, 1e-2, "log").contains(0.1)


def test_what_decides_on_the_validation_images_is_not_searched() -> None:
    keys = searchable().keys()
    assert {"optimiser.rate", "head.dense", "trunk.train", "augmentation.noise"} <= keys
    assert not any(key.startswith(("data.", "decision.")) for key in keys)
