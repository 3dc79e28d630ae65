import io
import json
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cxr.errors import ShelfError
from cxr.learning.recipe import Recipe
from cxr.reading import parcel, shelf
from cxr.reading.card import CARD, EVALUATION, GATE, MEMBERS, RECIPE, WEIGHTS

TABLE = "path,label,normal,bacterial,viral\na.png,viral,0.1,0.2,0.7\n"


@pytest.fixture
def stored(home, draft, tiny_recipe):
    """Puts a model on the shelf whose arrays are few and need no network."""

    def make(name="tiny", **arrays):
        rng = np.random.default_rng(0)
        arrays = {"logits/kernel": rng.random((16, 3)), "logits/bias": rng.random(3)} | arrays
        arrays = {key: np.asarray(array, np.float32) for key, array in arrays.items()}
        return shelf.store(draft(name), tiny_recipe(), arrays, TABLE)

    return make


def on_the_shelf(home):
    return sorted(path.name for path in (home / "models").iterdir() if path.is_dir())


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


# Storing


def test_a_card_from_before_temperatures_and_unsure_bands_is_read(stored, home):
    stored()
    path = home / "models" / "tiny" / CARD
    newer = ("temperature", "temperature_rule", "unsure", "unsure_rule")
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key not in newer}))
    assert (shelf.card("tiny").temperature, shelf.card("tiny").unsure) == (1.0, None)


def test_a_stored_model_has_a_card_that_says_what_it_is(stored, home):
    card = stored()
    assert shelf.card("tiny") == card
    assert card.version == card.weights_sha256[:12]
    assert (card.recipe, card.size_px, card.classes) == ("tiny", 32, ("normal", "bacterial", "viral"))
    assert "not a medical device" in card.note
    assert card.software["keras"]
    assert sorted(path.name for path in (home / "models" / "tiny").iterdir()) == sorted(MEMBERS)
    assert shelf.recipe_of("tiny").name == "tiny"
    assert shelf.evaluation_of("tiny").read_text() == TABLE


def test_an_evaluation_may_come_from_a_file(home, draft, tiny_recipe, tmp_path):
    table = tmp_path / "scores.csv"
    table.write_text(TABLE)
    shelf.store(draft(), tiny_recipe(), {"logits/bias": np.zeros(3)}, table)
    assert shelf.evaluation_of("tiny").read_text() == TABLE


def test_a_name_on_the_shelf_is_not_given_twice(stored):
    first = stored()
    with pytest.raises(ShelfError, match="already a model 'tiny'"):
        stored()
    assert shelf.card("tiny") == first


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "a\\b", "Upper", "-dash", "a\n", "x" * 65, "é", "default.json"]
)
def test_a_name_that_is_no_plain_name_is_refused(stored, home, name):
    with pytest.raises(ShelfError, match="cannot be a model's name"):
        stored(name)
    assert not (home / "models").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_went_astray_are_not_stored(stored, home, value):
    with pytest.raises(ShelfError, match="'logits/bias' are not all finite"):
        stored(**{"logits/bias": [0, value, 0]})
    assert shelf.names() == []


def test_a_storing_that_fails_leaves_nothing_behind(stored, home, tmp_path, draft, tiny_recipe):
    stored("first")

    class Unwritable(Recipe):
        def to_toml(self):
            raise OSError(28, "No space left on device")

    recipe = Unwritable(**dict(tiny_recipe()))
    with pytest.raises(ShelfError, match="could not be stored: No space left on device"):
        shelf.store(draft("second"), recipe, {"logits/bias": np.zeros(3)}, TABLE)
    with pytest.raises(ShelfError, match="could not be stored"):
        shelf.store(draft("second"), tiny_recipe(), {"logits/bias": np.zeros(3)}, tmp_path / "absent.csv")
    assert on_the_shelf(home) == ["first"]


