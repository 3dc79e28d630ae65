"""Files of numbers alone: what is written is read again, and nothing else is."""

from __future__ import annotations

import io
import pickle
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from cxr.core.errors import CxrError
from cxr.learning.network import build
from cxr.registry.weights_file import (
    LARGE,
    arrays_of,
    assign,
    halved,
    load_arrays,
    parse_arrays,
    round_to_half,
    save_arrays,
    sha256,
    to_bytes,
)
from tests.support.training import tiny_recipe

Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def model() -> keras.Model:
    return build(tiny_recipe(), 2).model


@pytest.fixture
def other() -> keras.Model:
    """A network like `model` with other weights."""
    return build(tiny_recipe(training={"seed": 9}), 2).model


@pytest.fixture
def arrays() -> Arrays:
    return {"a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "a/bias": np.zeros(3, np.float32)}


def same(a: Arrays, b: Arrays) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(CxrError) as raised:
        call()
    return raised.value.code


# Writing and reading


def test_arrays_are_stored_in_half_precision_only_where_that_loses_nothing() -> None:
    exact, finer, huge, few = (np.full(LARGE, value, np.float32) for value in (0.5, 0.1, 1e6, 0.25))
    written = halved({"exact": exact, "finer": finer, "huge": huge, "few": few[:-1]})
    assert {name: array.dtype.name for name, array in written.items()} == {
        "exact": "float16",
        "finer": "float32",
        "huge": "float32",
        "few": "float32",
    }
    assert np.array_equal(written["exact"], exact)


@pytest.mark.parametrize("bits", [10, 5])
def test_large_weights_keep_so_many_bits_of_their_fractions_and_pack_the_better(bits: int) -> None:
    drawn = np.random.default_rng(0).normal(size=LARGE).astype(np.float32)
    large, small = keras.Variable(drawn), keras.Variable(drawn[:10])
    round_to_half([large, small], bits)
    kept = np.asarray(large)
    np.testing.assert_array_equal(np.asarray(small), drawn[:10])
    np.testing.assert_array_equal(kept, kept.astype(np.float16))
    np.testing.assert_allclose(kept, drawn, rtol=2.0 ** -(bits + 1), atol=1e-7)
    fraction = kept.view(np.uint32) & np.uint32((1 << 23) - 1)
    assert not (fraction & np.uint32((1 << (23 - bits)) - 1)).any()
    packed = [len(zlib.compress(values.astype(np.float16).tobytes())) for values in (kept, drawn)]
    assert packed[0] < (0.8 if bits == 5 else 1.01) * packed[1]


def test_arrays_return_from_a_file_as_they_were(tmp_path: Path, arrays: Arrays) -> None:
    arrays["step"] = np.asarray(7)
    save_arrays(tmp_path / "w.npz", arrays)
    loaded = load_arrays(tmp_path / "w.npz")
    assert same(loaded, arrays)
    assert loaded["a/kernel"].dtype == np.float32


def test_saving_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path, arrays: Arrays) -> None:
    for value in (1, 2):
        save_arrays(tmp_path / "w.npz", arrays | {"a/bias": np.full(3, value)})
    assert load_arrays(tmp_path / "w.npz")["a/bias"].tolist() == [2, 2, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["w.npz"]


def test_a_save_that_fails_leaves_the_old_file_whole(tmp_path: Path, arrays: Arrays) -> None:
    class Unwilling:
        def __array__(self, dtype: object = None, copy: object = None) -> NDArray[Any]:
            raise OSError("no space left")

    save_arrays(tmp_path / "w.npz", arrays)
    with pytest.raises(OSError, match="no space left"):
        save_arrays(tmp_path / "w.npz", {"a/bias": Unwilling()})  # type: ignore[dict-item]
    assert same(load_arrays(tmp_path / "w.npz"), arrays)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CxrError, match=r"w\.npz"):
        load_arrays(tmp_path / "w.npz")


@pytest.mark.parametrize("cut", [0, 10, 200, -30])
def test_a_file_that_ends_early_is_refused(tmp_path: Path, arrays: Arrays, cut: int) -> None:
    path = tmp_path / "w.npz"
    save_arrays(path, arrays)
    path.write_bytes(path.read_bytes()[:cut])
    assert code_of(lambda: load_arrays(path)) == "error.weights-file"


def test_a_file_with_a_changed_byte_is_refused_or_read_but_never_a_crash(tmp_path: Path, arrays: Arrays) -> None:
    path = tmp_path / "w.npz"
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            load_arrays(path)
        except CxrError:
            refused += 1
    assert refused > len(whole) / 3 / 2


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", pickle.dumps([1])])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "w.npz").write_bytes(data)
    assert code_of(lambda: load_arrays(tmp_path / "w.npz")) == "error.weights-file"


