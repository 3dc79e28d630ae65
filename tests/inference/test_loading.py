"""A stored model becomes a classifier that reads as it did before it was stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr.core.errors import RegistryError
from cxr.films.film import Film
from cxr.inference.loading import load_classifier
from cxr.registry import registry
from cxr.registry.card import WEIGHTS, ModelDraft
from cxr.registry.weights_file import arrays_of
from tests.support.small_models import TABLE, MakeClassifier, MakeInputCheck, StoreModel


@pytest.fixture
def stored_network(home: Path, make_classifier: MakeClassifier, draft: Callable[..., ModelDraft]) -> None:
    """A model that can be loaded, "tiny"."""
    fresh = make_classifier()
    registry.store(registry.NewModel(draft(), fresh.recipe, arrays_of(fresh.network.model.weights), TABLE))


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(RegistryError) as raised:
        call()
    return raised.value.code


def test_without_any_model_none_is_loaded(home: Path) -> None:
    assert code_of(load_classifier) == "registry.no-model"


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_default_model_is_loaded_and_reads_as_before(
    home: Path, make_classifier: MakeClassifier, draft: Callable[..., ModelDraft], film: Film, dtype: type
) -> None:
    fresh = make_classifier()
    arrays: dict[str, Any] = {
        name: array.astype(dtype) for name, array in arrays_of(fresh.network.model.weights).items()
    }
    registry.store(registry.NewModel(draft(threshold=0.4), fresh.recipe, arrays, TABLE))
    loaded = load_classifier(precision="float32")
    assert (loaded.card.name, loaded.threshold) == ("tiny", 0.4)
    tolerance = 0 if dtype == np.float32 else 2e-3
    np.testing.assert_allclose(loaded.read(film).probabilities, fresh.read(film).probabilities, atol=tolerance, rtol=0)


def test_a_model_without_an_input_check_has_no_result_of_one(stored_network: None, film: Film) -> None:
    assert load_classifier("tiny", "float32").read(film).input_check is None


def test_a_model_with_an_input_check_has_a_result_for_every_film(
    stored_network: None, film: Film, make_input_check: MakeInputCheck
) -> None:
    check, record = make_input_check()
    registry.attach_input_check("tiny", check.arrays(), record, None)
    loaded = load_classifier("tiny", "float32")
    prediction = loaded.read(film)
    assert prediction.input_check == check.check(prediction.features, film, 32)


def test_a_model_that_was_changed_is_not_loaded(stored: StoreModel, home: Path) -> None:
    stored()
    with (home / "models/tiny" / WEIGHTS).open("ab") as file:
        file.write(b"0")
    assert code_of(load_classifier) == "registry.hash"
