"""The registry: what is stored, listed, renamed and deleted, and how damage is reported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr.core.errors import RegistryError
from cxr.registry import default_model, registry
from cxr.registry.card import CARD, INPUT_CHECK, MEMBERS, SHORTCUTS, WEIGHTS, Card, InputCheckRecord, ModelDraft
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import sha256
from tests.support.small_models import TABLE, MakeInputCheck, StoreModel, model_folders, random_arrays

MakeDraft = Callable[..., ModelDraft]
MakeRecipe = Callable[..., Recipe]


def code_of(call: Callable[[], Any]) -> str:
    """The code of the RegistryError that the call raises."""
    with pytest.raises(RegistryError) as raised:
        call()
    return raised.value.code


def new_model(draft: ModelDraft, recipe: Recipe, **more: Any) -> registry.NewModel:
    return registry.NewModel(draft, recipe, random_arrays(recipe), TABLE, **more)


# Storing


def test_a_stored_model_has_a_card_with_its_facts_and_the_digest_of_each_file(stored: StoreModel, home: Path) -> None:
    card = stored()
    assert registry.get_card("tiny") == card
    assert card.version == card.weights_sha256[:12]
    assert (card.recipe, card.size_px, card.classes) == ("tiny", 32, ("normal", "bacterial", "viral"))
    assert "not a medical device" in card.note
    assert card.software["keras"]
    folder = home / "models" / "tiny"
    assert sorted(path.name for path in folder.iterdir()) == sorted(MEMBERS)
    assert {member: digest for member, digest in card.digests.items() if digest} == {
        member: sha256(folder / member) for member in MEMBERS if member != CARD
    }
    assert registry.get_recipe("tiny").name == "tiny"
    assert registry.evaluation_path("tiny").read_text() == TABLE


def test_a_name_is_not_given_twice(stored: StoreModel) -> None:
    first = stored()
    assert code_of(stored) == "registry.name-taken"
    assert registry.get_card("tiny") == first


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "a\\b", "Upper", "-dash", "a\n", "x" * 65, "é", "default.json"]
)
def test_a_name_that_could_not_be_a_folder_s_everywhere_is_refused(stored: StoreModel, home: Path, name: str) -> None:
    assert code_of(lambda: stored(name)) == "registry.invalid-name"
    assert not (home / "models").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_of_a_training_that_diverged_are_not_stored(stored: StoreModel, value: float) -> None:
    assert code_of(lambda: stored(**{"logits/bias": [0, value, 0]})) == "registry.not-finite"
    assert registry.names() == []


def test_a_model_that_cannot_be_written_leaves_nothing_behind(
    stored: StoreModel, home: Path, draft: MakeDraft, tiny_recipe: MakeRecipe
) -> None:
    card = stored("first").model_copy(update={"name": "second"})
    files: dict[str, Any] = {member: b"" for member in MEMBERS if member != CARD} | {WEIGHTS: None}
    with pytest.raises(TypeError):
        registry.store_files(card, files)
    assert code_of(lambda: registry.store_files(card, {"absent/folder": b""})) == "registry.not-stored"
    assert model_folders(home) == ["first"]


def test_of_several_that_store_one_name_at_once_one_succeeds(stored: StoreModel, home: Path) -> None:
    def attempt(_: int) -> Card | None:
        try:
            return stored()
        except RegistryError:
            return None

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(attempt, range(4)))
    assert sum(result is not None for result in results) == 1
    assert model_folders(home) == ["tiny"]


# Listing


def test_a_new_registry_lists_nothing(home: Path) -> None:
    assert registry.names() == []
    assert default_model.default_name() is None


def test_a_damaged_model_is_listed_with_the_reason_beside_the_usable_ones(stored: StoreModel, home: Path) -> None:
    for name in ("good", "no-weights", "bad-card", "bad-results", "copied"):
        stored(name)
    (home / "models/no-weights" / WEIGHTS).unlink()
    (home / "models/bad-card" / CARD).write_text('{"format": 2}')
    change_card(home, "bad-results", results={"test": {}})
    (home / "models/copied").rename(home / "models/renamed")
    (home / "models/.partial").mkdir()
    (home / "models/README.md").write_text("Models.")
    listing = registry.list_models()
    assert [card.name for card in listing.cards] == ["good"] == registry.names()
    assert sorted(listing.damaged) == ["bad-card", "bad-results", "no-weights", "renamed"]
    assert WEIGHTS in listing.damaged["no-weights"]
    assert "copied" in listing.damaged["renamed"]


def change_card(home: Path, name: str, without: tuple[str, ...] = (), **facts: Any) -> None:
    path = home / "models" / name / CARD
    card = {key: value for key, value in json.loads(path.read_text()).items() if key not in without}
    path.write_text(json.dumps(card | facts))


@pytest.mark.parametrize("text", ["", "{}", "[1]", "not json", b"\xff\xfe"])
def test_a_file_that_is_no_card_is_damage_and_not_a_crash(stored: StoreModel, home: Path, text: str | bytes) -> None:
    stored()
    (home / "models/tiny" / CARD).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert code_of(lambda: registry.get_card("tiny")) == "registry.card"


@pytest.mark.parametrize("name", ["absent", "../models/tiny", "", "default.json"])
def test_a_model_that_does_not_exist_is_reported_so(stored: StoreModel, name: str) -> None:
    stored()
    assert code_of(lambda: registry.get_card(name)) == "registry.not-found"


@pytest.mark.parametrize(
    "newer",
    [
        ("temperature", "temperature_rule", "unsure", "unsure_rule"),
        ("gate", "gate_sha256", "ages"),
        ("recipe_sha256", "evaluation_sha256", "shortcuts_sha256"),
    ],
)
def test_a_card_from_before_some_fields_is_read(stored: StoreModel, home: Path, newer: tuple[str, ...]) -> None:
    stored()
    change_card(home, "tiny", without=newer, format=1)
    card = registry.get_card("tiny")
    assert (card.format, card.temperature, card.unsure, card.gate, card.ages) == (2, 1.0, None, None, None)


def test_the_registry_is_opened_without_tensorflow() -> None:
    heavy = "('tensorflow', 'keras', 'pandas', 'tf_keras_vis')"
    modules = "cxr.registry.package, cxr.registry.registry, cxr.inference.saliency"
    code = f"import sys, {modules}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Deleting and renaming


def test_the_default_model_is_never_deleted(stored: StoreModel) -> None:
    stored()
    assert code_of(lambda: registry.delete("tiny")) == "registry.is-default"
    assert registry.names() == ["tiny"]


def test_a_deleted_model_leaves_nothing_behind(stored: StoreModel, home: Path) -> None:
    stored("a")
    stored("b")
    registry.delete("b")
    assert model_folders(home) == ["a"]


def test_a_renamed_model_is_the_same_under_another_name_and_stays_the_default(stored: StoreModel, home: Path) -> None:
    card = stored("old")
    stored("other")
    default_model.promote("other")
    default_model.promote("old")
    renamed = registry.rename("old", "new")
    assert renamed == card.model_copy(update={"name": "new"}) == registry.get_card("new")
    assert default_model.default_name() == "new"
    assert default_model.previous_name() == default_model.roll_back() == "other"
    assert default_model.roll_back() == "new"
    assert default_model.previous_name() is None
    assert model_folders(home) == ["new", "other"]


@pytest.mark.parametrize(
    ("name", "new", "code"),
    [
        ("old", "other", "registry.name-taken"),
        ("old", "old", "registry.name-taken"),
        ("old", "Old One", "registry.invalid-name"),
        ("absent", "new", "registry.not-found"),
    ],
)
def test_a_model_is_not_renamed_to_a_name_that_is_taken_or_invalid(
    stored: StoreModel, name: str, new: str, code: str
) -> None:
    stored("old")
    stored("other")
    assert code_of(lambda: registry.rename(name, new)) == code
    assert sorted(registry.names()) == ["old", "other"]


# What is added later


def test_an_input_check_is_stored_with_its_model(
    home: Path, draft: MakeDraft, tiny_recipe: MakeRecipe, make_input_check: MakeInputCheck
) -> None:
    check, record = make_input_check()
    card = registry.store(new_model(draft(gate=record), tiny_recipe(), input_check=check.arrays()))
    assert registry.get_card("tiny") == card
    assert card.gate == record
    assert card.gate_sha256 == sha256(home / "models" / "tiny" / INPUT_CHECK)


def test_an_input_check_is_attached_as_the_first_or_in_the_place_of_another(
    stored_with_input_check: StoreModel, home: Path, make_input_check: MakeInputCheck
) -> None:
    first = stored_with_input_check()
    assert registry.get_card("tiny") == first
    assert first.gate_sha256
    check, record = make_input_check(seed=1)
    second = registry.attach_input_check("tiny", check.arrays(), record, None)
    assert registry.get_card("tiny") == second
    assert second.gate_sha256 not in (None, first.gate_sha256)
    assert (second.version, second.created) == (first.version, first.created)
    assert sorted(path.name for path in (home / "models" / "tiny").iterdir()) == sorted((*MEMBERS, INPUT_CHECK))


def test_a_model_without_the_input_check_of_its_card_is_damaged(
    stored_with_input_check: StoreModel, home: Path
) -> None:
    stored_with_input_check()
    (home / "models" / "tiny" / INPUT_CHECK).unlink()
    assert code_of(lambda: registry.get_card("tiny")) == "registry.damaged"


def test_a_record_without_an_input_check_is_not_stored(home: Path, draft: MakeDraft, tiny_recipe: MakeRecipe) -> None:
    record = InputCheckRecord(films=1, kinds={}, held_out=1, let_through=1, unquestioned=1)
    with pytest.raises(ValueError, match="gate_sha256"):
        registry.store(new_model(draft(gate=record), tiny_recipe()))


def test_an_audit_for_shortcuts_is_attached_to_the_version_that_was_audited(stored: StoreModel, home: Path) -> None:
    card = stored()
    assert code_of(lambda: registry.attach_shortcut_audit("tiny", "another", b"{}")) == "registry.inconsistent"
    audited = registry.attach_shortcut_audit("tiny", card.version, b"{}")
    assert registry.get_card("tiny") == audited
    assert audited.shortcuts_sha256 == sha256(home / "models" / "tiny" / SHORTCUTS)
