"""The shelf: what is stored, listed, promoted, renamed and loaded, and what damage is said of."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cxr.core.errors import RegistryError
from cxr.registry import registry
from cxr.registry.card import CARD, GATE, MEMBERS, RECIPE, WEIGHTS
from cxr.registry.recipe import Recipe
from tests.support.small_models import TABLE, on_the_shelf

# Storing


def test_a_card_from_before_temperatures_and_unsure_bands_is_read(stored, home):
    stored()
    path = home / "models" / "tiny" / CARD
    newer = ("temperature", "temperature_rule", "unsure", "unsure_rule")
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key not in newer}))
    assert (registry.get_card("tiny").temperature, registry.get_card("tiny").unsure) == (1.0, None)


def test_a_stored_model_has_a_card_that_says_what_it_is(stored, home):
    card = stored()
    assert registry.get_card("tiny") == card
    assert card.version == card.weights_sha256[:12]
    assert (card.recipe, card.size_px, card.classes) == ("tiny", 32, ("normal", "bacterial", "viral"))
    assert "not a medical device" in card.note
    assert card.software["keras"]
    assert sorted(path.name for path in (home / "models" / "tiny").iterdir()) == sorted(MEMBERS)
    assert registry.get_recipe("tiny").name == "tiny"
    assert registry.evaluation_path("tiny").read_text() == TABLE


def test_an_evaluation_may_come_from_a_file(home, draft, tiny_recipe, tmp_path):
    table = tmp_path / "scores.csv"
    table.write_text(TABLE)
    registry.store(draft(), tiny_recipe(), {"logits/bias": np.zeros(3)}, table)
    assert registry.evaluation_path("tiny").read_text() == TABLE


def test_a_name_on_the_shelf_is_not_given_twice(stored):
    first = stored()
    with pytest.raises(RegistryError, match="already a model 'tiny'"):
        stored()
    assert registry.get_card("tiny") == first


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "a\\b", "Upper", "-dash", "a\n", "x" * 65, "é", "default.json"]
)
def test_a_name_that_is_no_plain_name_is_refused(stored, home, name):
    with pytest.raises(RegistryError, match="cannot be a model's name"):
        stored(name)
    assert not (home / "models").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_went_astray_are_not_stored(stored, home, value):
    with pytest.raises(RegistryError, match="'logits/bias' are not all finite"):
        stored(**{"logits/bias": [0, value, 0]})
    assert registry.names() == []


def test_a_storing_that_fails_leaves_nothing_behind(stored, home, tmp_path, draft, tiny_recipe):
    stored("first")

    class Unwritable(Recipe):
        def to_toml(self):
            raise OSError(28, "No space left on device")

    recipe = Unwritable(**dict(tiny_recipe()))
    with pytest.raises(RegistryError, match="could not be stored: No space left on device"):
        registry.store(draft("second"), recipe, {"logits/bias": np.zeros(3)}, TABLE)
    with pytest.raises(RegistryError, match="could not be stored"):
        registry.store(draft("second"), tiny_recipe(), {"logits/bias": np.zeros(3)}, tmp_path / "absent.csv")
    assert on_the_shelf(home) == ["first"]


def test_of_two_that_store_one_name_at_once_one_succeeds(stored, home):
    def attempt(_):
        try:
            return stored()
        except RegistryError:
            return None

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(attempt, range(4)))
    assert sum(result is not None for result in results) == 1
    assert on_the_shelf(home) == ["tiny"]


# Listing


def test_an_empty_shelf_lists_nothing(home):
    assert registry.names() == []
    assert registry.default_name() is None


def test_a_damaged_model_is_named_with_the_reason_and_the_others_are_listed(stored, home):
    for name in ("good", "no-weights", "bad-card", "copied"):
        stored(name)
    (home / "models/no-weights" / WEIGHTS).unlink()
    (home / "models/bad-card" / CARD).write_text('{"format": 2}')
    (home / "models/copied").rename(home / "models/renamed")
    (home / "models/.partial").mkdir()
    (home / "models/README.md").write_text("Models.")
    found = registry.list_models()
    assert [card.name for card in found.cards] == ["good"] == registry.names()
    assert sorted(found.damaged) == ["bad-card", "no-weights", "renamed"]
    assert "weights.npz is missing" in found.damaged["no-weights"]
    assert "card of 'copied'" in found.damaged["renamed"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", "not json", b"\xff\xfe"])
def test_a_card_that_is_no_card_is_damage_and_not_a_crash(stored, home, text):
    stored()
    data = text if isinstance(text, bytes) else text.encode()
    (home / "models/tiny" / CARD).write_bytes(data)
    with pytest.raises(RegistryError, match="card.json"):
        registry.get_card("tiny")


@pytest.mark.parametrize("name", ["absent", "../models/tiny", "", "default.json"])
def test_a_model_that_is_not_there_is_said_to_be_so(stored, name):
    stored()
    with pytest.raises(RegistryError, match="no model"):
        registry.get_card(name)


def test_the_shelf_opens_without_tensorflow():
    heavy = "('tensorflow', 'keras', 'pandas', 'tf_keras_vis')"
    code = f"import sys, cxr.registry.registry, cxr.inference.saliency; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# The default


def test_the_first_model_becomes_the_default_and_the_second_does_not(stored):
    stored("first")
    stored("second")
    assert registry.default_name() == "first"


def test_a_shelf_that_came_with_a_model_uses_it_until_another_is_promoted(stored, home):
    stored("came-with-it")
    (home / "models/default.json").unlink()
    assert registry.default_name() == "came-with-it"
    with pytest.raises(RegistryError, match="in use"):
        registry.delete("came-with-it")
    stored("another")
    assert registry.default_name() == "came-with-it"
    registry.promote("another")
    assert registry.default_name() == "another" and registry.roll_back() == "came-with-it"


def test_rolling_back_undoes_each_promotion_in_turn(stored):
    for name in ("a", "b", "c"):
        stored(name)
    registry.promote("b")
    registry.promote("b")
    registry.promote("c")
    assert registry.default_name() == "c"
    assert [registry.roll_back(), registry.roll_back()] == ["b", "a"]
    with pytest.raises(RegistryError, match="no earlier model"):
        registry.roll_back()
    assert registry.default_name() == "a"


def test_rolling_back_skips_models_that_are_gone(stored):
    for name in ("a", "b", "c"):
        stored(name)
    registry.promote("b")
    registry.promote("c")
    registry.delete("b")
    assert registry.roll_back() == "a"


def test_a_model_between_two_promotions_of_another_may_go(stored):
    stored("a")
    stored("b")
    registry.promote("b")
    registry.promote("a")
    registry.delete("b")
    with pytest.raises(RegistryError, match="no earlier model"):
        registry.roll_back()


def test_a_damaged_model_is_not_promoted(stored, home):
    stored("a")
    stored("b")
    (home / "models/b" / RECIPE).unlink()
    with pytest.raises(RegistryError, match="recipe.toml is missing"):
        registry.promote("b")
    assert registry.default_name() == "a"


@pytest.mark.parametrize("text", ["", "[]", "null", '{"history": 3}', '{"history": [1]}', '{"history": ["gone"]}'])
def test_a_damaged_record_of_the_default_is_mended_by_promoting(stored, home, text):
    stored()
    (home / "models/default.json").write_text(text)
    assert registry.default_name() is None
    registry.promote("tiny")
    assert registry.default_name() == "tiny"


def test_promotions_at_once_are_all_kept(stored, home):
    names = [f"m{i}" for i in range(6)]
    for name in names:
        stored(name)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(registry.promote, names[1:]))
    history = json.loads((home / "models/default.json").read_text())["history"]
    assert sorted(history) == names


def test_the_default_is_never_deleted(stored):
    stored()
    with pytest.raises(RegistryError, match="in use"):
        registry.delete("tiny")
    assert registry.names() == ["tiny"]


def test_a_deleted_model_leaves_nothing_behind(stored, home):
    stored("a")
    stored("b")
    registry.delete("b")
    assert on_the_shelf(home) == ["a"]


def test_a_name_used_again_after_deleting_does_not_inherit_promotions(stored):
    stored("a")
    stored("b")
    registry.promote("b")
    registry.promote("a")
    registry.delete("b")
    stored("b")
    with pytest.raises(RegistryError, match="no earlier model"):
        registry.roll_back()


# Names and gates


def test_a_renamed_model_is_the_same_under_another_name_and_stays_in_use(stored, home):
    card = stored("old")
    stored("other")
    registry.promote("other")
    registry.promote("old")
    renamed = registry.rename("old", "new")
    assert renamed == card.model_copy(update={"name": "new"}) == registry.get_card("new")
    assert registry.default_name() == "new" and sorted(registry.names()) == ["new", "other"]
    assert registry.previous_name() == registry.roll_back() == "other"
    assert registry.roll_back() == "new" and registry.previous_name() is None
    assert sorted(path.name for path in (home / "models").iterdir() if path.is_dir()) == ["new", "other"]


def test_a_model_is_not_renamed_to_a_name_that_is_taken_or_no_name(stored, home):
    stored("old")
    stored("other")
    for name, match in (("other", "already a model"), ("Old One", "cannot be a model's name"), ("old", "already")):
        with pytest.raises(RegistryError, match=match):
            registry.rename("old", name)
    with pytest.raises(RegistryError, match="no model 'absent'"):
        registry.rename("absent", "new")
    assert sorted(registry.names()) == ["old", "other"]


def test_a_card_from_before_gates_is_read(stored, home):
    stored()
    path = home / "models" / "tiny" / CARD
    newer = ("gate", "gate_sha256", "ages")
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key not in newer}))
    assert (registry.get_card("tiny").gate, registry.get_card("tiny").ages) == (None, None)


def test_a_gate_is_stored_with_its_model(home, draft, tiny_recipe, make_gate):
    gate, record = make_gate()
    card = registry.store(draft(gate=record), tiny_recipe(), {"logits/bias": np.zeros(3)}, TABLE, gate.arrays())
    assert registry.get_card("tiny") == card and card.gate == record and card.gate_sha256
    assert sorted(path.name for path in (home / "models" / "tiny").iterdir()) == sorted((*MEMBERS, GATE))


def test_a_gate_is_given_to_a_model_that_has_none_or_another(guarded, home, make_gate):
    first = guarded()
    assert registry.get_card("tiny") == first and first.gate_sha256
    gate, record = make_gate(seed=1)
    second = registry.attach_input_check("tiny", gate.arrays(), record, None)
    assert registry.get_card("tiny") == second and second.gate_sha256 != first.gate_sha256
    assert (second.version, second.created) == (first.version, first.created)
    assert sorted(path.name for path in (home / "models" / "tiny").iterdir()) == sorted((*MEMBERS, GATE))


def test_a_model_whose_gate_is_gone_is_damaged(guarded, home):
    guarded()
    (home / "models" / "tiny" / GATE).unlink()
    with pytest.raises(RegistryError, match="gate.npz is missing"):
        registry.get_card("tiny")


# Loading


def test_loading_from_an_empty_shelf_says_what_to_do(home):
    with pytest.raises(RegistryError, match="Train one, or import one"):
        registry.load()


def test_weights_changed_on_the_shelf_are_not_loaded(stored, home):
    stored()
    with (home / "models/tiny" / WEIGHTS).open("ab") as file:
        file.write(b"0")
    with pytest.raises(RegistryError, match="cannot be loaded: the weights are not those of its card"):
        registry.load()


def test_weights_that_do_not_fit_the_network_are_not_loaded(stored):
    stored()
    with pytest.raises(RegistryError, match="cannot be loaded: The weights do not fit"):
        registry.load("tiny", "float32")


@pytest.mark.parametrize("kept_as", [np.float16, np.float32])
def test_the_default_is_loaded_and_reads_as_before(home, make_classifier, draft, film, kept_as):
    from cxr.registry.weights_file import arrays_of

    fresh = make_classifier()
    arrays = {name: array.astype(kept_as) for name, array in arrays_of(fresh.network.model.weights).items()}
    registry.store(draft(threshold=0.4), fresh.recipe, arrays, TABLE)
    loaded = registry.load(precision="float32")
    assert (loaded.card.name, loaded.threshold) == ("tiny", 0.4)
    tolerance = 0 if kept_as == np.float32 else 2e-3
    np.testing.assert_allclose(loaded.read(film).probabilities, fresh.read(film).probabilities, atol=tolerance, rtol=0)


@pytest.fixture
def on_shelf(home, make_classifier, draft):
    """A model that can be loaded."""
    from cxr.registry.weights_file import arrays_of

    fresh = make_classifier()
    registry.store(draft(), fresh.recipe, arrays_of(fresh.network.model.weights), TABLE)


def test_a_model_without_a_gate_reads_and_says_nothing_of_it(on_shelf, film):
    prediction = registry.load("tiny", "float32").read(film)
    assert prediction.gate is None and prediction.as_dict()["gate"] is None


def test_a_model_with_a_gate_has_a_verdict_on_every_film(on_shelf, film, make_gate):
    gate, record = make_gate()
    registry.attach_input_check("tiny", gate.arrays(), record, None)
    loaded = registry.load("tiny", "float32")
    prediction = loaded.read(film)
    assert prediction.gate == loaded.gate.check(prediction.features, film, 32)
    assert prediction.as_dict()["gate"] == prediction.gate.as_dict()


def test_a_gate_changed_on_the_shelf_or_of_another_network_is_not_loaded(on_shelf, home, make_gate):
    gate, record = make_gate(features=12)
    registry.attach_input_check("tiny", gate.arrays(), record, None)
    with pytest.raises(RegistryError, match="not one for this network"):
        registry.load("tiny", "float32")
    (home / "models" / "tiny" / GATE).write_bytes(b"changed")
    with pytest.raises(RegistryError, match="not that of its card"):
        registry.load("tiny", "float32")