def test_of_two_that_store_one_name_at_once_one_succeeds(stored, home):
    def attempt(_):
        try:
            return stored()
        except ShelfError:
            return None

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(attempt, range(4)))
    assert sum(result is not None for result in results) == 1
    assert on_the_shelf(home) == ["tiny"]


# Listing


def test_an_empty_shelf_lists_nothing(home):
    assert shelf.names() == []
    assert shelf.default_name() is None


def test_a_damaged_model_is_named_with_the_reason_and_the_others_are_listed(stored, home):
    for name in ("good", "no-weights", "bad-card", "copied"):
        stored(name)
    (home / "models/no-weights" / WEIGHTS).unlink()
    (home / "models/bad-card" / CARD).write_text('{"format": 2}')
    (home / "models/copied").rename(home / "models/renamed")
    (home / "models/.partial").mkdir()
    (home / "models/README.md").write_text("Models.")
    found = shelf.listing()
    assert [card.name for card in found.cards] == ["good"] == shelf.names()
    assert sorted(found.damaged) == ["bad-card", "no-weights", "renamed"]
    assert "weights.npz is missing" in found.damaged["no-weights"]
    assert "card of 'copied'" in found.damaged["renamed"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", "not json", b"\xff\xfe"])
def test_a_card_that_is_no_card_is_damage_and_not_a_crash(stored, home, text):
    stored()
    data = text if isinstance(text, bytes) else text.encode()
    (home / "models/tiny" / CARD).write_bytes(data)
    with pytest.raises(ShelfError, match="card.json"):
        shelf.card("tiny")


@pytest.mark.parametrize("name", ["absent", "../models/tiny", "", "default.json"])
def test_a_model_that_is_not_there_is_said_to_be_so(stored, name):
    stored()
    with pytest.raises(ShelfError, match="no model"):
        shelf.card(name)


def test_the_shelf_opens_without_tensorflow():
    heavy = "('tensorflow', 'keras', 'pandas', 'tf_keras_vis')"
    code = f"import sys, cxr.reading.shelf, cxr.reading.saliency; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# The default


def test_the_first_model_becomes_the_default_and_the_second_does_not(stored):
    stored("first")
    stored("second")
    assert shelf.default_name() == "first"


def test_a_shelf_that_came_with_a_model_uses_it_until_another_is_promoted(stored, home):
    stored("came-with-it")
    (home / "models/default.json").unlink()
    assert shelf.default_name() == "came-with-it"
    with pytest.raises(ShelfError, match="in use"):
        shelf.delete("came-with-it")
    stored("another")
    assert shelf.default_name() == "came-with-it"
    shelf.promote("another")
    assert shelf.default_name() == "another" and shelf.roll_back() == "came-with-it"


def test_rolling_back_undoes_each_promotion_in_turn(stored):
    for name in ("a", "b", "c"):
        stored(name)
    shelf.promote("b")
    shelf.promote("b")
    shelf.promote("c")
    assert shelf.default_name() == "c"
    assert [shelf.roll_back(), shelf.roll_back()] == ["b", "a"]
    with pytest.raises(ShelfError, match="no earlier model"):
        shelf.roll_back()
    assert shelf.default_name() == "a"


def test_rolling_back_skips_models_that_are_gone(stored):
    for name in ("a", "b", "c"):
        stored(name)
    shelf.promote("b")
    shelf.promote("c")
    shelf.delete("b")
    assert shelf.roll_back() == "a"


def test_a_model_between_two_promotions_of_another_may_go(stored):
    stored("a")
    stored("b")
    shelf.promote("b")
    shelf.promote("a")
    shelf.delete("b")
    with pytest.raises(ShelfError, match="no earlier model"):
        shelf.roll_back()


def test_a_damaged_model_is_not_promoted(stored, home):
    stored("a")
    stored("b")
    (home / "models/b" / RECIPE).unlink()
    with pytest.raises(ShelfError, match="recipe.toml is missing"):
        shelf.promote("b")
    assert shelf.default_name() == "a"


@pytest.mark.parametrize("text", ["", "[]", "null", '{"history": 3}', '{"history": [1]}', '{"history": ["gone"]}'])
def test_a_damaged_record_of_the_default_is_mended_by_promoting(stored, home, text):
    stored()
    (home / "models/default.json").write_text(text)
    assert shelf.default_name() is None
    shelf.promote("tiny")
    assert shelf.default_name() == "tiny"


def test_promotions_at_once_are_all_kept(stored, home):
    names = [f"m{i}" for i in range(6)]
    for name in names:
        stored(name)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(shelf.promote, names[1:]))
    history = json.loads((home / "models/default.json").read_text())["history"]
    assert sorted(history) == names