def test_a_single_array_is_not_a_weights_file(tmp_path: Path) -> None:
    with (tmp_path / "w.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert code_of(lambda: load_arrays(tmp_path / "w.npz")) == "error.weights-file"


def test_a_zip_of_something_else_is_not_a_weights_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("readme.txt", "no arrays here")
    assert code_of(lambda: load_arrays(tmp_path / "w.npz")) == "error.weights-file"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_array_that_comes_twice_is_refused() -> None:
    file, array = io.BytesIO(), io.BytesIO()
    np.save(array, np.zeros(3))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", array.getvalue())
        archive.writestr("a.npy", array.getvalue())
    assert code_of(lambda: parse_arrays(file.getvalue(), "w.npz")) == "error.weights-file"


class Trap:
    """An object whose unpickling leaves a trace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_objects_are_refused_and_never_unpickled(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    np.savez(tmp_path / "w.npz", a=np.array([Trap(trace)], dtype=object))
    assert code_of(lambda: load_arrays(tmp_path / "w.npz")) == "error.weights-file"
    assert code_of(lambda: parse_arrays((tmp_path / "w.npz").read_bytes(), "w.npz")) == "error.weights-file"
    assert not trace.exists()


def test_text_is_not_a_weight(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.array(["one", "two"]))
    assert code_of(lambda: load_arrays(tmp_path / "w.npz")) == "error.weights-file"


def test_a_file_s_hash_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "w.npz").write_bytes(b"abc")
    assert sha256(tmp_path / "w.npz") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# The arrays of a model's file


def test_bytes_are_parsed_as_a_file_is_read(arrays: Arrays) -> None:
    assert same(parse_arrays(to_bytes(arrays), "w.npz", {"a/kernel": (2, 3), "a/bias": (3,)}), arrays)


def test_shapes_are_compared_before_any_array_is_read(monkeypatch: pytest.MonkeyPatch, arrays: Arrays) -> None:
    data = to_bytes(arrays)
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("an array was read"))
    shapes: dict[str, tuple[int, ...]] = {"a/kernel": (2, 3), "a/bias": (3,)}
    for expected in ({"a/kernel": (2, 3)}, shapes | {"a/bias": (4,)}, shapes | {"c": (1,)}):
        assert code_of(partial(parse_arrays, data, "w.npz", expected)) == "error.shapes"


@pytest.mark.parametrize("value", [1e39, -1e300, 1.7e308])
def test_a_value_that_no_single_precision_variable_can_hold_is_refused(value: float) -> None:
    with pytest.raises(CxrError) as error:
        parse_arrays(to_bytes({"logits/bias": np.array([0.0, value])}), "weights.npz")
    assert error.value.code == "error.not-finite"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused(dtype: type, value: float) -> None:
    array: NDArray[Any] = np.ones((3, 4), dtype)
    assert same(parse_arrays(to_bytes({"a": -array}), "w.npz"), {"a": -array})
    array[1, 2] = value
    assert code_of(lambda: parse_arrays(to_bytes({"a": array}), "w.npz")) == "error.not-finite"


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, bool])
def test_other_numbers_than_floats_are_refused(dtype: type) -> None:
    assert code_of(lambda: parse_arrays(to_bytes({"a": np.ones(3, dtype)}), "w.npz")) == "error.weights-file"


def test_compressed_arrays_are_refused() -> None:
    file = io.BytesIO()
    np.savez_compressed(file, a=np.zeros(1000))
    assert code_of(lambda: parse_arrays(file.getvalue(), "w.npz")) == "error.weights-file"


# Assigning


def test_assigned_arrays_are_the_network_s_own(model: keras.Model, other: keras.Model) -> None:
    assign(model.weights, arrays_of(other.weights))
    assert same(arrays_of(model.weights), arrays_of(other.weights))


def without_bias(arrays: Arrays) -> Arrays:
    return {name: array for name, array in arrays.items() if name != "logits/bias"}


def with_scale(arrays: Arrays) -> Arrays:
    return arrays | {"logits/scale": np.zeros(2)}


def with_longer_bias(arrays: Arrays) -> Arrays:
    return arrays | {"logits/bias": np.zeros(3, np.float32)}


@pytest.mark.parametrize(
    ("change", "name"), [(without_bias, "bias"), (with_scale, "scale"), (with_longer_bias, "bias")]
)
def test_arrays_that_do_not_fit_are_refused_by_name_and_change_nothing(
    model: keras.Model, other: keras.Model, change: Callable[[Arrays], Arrays], name: str
) -> None:
    before = arrays_of(model.weights)
    with pytest.raises(CxrError, match=f"logits/{name}") as raised:
        assign(model.weights, change(arrays_of(other.weights)))
    assert raised.value.code == "error.shapes"
    assert same(arrays_of(model.weights), before)
