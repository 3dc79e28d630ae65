"""The default model: promoted, rolled back, and never one that is damaged or gone."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cxr.core.errors import RegistryError
from cxr.registry import default_model, registry
from cxr.registry.card import RECIPE
from tests.support.small_models import StoreModel


def refused_to_roll_back() -> bool:
    with pytest.raises(RegistryError) as raised:
        default_model.roll_back()
    return raised.value.code == "registry.no-earlier-default"


def test_the_first_model_becomes_the_default_and_the_second_does_not(stored: StoreModel) -> None:
    stored("first")
    stored("second")
    assert default_model.default_name() == "first"


def test_a_registry_that_came_with_a_model_uses_it_until_another_is_promoted(stored: StoreModel, home: Path) -> None:
    stored("came-with-it")
    (home / "models/default.json").unlink()
    assert default_model.default_name() == "came-with-it"
    with pytest.raises(RegistryError):
        registry.delete("came-with-it")
    stored("another")
    assert default_model.default_name() == "came-with-it"
    default_model.promote("another")
    assert default_model.default_name() == "another"
    assert default_model.roll_back() == "came-with-it"


def test_of_the_models_that_come_with_the_project_the_better_one_is_the_default(stored: StoreModel, home: Path) -> None:
    for name in ("mine", *reversed(default_model.SHIPPED)):
        stored(name)
    (home / "models/default.json").unlink()
    assert default_model.default_name() == default_model.SHIPPED[0]
    shutil.rmtree(home / "models" / default_model.SHIPPED[0])
    assert default_model.default_name() == default_model.SHIPPED[1]


def test_rolling_back_undoes_each_promotion_in_turn(stored: StoreModel) -> None:
    for name in ("a", "b", "c"):
        stored(name)
    default_model.promote("b")
    default_model.promote("b")
    default_model.promote("c")
    assert default_model.default_name() == "c"
    assert [default_model.roll_back(), default_model.roll_back()] == ["b", "a"]
    assert refused_to_roll_back()
    assert default_model.default_name() == "a"


def test_rolling_back_skips_models_that_are_gone(stored: StoreModel) -> None:
    for name in ("a", "b", "c"):
        stored(name)
    default_model.promote("b")
    default_model.promote("c")
    registry.delete("b")
    assert default_model.roll_back() == "a"


def test_a_model_between_two_promotions_of_another_may_be_deleted(stored: StoreModel) -> None:
    stored("a")
    stored("b")
    default_model.promote("b")
    default_model.promote("a")
    registry.delete("b")
    assert refused_to_roll_back()


def test_a_name_used_again_after_deleting_does_not_inherit_promotions(stored: StoreModel) -> None:
    stored("a")
    stored("b")
    default_model.promote("b")
    default_model.promote("a")
    registry.delete("b")
    stored("b")
    assert refused_to_roll_back()


def test_a_damaged_model_is_not_promoted(stored: StoreModel, home: Path) -> None:
    stored("a")
    stored("b")
    (home / "models/b" / RECIPE).unlink()
    with pytest.raises(RegistryError) as raised:
        default_model.promote("b")
    assert raised.value.code == "registry.damaged"
    assert default_model.default_name() == "a"


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"history": 3}', '{"history": [1]}', '{"history": ["gone"]}', "[" * 100_000]
)
def test_a_damaged_record_of_the_default_is_replaced_by_promoting(stored: StoreModel, home: Path, text: str) -> None:
    stored()
    (home / "models/default.json").write_text(text)
    assert default_model.default_name() is None
    default_model.promote("tiny")
    assert default_model.default_name() == "tiny"


def test_promotions_at_once_are_all_recorded(stored: StoreModel, home: Path) -> None:
    names = [f"m{i}" for i in range(6)]
    for name in names:
        stored(name)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(default_model.promote, names[1:]))
    history = json.loads((home / "models/default.json").read_text())["history"]
    assert sorted(history) == names
