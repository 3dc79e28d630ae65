"""A model in one file: it travels whole, and what is not as it left is refused."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from cxr.core.errors import RegistryError
from cxr.inference.loading import load_classifier
from cxr.registry import default_model, package, registry
from cxr.registry.card import CARD, EVALUATION, INPUT_CHECK, MEMBERS, RECIPE, WEIGHTS, Card, ModelDraft
from cxr.registry.recipe import Recipe
from cxr.registry.verification import MAX_BYTES
from tests.support.small_models import TABLE, MakeInputCheck, StoreModel, model_folders, random_arrays

Members = dict[str, bytes]


def members(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(contents: Members, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def with_card(contents: Members, **facts: Any) -> Members:
    return contents | {CARD: json.dumps(json.loads(contents[CARD]) | facts).encode()}


def with_weights(contents: Members, save: Callable[..., None], **arrays: Any) -> Members:
    """The members with other weights, and a card whose digest fits them."""
    buffer = io.BytesIO()
    save(buffer, **arrays)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    return with_card(contents, weights_sha256=digest, version=digest[:12]) | {WEIGHTS: buffer.getvalue()}


def with_recipe(contents: Members, text: str) -> Members:
    """The members with another recipe, and a card whose digest fits it."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return with_card(contents, recipe_sha256=digest) | {RECIPE: text.encode()}


def without_paths(card: Card) -> Card:
    """The card as the imported model has it: its table of scores has lost the file names."""
    digest = hashlib.sha256(TABLE.replace("a.png", "").encode()).hexdigest()
    return card.model_copy(update={"evaluation_sha256": digest})