def test_the_default_is_never_deleted(stored):
    stored()
    with pytest.raises(ShelfError, match="in use"):
        shelf.delete("tiny")
    assert shelf.names() == ["tiny"]


def test_a_deleted_model_leaves_nothing_behind(stored, home):
    stored("a")
    stored("b")
    shelf.delete("b")
    assert on_the_shelf(home) == ["a"]


def test_a_name_used_again_after_deleting_does_not_inherit_promotions(stored):
    stored("a")
    stored("b")
    shelf.promote("b")
    shelf.promote("a")
    shelf.delete("b")
    stored("b")
    with pytest.raises(ShelfError, match="no earlier model"):
        shelf.roll_back()


# Export and import


def test_a_renamed_model_is_the_same_under_another_name_and_stays_in_use(stored, home):
    card = stored("old")
    stored("other")
    shelf.promote("other")
    shelf.promote("old")
    renamed = shelf.rename("old", "new")
    assert renamed == card.model_copy(update={"name": "new"}) == shelf.card("new")
    assert shelf.default_name() == "new" and sorted(shelf.names()) == ["new", "other"]
    assert shelf.previous_name() == shelf.roll_back() == "other"
    assert shelf.roll_back() == "new" and shelf.previous_name() is None
    assert sorted(path.name for path in (home / "models").iterdir() if path.is_dir()) == ["new", "other"]


def test_a_model_is_not_renamed_to_a_name_that_is_taken_or_no_name(stored, home):
    stored("old")
    stored("other")
    for name, match in (("other", "already a model"), ("Old One", "cannot be a model's name"), ("old", "already")):
        with pytest.raises(ShelfError, match=match):
            shelf.rename("old", name)
    with pytest.raises(ShelfError, match="no model 'absent'"):
        shelf.rename("absent", "new")
    assert sorted(shelf.names()) == ["old", "other"]


def test_a_model_travels_in_one_file(stored, home, tmp_path, monkeypatch):
    card = stored()
    file = parcel.export_model("tiny", tmp_path / "tiny.zip")
    monkeypatch.setenv("CXR_HOME", str(tmp_path / "elsewhere"))
    assert parcel.import_model(file) == card == shelf.card("tiny")
    assert shelf.default_name() == "tiny"
    assert shelf.evaluation_of("tiny").read_text() == TABLE.replace("a.png", "")  # a name is often a patient's


def test_a_model_may_be_imported_under_another_name_and_from_memory(stored, tmp_path):
    card = stored()
    data = parcel.export_model("tiny", tmp_path / "tiny.zip").read_bytes()
    again = parcel.import_model(io.BytesIO(data), "twin")
    assert again == card.model_copy(update={"name": "twin"}) == shelf.card("twin")
    assert shelf.default_name() == "tiny"


def test_an_import_does_not_replace_a_model(stored, tmp_path):
    stored()
    file = parcel.export_model("tiny", tmp_path / "tiny.zip")
    with pytest.raises(ShelfError, match="already a model"):
        parcel.import_model(file)


