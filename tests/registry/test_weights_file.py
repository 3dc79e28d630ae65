import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cxr.core.errors import CxrError, RecipeError
from cxr.learning.network import build
from cxr.registry.weights_file import (
    LARGE,
    arrays_of,
    assign,
    halved,
    load_arrays,
    load_starting_weights,
    save_arrays,
    sha256,
)
from tests.support.training import tiny_recipe


@pytest.fixture
def model():
    return build(tiny_recipe(), 2).model


@pytest.fixture
def other():
    """A network like `model` with other weights."""
    return build(tiny_recipe(training={"seed": 9}), 2).model


@pytest.fixture
def arrays():
    return {"a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "a/bias": np.zeros(3, np.float32)}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def trunk_of(model):
    return {name: array for name, array in arrays_of(model.weights).items() if not name.startswith("logits")}


# Files


def test_arrays_are_kept_in_half_precision_only_where_that_loses_nothing():
    exact, finer, huge, few = (np.full(LARGE, value, np.float32) for value in (0.5, 0.1, 1e6, 0.25))
    kept = halved({"exact": exact, "finer": finer, "huge": huge, "few": few[:-1]})
    assert {name: array.dtype.name for name, array in kept.items()} == {
        "exact": "float16",
        "finer": "float32",
        "huge": "float32",
        "few": "float32",
    }
    assert np.array_equal(kept["exact"], exact)


def test_arrays_return_from_a_file_as_they_were(tmp_path, arrays):
    arrays["step"] = np.int64(7)
    save_arrays(tmp_path / "w.npz", arrays)
    loaded = load_arrays(tmp_path / "w.npz")
    assert same(loaded, arrays)
    assert loaded["a/kernel"].dtype == np.float32


def test_saving_replaces_the_file_and_leaves_nothing_beside_it(tmp_path, arrays):
    for value in (1, 2):
        save_arrays(tmp_path / "w.npz", arrays | {"a/bias": np.full(3, value)})
    assert load_arrays(tmp_path / "w.npz")["a/bias"].tolist() == [2, 2, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["w.npz"]


def test_a_save_that_fails_leaves_the_old_file_whole(tmp_path, arrays):
    class Unwilling:
        def __array__(self, dtype=None, copy=None):
            raise OSError("no space left")

    save_arrays(tmp_path / "w.npz", arrays)
    with pytest.raises(OSError, match="no space left"):
        save_arrays(tmp_path / "w.npz", {"a/bias": Unwilling()})
    assert same(load_arrays(tmp_path / "w.npz"), arrays)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CxrError, match="w.npz is not there"):
        load_arrays(tmp_path / "w.npz")


@pytest.mark.parametrize("cut", [0, 10, 200, -30])
def test_a_file_that_ends_early_is_refused(tmp_path, arrays, cut):
    path = tmp_path / "w.npz"
    save_arrays(path, arrays)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CxrError, match="w.npz is damaged or no weights file"):
        load_arrays(path)


def test_a_file_with_a_changed_byte_is_refused_or_read_but_never_a_crash(tmp_path, arrays):
    path = tmp_path / "w.npz"
    np.savez_compressed(path, **arrays)
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            load_arrays(path)
        except CxrError as error:
            assert "damaged" in str(error)  # noqa: PT017


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", pickle.dumps([1])])
def test_a_file_of_another_kind_is_refused(tmp_path, data):
    (tmp_path / "w.npz").write_bytes(data)
    with pytest.raises(CxrError, match="damaged or no weights file"):
        load_arrays(tmp_path / "w.npz")