def test_a_model_travels_in_one_file(
    stored: StoreModel, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = stored()
    file = package.export_model("tiny", tmp_path / "tiny.zip")
    monkeypatch.setenv("CXR_HOME", str(tmp_path / "elsewhere"))
    assert package.import_model(file) == without_paths(card) == registry.get_card("tiny")
    assert default_model.default_name() == "tiny"
    assert registry.evaluation_path("tiny").read_text() == TABLE.replace("a.png", "")  # a name is often a patient's


def test_a_model_may_be_imported_under_another_name_and_from_memory(stored: StoreModel, tmp_path: Path) -> None:
    card = stored()
    data = package.export_model("tiny", tmp_path / "tiny.zip").read_bytes()
    again = package.import_model(io.BytesIO(data), "twin")
    assert again == without_paths(card).model_copy(update={"name": "twin"}) == registry.get_card("twin")
    assert default_model.default_name() == "tiny"


def test_a_card_without_digests_of_all_files_gets_them_when_it_is_imported(stored: StoreModel, tmp_path: Path) -> None:
    stored()
    contents = members(package.export_model("tiny", tmp_path / "tiny.zip"))
    old = with_card(contents, format=1, recipe_sha256=None, evaluation_sha256=None)
    card = package.import_model(packed(old, tmp_path / "old.zip"), "twin")
    assert card.recipe_sha256 == hashlib.sha256(contents[RECIPE]).hexdigest()
    assert card.evaluation_sha256 == hashlib.sha256(contents[EVALUATION]).hexdigest()


def test_an_import_does_not_replace_a_model(stored: StoreModel, tmp_path: Path) -> None:
    stored()
    file = package.export_model("tiny", tmp_path / "tiny.zip")
    with pytest.raises(RegistryError) as raised:
        package.import_model(file)
    assert raised.value.code == "registry.name-taken"


def test_an_export_that_cannot_be_written_is_reported(stored: StoreModel, tmp_path: Path) -> None:
    stored()
    with pytest.raises(RegistryError) as raised:
        package.export_model("tiny", tmp_path / "absent" / "tiny.zip")
    assert raised.value.code == "registry.not-written"


def test_a_whitening_model_travels_and_loads(
    home: Path, draft: Callable[..., ModelDraft], tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    from cxr.learning.network import build
    from cxr.registry.weights_file import arrays_of

    recipe = tiny_recipe()
    recipe = recipe.model_copy(update={"input": recipe.input.model_copy(update={"zca": True})})
    arrays = arrays_of(build(recipe, 3, "float32", zca_rank=2).model.weights)
    card = registry.store(registry.NewModel(draft(zca_rank=2), recipe, arrays, TABLE))
    package.import_model(package.export_model("tiny", tmp_path / "tiny.zip"), "twin")
    assert load_classifier("twin", "float32").card.weights_sha256 == card.weights_sha256


def test_an_input_check_travels_with_its_model_under_another_name_too(
    stored_with_input_check: StoreModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = stored_with_input_check()
    renamed = registry.rename("tiny", "other")
    assert renamed == card.model_copy(update={"name": "other"}) == registry.get_card("other")
    file = package.export_model("other", tmp_path / "other.zip")
    monkeypatch.setenv("CXR_HOME", str(tmp_path / "elsewhere"))
    assert package.import_model(file) == without_paths(renamed) == registry.get_card("other")


# What is refused


@pytest.fixture
def contents(stored: StoreModel, tmp_path: Path) -> Members:
    stored()
    return members(package.export_model("tiny", tmp_path / "tiny.zip"))


def assert_refused(file: Path | IO[bytes], home: Path, code: str) -> None:
    with pytest.raises(RegistryError) as raised:
        package.import_model(file, "guest")
    assert raised.value.code == f"registry.{code}"
    assert str(raised.value)
    assert model_folders(home) == ["tiny"]
    assert not (home.parent / "evil.txt").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays | {"extra": np.zeros(1)},
        lambda arrays: arrays | {"limits": np.array([np.nan, 1.0])},
        lambda arrays: arrays | {"bias": arrays["bias"][:-1]},
        lambda arrays: arrays | {"kinds": np.array([print], object)},
        lambda arrays: arrays | {"scale": -arrays["scale"]},
        lambda arrays: arrays | {"kinds": arrays["kinds"] + 1},
        lambda arrays: {},
    ],
    ids=["extra", "not finite", "short", "code", "negative scale", "other kinds", "empty"],
)
def test_an_input_check_that_could_not_check_a_film_is_refused(
    stored_with_input_check: StoreModel,
    home: Path,
    tmp_path: Path,
    make_input_check: MakeInputCheck,
    change: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    stored_with_input_check()
    contents = members(package.export_model("tiny", tmp_path / "tiny.zip"))
    buffer = io.BytesIO()
    np.savez(buffer, **change(make_input_check()[0].arrays()))
    odd = with_card(contents, gate_sha256=hashlib.sha256(buffer.getvalue()).hexdigest())
    assert_refused(packed(odd | {INPUT_CHECK: buffer.getvalue()}, tmp_path / "p.zip"), home, "input-check")


def test_an_input_check_that_is_not_the_card_s_is_refused(
    stored_with_input_check: StoreModel, home: Path, tmp_path: Path
) -> None:
    stored_with_input_check()
    contents = members(package.export_model("tiny", tmp_path / "tiny.zip"))
    assert_refused(packed(contents | {INPUT_CHECK: b"other"}, tmp_path / "a.zip"), home, "hash")
    without = {name: data for name, data in contents.items() if name != INPUT_CHECK}
    assert_refused(packed(without, tmp_path / "b.zip"), home, "hash")
    assert_refused(packed(with_card(contents, gate_sha256=None), tmp_path / "c.zip"), home, "card")
    bare = with_card(contents, gate_sha256=None, gate=None)
    assert_refused(packed(bare, tmp_path / "d.zip"), home, "hash")


def test_a_file_that_is_not_a_zip_is_refused(contents: Members, home: Path, tmp_path: Path) -> None:
    (tmp_path / "film.zip").write_bytes(b"\x89PNG and so on")
    assert_refused(tmp_path / "film.zip", home, "not-a-model")
    assert_refused(tmp_path / "absent.zip", home, "not-read")


@pytest.mark.parametrize("extra", ["../evil.txt", "/evil.txt", "sub/evil.txt", "evil.py"])
def test_members_beside_a_model_s_are_refused(contents: Members, home: Path, tmp_path: Path, extra: str) -> None:
    assert_refused(packed(contents | {extra: b"x"}, tmp_path / "p.zip"), home, "not-a-model")


@pytest.mark.parametrize("member", MEMBERS)
def test_a_missing_member_is_refused(contents: Members, home: Path, tmp_path: Path, member: str) -> None:
    del contents[member]
    assert_refused(packed(contents, tmp_path / "p.zip"), home, "not-a-model")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_comes_twice_is_refused(contents: Members, home: Path, tmp_path: Path) -> None:
    path = packed(contents, tmp_path / "p.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(CARD, contents[CARD])
    assert_refused(path, home, "not-a-model")


def test_a_member_that_unpacks_to_more_than_its_limit_is_refused(
    contents: Members, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MAX_BYTES, EVALUATION, 10_000)
    bomb = packed(contents | {EVALUATION: b"0" * 50_000_000}, tmp_path / "p.zip")
    assert bomb.stat().st_size < 200_000
    assert_refused(bomb, home, "too-large")


def test_weights_larger_than_the_recipe_demands_are_refused(contents: Members, home: Path, tmp_path: Path) -> None:
    assert_refused(packed(contents | {WEIGHTS: bytes(5_000_000)}, tmp_path / "p.zip"), home, "too-large")


def test_a_flipped_bit_is_noticed(contents: Members, home: Path, tmp_path: Path) -> None:
    data = bytearray(packed(contents, tmp_path / "p.zip").read_bytes())
    data[len(data) // 3] ^= 1
    assert_refused(io.BytesIO(data), home, "not-a-model")


@pytest.mark.parametrize("member", [WEIGHTS, RECIPE, EVALUATION])
def test_a_file_that_is_not_the_one_on_its_card_is_refused(
    contents: Members, home: Path, tmp_path: Path, member: str
) -> None:
    changed = contents[member].replace(b"0", b"1", 1)
    assert changed != contents[member]
    assert_refused(packed(contents | {member: changed}, tmp_path / "p.zip"), home, "hash")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("name = ", "recipe"),
        ("nonsense = 1", "recipe"),
        ("name = 'another'", "inconsistent"),
        ("name = 'tiny'\n[input]\nsize_px = 64", "inconsistent"),
        ("name = 'tiny'\n[input]\nsize_px = 32\n[head]\ndense = [999999999]", "recipe"),
        ("name = 'tiny'\n[input]\nsize_px = 32\n[head]\ndense = [999999]", "recipe"),
        ("name = 'tiny'\n[input]\nsize_px = 32\n[head]\ndense = [9999]", "shapes"),
        ("name = 'tiny'\n[input]\nsize_px = 32\n[head]\noutput = 'sigmoid'", "inconsistent"),
    ],
)
def test_a_recipe_that_is_not_valid_or_of_another_model_is_refused(
    contents: Members, home: Path, tmp_path: Path, text: str, code: str
) -> None:
    assert_refused(packed(with_recipe(contents, text), tmp_path / "p.zip"), home, code)


def test_an_empty_card_is_refused(contents: Members, home: Path, tmp_path: Path) -> None:
    assert_refused(packed(contents | {CARD: b"{}"}, tmp_path / "p.zip"), home, "card")


def test_weights_that_would_run_code_or_unpack_to_more_are_refused(
    contents: Members, home: Path, tmp_path: Path, tiny_recipe: Callable[..., Recipe]
) -> None:
    arrays: dict[str, Any] = random_arrays(tiny_recipe())
    pickled = with_weights(contents, np.savez, **arrays | {"logits/bias": np.array([print], object)})
    compressed = with_weights(contents, np.savez_compressed, **arrays)
    assert_refused(packed(pickled, tmp_path / "a.zip"), home, "weights-file")
    assert_refused(packed(compressed, tmp_path / "b.zip"), home, "weights-file")


def test_weights_that_announce_more_than_they_hold_are_refused(contents: Members, home: Path, tmp_path: Path) -> None:
    def announce(buffer: IO[bytes], **arrays: Any) -> None:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)})
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("logits/bias.npy", header.getvalue() + b"0000")

    file = packed(with_weights(contents, announce), tmp_path / "p.zip")
    assert_refused(file, home, "weights-file")


def test_weights_for_other_classes_are_refused(
    contents: Members, home: Path, tmp_path: Path, tiny_recipe: Callable[..., Recipe]
) -> None:
    other = with_weights(contents, np.savez, **random_arrays(tiny_recipe(), classes=4))
    assert_refused(packed(other, tmp_path / "p.zip"), home, "shapes")


def test_classes_that_repeat_are_refused(contents: Members, home: Path, tmp_path: Path) -> None:
    repeated = with_card(contents, classes=["normal", "viral", "viral"])
    assert_refused(packed(repeated, tmp_path / "p.zip"), home, "card")