def test_an_export_that_cannot_be_written_says_so(stored, tmp_path):
    stored()
    with pytest.raises(ShelfError, match="cannot be written"):
        parcel.export_model("tiny", tmp_path / "absent" / "tiny.zip")


@pytest.fixture
def guarded(stored, make_gate):
    """Puts such a model on the shelf, with a gate."""

    def make(name="tiny"):
        stored(name)
        gate, record = make_gate()
        return shelf.give_gate(name, gate.arrays(), record, None)

    return make


def test_a_card_from_before_gates_is_read(stored, home):
    stored()
    path = home / "models" / "tiny" / CARD
    newer = ("gate", "gate_sha256", "ages")
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key not in newer}))
    assert (shelf.card("tiny").gate, shelf.card("tiny").ages) == (None, None)


def test_a_gate_is_stored_with_its_model(home, draft, tiny_recipe, make_gate):
    gate, record = make_gate()
    card = shelf.store(draft(gate=record), tiny_recipe(), {"logits/bias": np.zeros(3)}, TABLE, gate.arrays())
    assert shelf.card("tiny") == card and card.gate == record and card.gate_sha256
    assert sorted(path.name for path in (home / "models" / "tiny").iterdir()) == sorted((*MEMBERS, GATE))


def test_a_gate_is_given_to_a_model_that_has_none_or_another(guarded, home, make_gate):
    first = guarded()
    assert shelf.card("tiny") == first and first.gate_sha256
    gate, record = make_gate(seed=1)
    second = shelf.give_gate("tiny", gate.arrays(), record, None)
    assert shelf.card("tiny") == second and second.gate_sha256 != first.gate_sha256
    assert (second.version, second.created) == (first.version, first.created)
    assert sorted(path.name for path in (home / "models" / "tiny").iterdir()) == sorted((*MEMBERS, GATE))


def test_a_model_whose_gate_is_gone_is_damaged(guarded, home):
    guarded()
    (home / "models" / "tiny" / GATE).unlink()
    with pytest.raises(ShelfError, match="gate.npz is missing"):
        shelf.card("tiny")


def test_a_gate_goes_with_its_model_under_another_name_and_to_another_shelf(guarded, tmp_path, monkeypatch):
    card = guarded()
    renamed = shelf.rename("tiny", "other")
    assert renamed == card.model_copy(update={"name": "other"}) == shelf.card("other")
    file = parcel.export_model("other", tmp_path / "other.zip")
    monkeypatch.setenv("CXR_HOME", str(tmp_path / "elsewhere"))
    assert parcel.import_model(file) == renamed == shelf.card("other")


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
    members_of = members(parcel.export_model("tiny", tmp_path / "tiny.zip"))
    buffer = io.BytesIO()
    np.savez(buffer, **spoil(make_gate()[0].arrays()))
    card = json.loads(members_of[CARD]) | {"gate_sha256": hashlib.sha256(buffer.getvalue()).hexdigest()}
    odd = members_of | {GATE: buffer.getvalue(), CARD: json.dumps(card)}
    assert_refused(packed(odd, tmp_path / "p.zip"), home, "gate in this file is damaged")


def test_a_gate_that_is_not_the_card_s_is_refused(guarded, home, tmp_path):
    guarded()
    contents = members(parcel.export_model("tiny", tmp_path / "tiny.zip"))
    assert_refused(packed(contents | {GATE: b"other"}, tmp_path / "a.zip"), home, "not that of its card")
    without = {name: data for name, data in contents.items() if name != GATE}
    assert_refused(packed(without, tmp_path / "b.zip"), home, "do not belong together")
    bare = json.loads(contents[CARD]) | {"gate_sha256": None}
    assert_refused(packed(contents | {CARD: json.dumps(bare)}, tmp_path / "c.zip"), home, "do not belong together")


@pytest.fixture
def contents(stored, tmp_path):
    stored()
    return members(parcel.export_model("tiny", tmp_path / "tiny.zip"))


