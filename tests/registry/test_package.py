"""A model in one file: it travels whole, and what is not as it left is refused."""

import io
import json
import zipfile

import numpy as np
import pytest

from cxr.core.errors import RegistryError
from cxr.registry import package, registry
from cxr.registry.card import CARD, EVALUATION, GATE, MEMBERS, RECIPE, WEIGHTS
from tests.support.small_models import TABLE, on_the_shelf


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(contents, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def with_weights(contents, save, **arrays):
    """The members with other weights, and a card whose hash fits them."""
    import hashlib

    buffer = io.BytesIO()
    save(buffer, **arrays)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    card = json.loads(contents[CARD]) | {"weights_sha256": digest, "version": digest[:12]}
    return contents | {WEIGHTS: buffer.getvalue(), CARD: json.dumps(card)}


def test_a_model_travels_in_one_file(stored, home, tmp_path, monkeypatch):
    card = stored()
    file = package.export_model("tiny", tmp_path / "tiny.zip")
    monkeypatch.setenv("CXR_HOME", str(tmp_path / "elsewhere"))
    assert package.import_model(file) == card == registry.get_card("tiny")
    assert registry.default_name() == "tiny"
    assert registry.evaluation_path("tiny").read_text() == TABLE.replace("a.png", "")  # a name is often a patient's


def test_a_model_may_be_imported_under_another_name_and_from_memory(stored, tmp_path):
    card = stored()
    data = package.export_model("tiny", tmp_path / "tiny.zip").read_bytes()
    again = package.import_model(io.BytesIO(data), "twin")
    assert again == card.model_copy(update={"name": "twin"}) == registry.get_card("twin")
    assert registry.default_name() == "tiny"


def test_an_import_does_not_replace_a_model(stored, tmp_path):
    stored()
    file = package.export_model("tiny", tmp_path / "tiny.zip")
    with pytest.raises(RegistryError, match="already a model"):
        package.import_model(file)


def test_an_export_that_cannot_be_written_says_so(stored, tmp_path):
    stored()
    with pytest.raises(RegistryError, match="cannot be written"):
        package.export_model("tiny", tmp_path / "absent" / "tiny.zip")


def test_a_whitening_model_travels_and_loads(home, draft, tiny_recipe, film, tmp_path):
    from cxr.learning.network import build
    from cxr.registry.weights_file import arrays_of

    recipe = tiny_recipe()
    recipe = recipe.model_copy(update={"input": recipe.input.model_copy(update={"zca": True})})
    network = build(recipe, 3, "float32", zca_rank=2)
    card = registry.store(draft(zca_rank=2), recipe, arrays_of(network.model.weights), TABLE)
    package.import_model(package.export_model("tiny", tmp_path / "tiny.zip"), "twin")
    assert registry.load("twin", "float32").card.weights_sha256 == card.weights_sha256


def test_a_gate_goes_with_its_model_under_another_name_and_to_another_shelf(guarded, tmp_path, monkeypatch):
    card = guarded()
    renamed = registry.rename("tiny", "other")
    assert renamed == card.model_copy(update={"name": "other"}) == registry.get_card("other")
    file = package.export_model("other", tmp_path / "other.zip")
    monkeypatch.setenv("CXR_HOME", str(tmp_path / "elsewhere"))
    assert package.import_model(file) == renamed == registry.get_card("other")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda arrays: arrays | {"extra": np.zeros(1)},
        lambda arrays: arrays | {"limits": np.array([np.nan, 1.0])},
        lambda arrays: arrays | {"bias": arrays["bias"][:-1]},
        lambda arrays: arrays | {"kinds": np.array([print], object)},
    ],
    ids=["extra", "not finite", "short", "code"],
)
def test_a_gate_that_could_not_judge_is_refused(guarded, home, tmp_path, make_gate, spoil):
    import hashlib

    guarded()
    members_of = members(package.export_model("tiny", tmp_path / "tiny.zip"))
    buffer = io.BytesIO()
    np.savez(buffer, **spoil(make_gate()[0].arrays()))
    card = json.loads(members_of[CARD]) | {"gate_sha256": hashlib.sha256(buffer.getvalue()).hexdigest()}
    odd = members_of | {GATE: buffer.getvalue(), CARD: json.dumps(card)}
    assert_refused(packed(odd, tmp_path / "p.zip"), home, "gate in this file is damaged")


def test_a_gate_that_is_not_the_card_s_is_refused(guarded, home, tmp_path):
    guarded()
    contents = members(package.export_model("tiny", tmp_path / "tiny.zip"))
    assert_refused(packed(contents | {GATE: b"other"}, tmp_path / "a.zip"), home, "not that of its card")
    without = {name: data for name, data in contents.items() if name != GATE}
    assert_refused(packed(without, tmp_path / "b.zip"), home, "do not belong together")
    bare = json.loads(contents[CARD]) | {"gate_sha256": None}
    assert_refused(packed(contents | {CARD: json.dumps(bare)}, tmp_path / "c.zip"), home, "do not belong together")


