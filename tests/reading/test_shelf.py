"""The shelf: what is stored, listed, promoted, renamed and loaded, and what damage is said of."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cxr.errors import ShelfError
from cxr.learning.recipe import Recipe
from cxr.reading import shelf
from cxr.reading.card import CARD, GATE, MEMBERS, RECIPE, WEIGHTS
from tests.reading.conftest import TABLE, on_the_shelf

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


# Names and gates


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