def assert_refused(file, home, match):
    with pytest.raises(ShelfError, match=match):
        parcel.import_model(file, "guest")
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
    monkeypatch.setitem(parcel._LIMIT_BYTES, EVALUATION, 10_000)
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


# Loading


def test_loading_from_an_empty_shelf_says_what_to_do(home):
    with pytest.raises(ShelfError, match="Train one, or import one"):
        shelf.load()


def test_weights_changed_on_the_shelf_are_not_loaded(stored, home):
    stored()
    with (home / "models/tiny" / WEIGHTS).open("ab") as file:
        file.write(b"0")
    with pytest.raises(ShelfError, match="cannot be loaded: the weights are not those of its card"):
        shelf.load()


def test_weights_that_do_not_fit_the_network_are_not_loaded(stored):
    stored()
    with pytest.raises(ShelfError, match="cannot be loaded: The weights do not fit"):
        shelf.load("tiny", "float32")


@pytest.mark.parametrize("kept_as", [np.float16, np.float32])
def test_the_default_is_loaded_and_reads_as_before(home, make_classifier, draft, film, kept_as):
    from cxr.learning.weights import arrays_of

    fresh = make_classifier()
    arrays = {name: array.astype(kept_as) for name, array in arrays_of(fresh.network.model.weights).items()}
    shelf.store(draft(threshold=0.4), fresh.recipe, arrays, TABLE)
    loaded = shelf.load(precision="float32")
    assert (loaded.card.name, loaded.threshold) == ("tiny", 0.4)
    tolerance = 0 if kept_as == np.float32 else 2e-3
    np.testing.assert_allclose(loaded.read(film).probabilities, fresh.read(film).probabilities, atol=tolerance, rtol=0)


def test_a_whitening_model_travels_and_loads(home, draft, tiny_recipe, film, tmp_path):
    from cxr.learning.network import build
    from cxr.learning.weights import arrays_of

    recipe = tiny_recipe()
    recipe = recipe.model_copy(update={"input": recipe.input.model_copy(update={"zca": True})})
    network = build(recipe, 3, "float32", zca_rank=2)
    card = shelf.store(draft(zca_rank=2), recipe, arrays_of(network.model.weights), TABLE)
    parcel.import_model(parcel.export_model("tiny", tmp_path / "tiny.zip"), "twin")
    assert shelf.load("twin", "float32").card.weights_sha256 == card.weights_sha256


@pytest.fixture
def on_shelf(home, make_classifier, draft):
    """A model that can be loaded."""
    from cxr.learning.weights import arrays_of

    fresh = make_classifier()
    shelf.store(draft(), fresh.recipe, arrays_of(fresh.network.model.weights), TABLE)


def test_a_model_without_a_gate_reads_and_says_nothing_of_it(on_shelf, film):
    prediction = shelf.load("tiny", "float32").read(film)
    assert prediction.gate is None and prediction.as_dict()["gate"] is None


def test_a_model_with_a_gate_has_a_verdict_on_every_film(on_shelf, film, make_gate):
    gate, record = make_gate()
    shelf.give_gate("tiny", gate.arrays(), record, None)
    loaded = shelf.load("tiny", "float32")
    prediction = loaded.read(film)
    assert prediction.gate == loaded.gate.judge(prediction.features, film, 32)
    assert prediction.as_dict()["gate"] == prediction.gate.as_dict()


def test_a_gate_changed_on_the_shelf_or_of_another_network_is_not_loaded(on_shelf, home, make_gate):
    gate, record = make_gate(features=12)
    shelf.give_gate("tiny", gate.arrays(), record, None)
    with pytest.raises(ShelfError, match="not one for this network"):
        shelf.load("tiny", "float32")
    (home / "models" / "tiny" / GATE).write_bytes(b"changed")
    with pytest.raises(ShelfError, match="not that of its card"):
        shelf.load("tiny", "float32")
