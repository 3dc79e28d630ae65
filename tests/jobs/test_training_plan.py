"""A training is checked before it starts."""

from dataclasses import replace

import pytest

from cxr.core.access import Person, acting_as
from cxr.core.errors import DatasetError, RecipeError, RegistryError
from cxr.datasets.dataset import Dataset
from cxr.jobs.estimate import check_memory
from cxr.jobs.training_plan import plan
from cxr.registry.recipe import Recipe, built_in_names
from tests.support.training import tiny_recipe


def test_a_plan_with_wrong_films_classes_or_name_is_refused(home, phantoms):
    with pytest.raises(DatasetError) as error:
        plan(tiny_recipe(), ["no-such-folder"], "tiny")
    assert error.value.code == "dataset.not-a-dataset"
    with pytest.raises(DatasetError) as error:
        plan(tiny_recipe(data={"classes": ["normal", "tuberculosis"]}), [str(phantoms)], "tiny")
    assert error.value.code == "dataset.class-missing-in-train"
    with pytest.raises(RegistryError) as refused:
        plan(tiny_recipe(), [str(phantoms)], "../tiny")
    assert refused.value.code == "registry.invalid-name"
    with pytest.raises(DatasetError) as error:
        plan(tiny_recipe(), [str(phantoms), str(phantoms)], "tiny")
    assert error.value.code == "dataset.given-twice"


def test_a_plan_has_absolute_paths(home, phantoms, monkeypatch):
    monkeypatch.chdir(phantoms.parent)
    assert plan(tiny_recipe(), [phantoms.name], None).inputs == (str(phantoms.resolve()),)


def test_a_head_can_be_kept_only_for_the_same_classes(trained, phantoms):
    kept = tiny_recipe(trunk={"weights": "shelf:first"}, head={"keep": True})
    assert Recipe.from_toml(plan(kept, [str(phantoms)], "child").training.recipe_toml).head.keep
    fewer = kept.model_copy(update={"data": kept.data.model_copy(update={"classes": ("normal", "viral")})})
    with pytest.raises(RecipeError) as error:
        plan(fewer, [str(phantoms)], "child")
    assert error.value.code == "recipe.other-classes"


def test_a_sigmoid_for_four_classes_is_refused(home, phantoms):
    with pytest.raises(RecipeError) as error:
        plan(tiny_recipe(head={"output": "sigmoid"}), [str(phantoms)], "tiny")
    assert error.value.code == "recipe.sigmoid-classes"


def test_a_block_that_the_backbone_lacks_is_refused(home, phantoms):
    with pytest.raises(RecipeError) as error:
        plan(tiny_recipe(trunk={"train": "block5"}), [str(phantoms)], "tiny")
    assert error.value.code == "recipe.no-block"


def test_a_weights_file_gets_an_absolute_path(home, phantoms, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trunk.npz").touch()
    job = plan(tiny_recipe(trunk={"weights": "trunk.npz"}), [str(phantoms)], "tiny")
    assert Recipe.from_toml(job.training.recipe_toml).trunk.weights == str(tmp_path / "trunk.npz")
    with pytest.raises(RecipeError, match="nowhere.npz"):
        plan(tiny_recipe(trunk={"weights": "nowhere.npz"}), [str(phantoms)], "tiny")


def test_a_training_that_needs_more_memory_than_there_is_is_refused(home, phantoms):
    huge = tiny_recipe(trunk={"backbone": "vgg16", "train": "all"}, input={"size_px": 1024}, training={"batch": 1024})
    with pytest.raises(RecipeError) as error:
        check_memory(huge, total_bytes=64_000_000_000)
    assert error.value.code == "recipe.memory"
    check_memory(tiny_recipe(), total_bytes=8_000_000_000)
    check_memory(Recipe.read("vgg16-default"), total_bytes=8_000_000_000)
    with pytest.raises(RecipeError):
        check_memory(tiny_recipe(), total_bytes=100_000_000)


@pytest.mark.parametrize("name", built_in_names())
def test_the_recipes_that_come_with_the_library_fit_into_16_gb(name):
    check_memory(Recipe.read(name), total_bytes=16_000_000_000)


def test_a_person_who_signed_in_names_no_weights_outside_of_their_folder(home, phantoms, tmp_path, monkeypatch):
    (tmp_path / "trunk.npz").touch()
    monkeypatch.setenv("CXR_WEIGHTS", str(tmp_path / "weights"))
    with acting_as(Person("guest@example.org", "trainer")), pytest.raises(RecipeError) as error:
        plan(tiny_recipe(trunk={"weights": str(tmp_path / "trunk.npz")}), [str(phantoms)], "tiny")
    assert error.value.code == "recipe.no-weights"


def test_a_dataset_that_is_open_is_not_opened_again(home, phantoms):
    dataset = Dataset.open(phantoms)
    job = plan(tiny_recipe(), ["moved since"], "tiny", dataset=dataset)
    assert job == replace(plan(tiny_recipe(), [str(phantoms)], "tiny"), inputs=job.inputs)