@pytest.fixture
def contents(stored, tmp_path):
    stored()
    return members(package.export_model("tiny", tmp_path / "tiny.zip"))


def assert_refused(file, home, match):
    with pytest.raises(RegistryError, match=match):
        package.import_model(file, "guest")
    assert on_the_shelf(home) == ["tiny"]
    assert not (home.parent / "evil.txt").exists()


def test_a_file_that_is_no_zip_is_refused(contents, home, tmp_path):
    (tmp_path / "film.zip").write_bytes(b"\x89PNG and so on")
    assert_refused(tmp_path / "film.zip", home, "no ZIP")
    assert_refused(tmp_path / "absent.zip", home, "could not be imported")


@pytest.mark.parametrize("extra", ["../evil.txt", "/evil.txt", "sub/evil.txt", "evil.py"])
def test_members_beside_the_four_are_refused(contents, home, tmp_path, extra):
    assert_refused(packed(contents | {extra: "x"}, tmp_path / "p.zip"), home, "nothing else")


@pytest.mark.parametrize("member", MEMBERS)
def test_a_missing_member_is_refused(contents, home, tmp_path, member):
    del contents[member]
    assert_refused(packed(contents, tmp_path / "p.zip"), home, "must hold")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_comes_twice_is_refused(contents, home, tmp_path):
    path = packed(contents, tmp_path / "p.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(CARD, contents[CARD])
    assert_refused(path, home, "nothing else")


def test_a_member_that_swells_is_stopped_at_the_limit(contents, home, tmp_path, monkeypatch):
    monkeypatch.setitem(package._LIMIT_BYTES, EVALUATION, 10_000)
    bomb = packed(contents | {EVALUATION: b"0" * 50_000_000}, tmp_path / "p.zip")
    assert bomb.stat().st_size < 200_000
    assert_refused(bomb, home, "larger than any model's")


def test_a_flipped_bit_is_noticed(contents, home, tmp_path):
    path = packed(contents, tmp_path / "p.zip")
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    assert_refused(io.BytesIO(data), home, "damaged")


def test_weights_that_are_not_the_cards_are_refused(contents, home, tmp_path):
    assert_refused(packed(contents | {WEIGHTS: b"other"}, tmp_path / "p.zip"), home, "not those of its card")


@pytest.mark.parametrize(
    ("member", "text", "match"),
    [
        (CARD, "{}", "card.json does not hold"),
        (RECIPE, "name = ", "recipe.toml does not hold"),
        (RECIPE, "nonsense = 1", "unknown key 'nonsense'"),
        (RECIPE, "name = 'another'", "do not belong together"),
        (RECIPE, "name = 'tiny'\n[input]\nsize_px = 64", "do not belong together"),
        (RECIPE, "name = 'tiny'\n[input]\nsize_px = 32\n[head]\ndense = [999999999]", "do not belong together"),
    ],
)
def test_a_card_or_recipe_that_does_not_hold_is_refused(contents, home, tmp_path, member, text, match):
    assert_refused(packed(contents | {member: text}, tmp_path / "p.zip"), home, match)


def test_weights_that_would_run_code_or_swell_are_refused(contents, home, tmp_path):
    bias, blank = np.zeros(3, np.float32), np.zeros(10**6, np.float32)
    pickled = with_weights(contents, np.savez, **{"logits/bias": np.array([print], object)})
    swelling = with_weights(contents, np.savez_compressed, **{"logits/bias": bias, "x": blank})
    assert_refused(packed(pickled, tmp_path / "a.zip"), home, "unknown way")
    assert_refused(packed(swelling, tmp_path / "b.zip"), home, "unknown way")


def test_weights_that_announce_more_than_they_hold_are_refused(contents, home, tmp_path):
    def announce(buffer, **arrays):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)})
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr("logits/bias.npy", header.getvalue() + b"0000")

    file = packed(with_weights(contents, announce), tmp_path / "p.zip")
    assert_refused(file, home, "unknown way")


def test_weights_for_other_classes_are_refused(contents, home, tmp_path):
    other = with_weights(contents, np.savez, **{"logits/bias": np.zeros(4, np.float32)})
    assert_refused(packed(other, tmp_path / "p.zip"), home, "do not belong together")


def test_classes_that_repeat_are_refused(contents, home, tmp_path):
    card = json.loads(contents[CARD]) | {"classes": ["normal", "viral", "viral"]}
    assert_refused(packed(contents | {CARD: json.dumps(card)}, tmp_path / "p.zip"), home, "do not belong")
