"""A model is judged again by other choices, without training; what cannot be changed so is refused."""

import numpy as np
import pytest

from cxr.datasets.dataset import open_datasets
from cxr.errors import DatasetError, RecipeError, ShelfError
from cxr.films.film import Film
from cxr.films.phantom import draw_phantom_set
from cxr.judging.evaluation import probabilities_of, read_films, read_scores
from cxr.learning.weights import load_arrays
from cxr.reading import shelf
from cxr.revision import revise
from tests.conftest import carry_out, tiny_recipe

VARIED = {"rotation_deg": 5.0, "crop_area": 0.7}


@pytest.fixture
def varied(home, phantoms):
    """A home with a model that was trained with fresh views."""
    carry_out(tiny_recipe(training={"epochs": 1}, augmentation=VARIED), [phantoms], "first")
    return phantoms


def revised(films, *overrides, new="second"):
    return revise("first", new, overrides, [str(films)], lambda *_: None)


def test_a_margin_is_left_out_from_then_on_and_all_figures_are_of_that(varied):
    before, card = shelf.card("first"), revised(varied, "input.margin=0.125")
    assert shelf.recipe_of("second").input.margin == 0.125
    scores = read_scores(shelf.evaluation_of("second"))
    assert card.results["test"] != before.results["test"] and card.gate is not None
    classifier = shelf.load("second", "float32")
    films = [Film.read((varied / path).read_bytes()) for path in scores["path"]]
    read = np.stack([one.probabilities for one in classifier.read_many(films)])
    np.testing.assert_allclose(read, probabilities_of(scores, card.classes), atol=2e-5)


def test_the_films_are_the_same_and_what_the_training_knew_stays(varied):
    before, card = shelf.card("first"), revised(varied, "input.margin=0.125")
    same = ("classes", "films", "sources", "run", "epochs", "best_epoch", "history", "duration_s", "starting_weights")
    assert all(getattr(card, field) == getattr(before, field) for field in same)
    tables = [read_films(shelf.evaluation_of(name)) for name in ("first", "second")]
    about = ["dataset", "path", "patient", "film", "label", "role"]
    assert tables[0][about].equals(tables[1][about])
    assert (tables[1][tables[1]["role"] == "train"].filter(like="p_").isna()).all(axis=None)


def test_no_weight_of_the_trunk_moves(varied):
    revised(varied, "input.margin=0.125")
    old, new = (load_arrays(shelf.folder_of(name) / "weights.npz") for name in ("first", "second"))
    assert old.keys() == new.keys()
    assert all(np.array_equal(old[name], new[name]) for name in old if not name.startswith("logits"))


def test_another_rule_of_the_threshold_moves_the_threshold_alone(varied):
    before, card = shelf.card("first"), revised(varied, "decision.rule=sensitivity", "decision.sensitivity=1.0")
    assert card.threshold_rule != before.threshold_rule and card.threshold != before.threshold
    assert card.results["val"]["binary"]["sensitivity"] == 1.0
    assert card.temperature == pytest.approx(before.temperature, rel=0.02)  # it was fitted on the same films before
    assert card.results["test"]["binary"]["auc"] == pytest.approx(before.results["test"]["binary"]["auc"], abs=1e-3)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.epochs=3", r"training\.epochs cannot be changed without a training"),
        ("head.dropout=0.5", r"head\.dropout cannot be changed without a training"),
        ("decision.sure=0.95", "Nothing would be another"),
        ("decision.sure=2", r"decision\.sure"),
    ],
)
def test_what_takes_a_training_or_changes_nothing_is_refused(trained, phantoms, override, said):
    with pytest.raises(RecipeError, match=said):
        revised(phantoms, override)
    assert shelf.names() == ["first"]


def test_without_all_films_that_it_was_judged_by_it_is_refused(trained, tmp_path):
    draw_phantom_set(tmp_path / "others", 8, seed=77, size_px=64)
    judged = len(read_scores(shelf.evaluation_of("first")))
    with pytest.raises(DatasetError, match=f"{judged} of the {judged} films that 'first' was judged by are not"):
        revised(tmp_path / "others", "decision.sure=0.9")
    assert len(open_datasets([str(tmp_path / "others")])) == 8


def test_a_name_that_is_taken_is_refused_before_anything_is_read(trained, phantoms):
    with pytest.raises(ShelfError, match="already a model 'first'"):
        revised(phantoms, "decision.sure=0.9", new="first")


def test_the_command_line_says_what_threshold_it_has_now(trained, phantoms, cxr, answer):
    code, out, _ = cxr("models", "revise", "first", "second", "--data", phantoms, "--set", "decision.sure=0.9")
    assert code == 0 and "'second' is on the shelf, with the threshold" in out
    said = answer("models", "revise", "first", "third", "--data", phantoms, "--set", "decision.sure=0.8")
    assert said["name"] == "third" and said["unsure_rule"] == shelf.card("third").unsure_rule