def test_a_single_array_is_no_weights_file(tmp_path):
    with (tmp_path / "w.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(CxrError, match="damaged or no weights file"):
        load_arrays(tmp_path / "w.npz")


def test_a_zip_of_something_else_is_no_weights_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as parcel:
        parcel.writestr("readme.txt", "no arrays here")
    with pytest.raises(CxrError, match="damaged or no weights file"):
        load_arrays(tmp_path / "w.npz")


class Trap:
    """An object whose unpickling leaves a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_objects_are_refused_and_never_unpickled(tmp_path):
    trace = tmp_path / "trace"
    np.savez(tmp_path / "w.npz", a=np.array([Trap(trace)], dtype=object))
    with pytest.raises(CxrError, match="damaged or no weights file"):
        load_arrays(tmp_path / "w.npz")
    assert not trace.exists()


def test_text_is_no_weight(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.array(["one", "two"]))
    with pytest.raises(CxrError, match="damaged or no weights file"):
        load_arrays(tmp_path / "w.npz")


def test_a_file_s_hash_is_that_of_its_bytes(tmp_path):
    (tmp_path / "w.npz").write_bytes(b"abc")
    assert sha256(tmp_path / "w.npz") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# Assigning


def test_assigned_arrays_are_the_network_s_own(model, other):
    assign(model.weights, arrays_of(other.weights))
    assert same(arrays_of(model.weights), arrays_of(other.weights))


def missing(arrays):
    return {name: array for name, array in arrays.items() if name != "logits/bias"}


def extra(arrays):
    return arrays | {"logits/scale": np.zeros(2)}


def reshaped(arrays):
    return arrays | {"logits/bias": np.zeros(3, np.float32)}


@pytest.mark.parametrize(("spoil", "name"), [(missing, "bias"), (extra, "scale"), (reshaped, "bias")])
def test_arrays_that_do_not_fit_are_refused_by_name_and_change_nothing(model, other, spoil, name):
    before = arrays_of(model.weights)
    with pytest.raises(CxrError, match=f"do not fit this network: 'logits/{name}'"):
        assign(model.weights, spoil(arrays_of(other.weights)))
    assert same(arrays_of(model.weights), before)


# Starting weights


def starting(source, backbone="tiny", **sections):
    return tiny_recipe(trunk={"weights": source, "backbone": backbone}, **sections)


def test_from_none_the_weights_stay_as_they_were_built(model):
    before = arrays_of(model.weights)
    assert load_starting_weights(model, starting("none")) == "random"
    assert same(arrays_of(model.weights), before)


def test_from_a_file_the_trunk_is_copied_and_the_head_is_not(model, other, tmp_path):
    save_arrays(tmp_path / "w.npz", arrays_of(other.weights))
    head = np.asarray(model.get_layer("logits").kernel)
    assert load_starting_weights(model, starting(str(tmp_path / "w.npz"))) == "file w.npz"
    assert same(trunk_of(model), trunk_of(other))
    assert np.array_equal(model.get_layer("logits").kernel, head)


def test_a_file_without_a_head_is_enough(model, other, tmp_path):
    save_arrays(tmp_path / "w.npz", trunk_of(other))
    load_starting_weights(model, starting(str(tmp_path / "w.npz")))
    assert same(trunk_of(model), trunk_of(other))


def test_a_file_of_another_trunk_is_refused(model, tmp_path):
    save_arrays(tmp_path / "w.npz", {"conv1_conv/kernel": np.zeros((7, 7, 3, 64), np.float32)})
    with pytest.raises(RecipeError, match="w.npz do not fit: no 'block1_conv1/kernel'"):
        load_starting_weights(model, starting(str(tmp_path / "w.npz")))


def test_a_file_that_is_not_there_is_refused(model, tmp_path):
    with pytest.raises(RecipeError, match="neither imagenet, none, shelf:NAME nor a file"):
        load_starting_weights(model, starting(str(tmp_path / "w.npz")))


def test_other_files_than_npz_need_a_network_that_keras_has(model, tmp_path):
    (tmp_path / "w.h5").write_bytes(b"")
    with pytest.raises(RecipeError, match="Weights of tiny are read from .npz files, not from w.h5"):
        load_starting_weights(model, starting(str(tmp_path / "w.h5")))


def test_the_whitening_of_another_training_is_not_taken_over(tmp_path):
    settings = {"featurewise_center": True}
    new, old = (build(tiny_recipe(input=settings, training={"seed": seed}), 2).model for seed in (0, 9))
    old.get_layer("whitening").set_weights([np.float32(99), np.float32(9)])
    save_arrays(tmp_path / "w.npz", arrays_of(old.weights))
    load_starting_weights(new, starting(str(tmp_path / "w.npz"), input=settings))
    assert np.array_equal(new.get_layer("block1_conv1").kernel, old.get_layer("block1_conv1").kernel)
    assert float(new.get_layer("whitening").mean) == 0


def test_from_the_shelf_the_model_s_trunk_is_copied(model, other, home):
    (home / "models" / "mine").mkdir(parents=True)
    save_arrays(home / "models" / "mine" / "weights.npz", arrays_of(other.weights))
    assert load_starting_weights(model, starting("shelf:mine")) == "model mine"
    assert same(trunk_of(model), trunk_of(other))


def test_from_the_shelf_the_head_is_copied_where_it_is_to_be_kept(model, other, home):
    (home / "models" / "mine").mkdir(parents=True)
    save_arrays(home / "models" / "mine" / "weights.npz", arrays_of(other.weights))
    assert load_starting_weights(model, starting("shelf:mine", head={"keep": True})) == "model mine, its head too"
    assert same(arrays_of(model.weights), arrays_of(other.weights))


def test_a_head_of_another_shape_is_not_kept(model, home):
    (home / "models" / "mine").mkdir(parents=True)
    save_arrays(home / "models" / "mine" / "weights.npz", arrays_of(build(tiny_recipe(), 3).model.weights))
    with pytest.raises(RecipeError, match="model mine do not fit: no 'logits/kernel' of that shape"):
        load_starting_weights(model, starting("shelf:mine", head={"keep": True}))


@pytest.mark.parametrize("name", ["mine", "", "..", "../weights", "a/b"])
def test_a_model_that_is_not_on_the_shelf_is_refused(model, home, name):
    (home / "models").mkdir(parents=True)
    (home / "weights.npz").write_bytes(b"not of the shelf")
    with pytest.raises(RecipeError, match=f"no model '{name}' on the shelf"):
        load_starting_weights(model, starting(f"shelf:{name}"))


def test_imagenet_is_looked_for_in_the_folder_of_weights(home, monkeypatch, tmp_path):
    model, other = (build(starting("imagenet", "resnet18", training={"seed": s}), 2).model for s in (0, 9))
    save_arrays(tmp_path / "resnet18_notop.npz", trunk_of(other))
    monkeypatch.setenv("CXR_WEIGHTS", str(tmp_path))
    assert load_starting_weights(model, starting("imagenet", "resnet18")) == "ImageNet (resnet18_notop.npz)"
    assert same(trunk_of(model), trunk_of(other))


def test_without_a_named_folder_imagenet_is_looked_for_at_home(model, other, home, monkeypatch):
    monkeypatch.delenv("CXR_WEIGHTS", raising=False)
    (home / "weights").mkdir(parents=True)
    save_arrays(home / "weights" / "tiny_notop.npz", trunk_of(other))
    assert load_starting_weights(model, starting("imagenet")) == "ImageNet (tiny_notop.npz)"
    assert same(trunk_of(model), trunk_of(other))


def test_imagenet_weights_that_cannot_be_had_are_asked_for(model, home, monkeypatch, tmp_path):
    monkeypatch.setenv("CXR_WEIGHTS", str(tmp_path))
    with pytest.raises(RecipeError, match="put resnet18_notop.npz into weights/, or start from a file"):
        load_starting_weights(model, starting("imagenet", "resnet18"))
