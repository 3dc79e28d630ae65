"""Weights that a training starts from: ImageNet's, a file's, a stored model's, and what is refused as such."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from cxr.core.errors import CxrError, RecipeError, RegistryError
from cxr.learning.network import build
from cxr.learning.starting_weights import has_only_numeric_arrays, load_starting_weights
from cxr.registry import registry
from cxr.registry.card import WEIGHTS, ModelDraft
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import arrays_of, save_arrays
from tests.support.small_models import TABLE
from tests.support.training import tiny_recipe

Arrays = dict[str, NDArray[Any]]
CLASSES = ("normal", "viral", "bacterial")


@pytest.fixture
def model() -> keras.Model:
    return build(tiny_recipe(), 2).model


@pytest.fixture
def other() -> keras.Model:
    """A network like `model` with other weights."""
    return build(tiny_recipe(training={"seed": 9}), 2).model


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CXR_HOME", str(tmp_path))
    return tmp_path


def same(a: Arrays, b: Arrays) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def backbone_of(model: keras.Model) -> Arrays:
    return {name: array for name, array in arrays_of(model.weights).items() if not name.startswith("logits")}


def starting(source: str | Path, backbone: str = "tiny", **sections: dict[str, object]) -> Recipe:
    return tiny_recipe(trunk={"weights": str(source), "backbone": backbone}, **sections)


def store(network: keras.Model, classes: int = 2) -> None:
    """Store the network under the name "mine"."""
    draft = ModelDraft(name="mine", classes=CLASSES[:classes])
    registry.store(registry.NewModel(draft, tiny_recipe(), arrays_of(network.weights), TABLE))


def code_of(recipe: Recipe, model: keras.Model | None = None) -> str:
    with pytest.raises(RecipeError) as raised:
        load_starting_weights(model, recipe)
    return raised.value.code


def test_from_none_the_weights_stay_as_they_were_built(model: keras.Model) -> None:
    before = arrays_of(model.weights)
    assert load_starting_weights(model, starting("none")) == "random"
    assert same(arrays_of(model.weights), before)


# Files


def test_from_a_file_the_backbone_is_copied_and_the_head_is_not(
    model: keras.Model, other: keras.Model, tmp_path: Path
) -> None:
    save_arrays(tmp_path / "w.npz", arrays_of(other.weights))
    head = np.asarray(model.get_layer("logits").kernel)
    assert load_starting_weights(model, starting(tmp_path / "w.npz")) == "file w.npz"
    assert same(backbone_of(model), backbone_of(other))
    assert np.array_equal(model.get_layer("logits").kernel, head)


def test_a_file_without_a_head_is_enough(model: keras.Model, other: keras.Model, tmp_path: Path) -> None:
    save_arrays(tmp_path / "w.npz", backbone_of(other))
    load_starting_weights(model, starting(tmp_path / "w.npz"))
    assert same(backbone_of(model), backbone_of(other))


def test_a_file_of_another_backbone_is_refused(model: keras.Model, tmp_path: Path) -> None:
    save_arrays(tmp_path / "w.npz", {"conv1_conv/kernel": np.zeros((7, 7, 3, 64), np.float32)})
    assert code_of(starting(tmp_path / "w.npz"), model) == "recipe.weights-do-not-fit"


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_starting_weights_that_are_not_finite_are_refused(model: keras.Model, tmp_path: Path, value: float) -> None:
    arrays = {name: array.astype(np.float64) for name, array in arrays_of(model.weights).items()}
    arrays["block1_conv1/kernel"].flat[0] = value
    save_arrays(tmp_path / "w.npz", arrays)
    with pytest.raises(CxrError) as raised:
        load_starting_weights(model, starting(tmp_path / "w.npz"))
    assert raised.value.code == "error.not-finite"


def test_a_file_that_does_not_exist_is_refused(model: keras.Model, tmp_path: Path) -> None:
    assert code_of(starting(tmp_path / "w.npz"), model) == "recipe.no-weights"


@pytest.mark.parametrize("name", ["pipe.npz", "pipe.weights.h5"])
def test_a_pipe_is_refused_and_never_waited_for(model: keras.Model, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert code_of(starting(tmp_path / name, "vgg16"), model) == "recipe.no-weights"


def test_other_files_than_npz_need_a_network_that_keras_publishes(model: keras.Model, tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(b"")
    assert code_of(starting(tmp_path / "w.h5"), model) == "recipe.weights-file"


def test_the_whitening_of_another_training_is_not_copied(tmp_path: Path) -> None:
    settings: dict[str, object] = {"featurewise_center": True}
    new, old = (build(tiny_recipe(input=settings, training={"seed": seed}), 2).model for seed in (0, 9))
    old.get_layer("whitening").set_weights([np.float32(99), np.float32(9)])
    save_arrays(tmp_path / "w.npz", arrays_of(old.weights))
    load_starting_weights(new, starting(tmp_path / "w.npz", input=settings))
    assert np.array_equal(new.get_layer("block1_conv1").kernel, old.get_layer("block1_conv1").kernel)
    assert float(new.get_layer("whitening").mean) == 0


# Stored models


def test_from_a_stored_model_the_backbone_is_copied(model: keras.Model, other: keras.Model, home: Path) -> None:
    store(other)
    assert load_starting_weights(model, starting("shelf:mine")) == "model mine"
    assert same(backbone_of(model), backbone_of(other))


def test_from_a_stored_model_the_head_is_copied_where_it_is_kept(
    model: keras.Model, other: keras.Model, home: Path
) -> None:
    store(other)
    assert load_starting_weights(model, starting("shelf:mine", head={"keep": True})) == "model mine, including its head"
    assert same(arrays_of(model.weights), arrays_of(other.weights))


def test_a_head_of_another_shape_is_not_kept(model: keras.Model, home: Path) -> None:
    store(build(tiny_recipe(), 3).model, classes=3)
    assert code_of(starting("shelf:mine", head={"keep": True}), model) == "recipe.weights-do-not-fit"


@pytest.mark.parametrize("name", ["mine", "", "..", "../weights", "a/b", "../x", "/etc", "a/../../b"])
def test_a_model_that_is_not_stored_is_refused(model: keras.Model, home: Path, name: str) -> None:
    (home / "models").mkdir(parents=True)
    (home / WEIGHTS).write_bytes(b"not of a stored model")
    assert code_of(starting(f"shelf:{name}"), model) == "recipe.no-weights"


def test_a_stored_model_that_was_changed_is_refused_and_nothing_of_it_is_used(
    model: keras.Model, other: keras.Model, home: Path
) -> None:
    store(other)
    path, before = home / "models" / "mine" / WEIGHTS, arrays_of(model.weights)
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)
    with pytest.raises(RegistryError) as raised:
        load_starting_weights(model, starting("shelf:mine"))
    assert raised.value.code == "registry.hash"
    assert same(arrays_of(model.weights), before)


# ImageNet


def test_imagenet_weights_are_taken_from_the_folder_of_weights(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, other = (build(starting("imagenet", "resnet18", training={"seed": s}), 2).model for s in (0, 9))
    save_arrays(tmp_path / "resnet18_notop.npz", backbone_of(other))
    monkeypatch.setenv("CXR_WEIGHTS", str(tmp_path))
    assert load_starting_weights(model, starting("imagenet", "resnet18")) == "ImageNet (resnet18_notop.npz)"
    assert same(backbone_of(model), backbone_of(other))


def test_without_a_named_folder_imagenet_weights_are_taken_from_home(
    model: keras.Model, other: keras.Model, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CXR_WEIGHTS", raising=False)
    (home / "weights").mkdir(parents=True)
    save_arrays(home / "weights" / "tiny_notop.npz", backbone_of(other))
    assert load_starting_weights(model, starting("imagenet")) == "ImageNet (tiny_notop.npz)"
    assert same(backbone_of(model), backbone_of(other))


def test_imagenet_weights_that_nobody_publishes_are_asked_for(
    model: keras.Model, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CXR_WEIGHTS", str(tmp_path))
    assert code_of(starting("imagenet", "resnet18"), model) == "recipe.no-weights"


# HDF5 files that lead elsewhere


def external_link(file: h5py.File) -> None:
    file["layer"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(file: h5py.File) -> None:
    file["layer"] = h5py.SoftLink("/elsewhere")


def external_data(file: h5py.File) -> None:
    file.create_dataset("layer", (8,), "u1", external=[("/etc/passwd", 0, 8)])


def virtual_data(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((8,), "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (8,))
    file.create_virtual_dataset("layer", layout)


def huge_data(file: h5py.File) -> None:
    file.create_dataset("layer", (1 << 20, 1 << 20), "f4", chunks=(64, 64))


def objects(file: h5py.File) -> None:
    file.create_dataset("layer", (2,), h5py.special_dtype(vlen=np.float32))


@pytest.mark.parametrize("harm", [external_link, soft_link, external_data, virtual_data, huge_data, objects])
def test_an_hdf5_file_that_holds_more_than_numbers_is_never_given_to_keras(
    harm: Callable[[h5py.File], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vgg16.weights.h5"
    with h5py.File(path, "w") as file:
        harm(file)
    assert not has_only_numeric_arrays(path)
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_, **__: pytest.fail("Keras was given the file"))
    recipe = Recipe.from_table({"name": "x", "trunk": {"backbone": "vgg16", "weights": str(path)}})
    assert code_of(recipe) == "recipe.weights-file"


def test_an_hdf5_file_of_arrays_in_groups_has_only_numeric_arrays(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_group("layers").create_dataset("kernel", data=np.zeros((2, 3)))
    assert has_only_numeric_arrays(tmp_path / "w.h5")
