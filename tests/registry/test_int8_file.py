"""The numbers of an int8 engine lie beside their model, go where it goes, and are refused where they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr.core.errors import RegistryError
from cxr.registry import package, registry
from cxr.registry.card import INT8
from cxr.registry.int8_file import check_int8, parse_int8
from cxr.registry.shapes import expected_shapes
from cxr.registry.verification import load_verified
from cxr.registry.weights_file import to_bytes
from tests.support.int8 import record
from tests.support.small_models import CLASSES, StoreModel, small_recipe

NETWORK = expected_shapes(small_recipe(), len(CLASSES))


def numbers(**changes: Any) -> dict[str, Any]:
    """The numbers of an engine with two quantized convolutions."""
    arrays = {f"block{block}_conv1/range": np.array([0, block], np.float32) for block in (2, 3)}
    return arrays | {name.replace("__", "/"): value for name, value in changes.items()}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"block2_conv1/range": np.zeros(2, np.float32)},
        numbers(block2_conv1__range=np.array([0.5, 4], np.float32)),
        numbers(block2_conv1__range=np.array([-4, 0], np.float32)),
        numbers(block2_conv1__range=np.array([0, np.inf], np.float32)),
        numbers(block2_conv1__range=np.zeros(3, np.float32)),
        numbers(block2_conv1__kernel=np.array([0, 4], np.float32)),
        numbers(logits__range=np.array([0, 4], np.float32)),
        numbers(elsewhere__range=np.array([0, 4], np.float32)),
    ],
)
def test_numbers_of_another_network_or_without_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RegistryError) as error:
        check_int8(wrong, NETWORK)
    assert error.value.code == "registry.int8"


def test_numbers_are_read_back_and_other_bytes_are_refused() -> None:
    read = parse_int8(to_bytes(numbers()), NETWORK)
    assert {name: array.tolist() for name, array in read.items()} == {k: v.tolist() for k, v in numbers().items()}
    with pytest.raises(RegistryError) as error:
        parse_int8(b"not an archive", NETWORK)
    assert error.value.code == "registry.int8"


def test_an_engine_is_stored_with_its_record_and_goes_where_the_model_goes(stored: StoreModel, tmp_path: Path) -> None:
    card = stored()
    attached = registry.attach_int8("tiny", numbers(), record(card.weights_sha256))
    assert attached == registry.get_card("tiny")
    registry.rename("tiny", "renamed")
    package.export_model("renamed", tmp_path / "model.zip")
    package.import_model(tmp_path / "model.zip", "imported")
    model = load_verified("imported")
    assert model.card.int8 == record(card.weights_sha256)
    assert model.int8 is not None
    np.testing.assert_array_equal(model.int8["block3_conv1/range"], [0, 3])


def test_a_model_whose_engine_was_changed_or_is_missing_is_not_loaded(stored: StoreModel) -> None:
    card = stored()
    registry.attach_int8("tiny", numbers(), record(card.weights_sha256))
    path = registry.model_folder("tiny") / INT8
    path.write_bytes(to_bytes(numbers(block2_conv1__range=np.array([0, 5], np.float32))))
    with pytest.raises(RegistryError) as error:
        load_verified("tiny")
    assert error.value.code == "registry.hash"
    path.unlink()
    with pytest.raises(RegistryError) as error:
        load_verified("tiny")
    assert error.value.code == "registry.damaged"


def test_an_engine_of_other_weights_is_not_stored(stored: StoreModel) -> None:
    stored()
    with pytest.raises(RegistryError) as error:
        registry.attach_int8("tiny", numbers(), record("0" * 64))
    assert error.value.code == "registry.inconsistent"
    assert not (registry.model_folder("tiny") / INT8).exists()
