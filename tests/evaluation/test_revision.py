"""A model gets another rule for its threshold or another band, without training; what needs one is refused."""

import numpy as np
import pytest

from cxr.core.access import Action
from cxr.core.audit_trail import read_entries
from cxr.core.errors import RecipeError, RegistryError
from cxr.evaluation.revision import revise
from cxr.evaluation.scores import read_films
from cxr.evaluation.shortcuts import audit_file
from cxr.evaluation.shortcuts.verdict import conclude
from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference.loading import load_classifier
from cxr.registry import registry
from cxr.registry.weights_file import load_arrays
from tests.support.score_tables import measured

HALF_FOUND = ("decision.rule=sensitivity", "decision.sensitivity=0.5")


def test_the_threshold_goes_by_the_new_rule_and_all_figures_by_the_threshold(trained):
    before, card = registry.get_card("first"), revise("first", "second", HALF_FOUND)
    assert card.threshold_rule != before.threshold_rule and card.threshold > before.threshold
    assert 0.5 <= card.results["val"]["binary"]["sensitivity"] < before.results["val"]["binary"]["sensitivity"]
    assert card.results["test"]["binary"]["auc"] == before.results["test"]["binary"]["auc"]
    assert registry.get_recipe("second").decision.sensitivity == 0.5


def test_weights_scores_gate_and_what_the_training_knew_stay(trained):
    before, card = registry.get_card("first"), revise("first", "second", ["decision.sure=0.8"])
    changed = {"name", "created", "results", "threshold", "threshold_rule", "unsure", "unsure_rule"}
    assert {field for field, value in card if value != getattr(before, field)} - {"software"} <= changed
    assert card.unsure_rule != before.unsure_rule
    folders = [registry.model_folder(name) for name in ("first", "second")]
    old, new = (load_arrays(folder / "weights.npz") for folder in folders)
    assert old.keys() == new.keys() and all(np.array_equal(old[name], new[name]) for name in old)
    assert read_films(folders[0] / "evaluation.csv").equals(read_films(folders[1] / "evaluation.csv"))
    film = Film.from_pixels(draw_phantom("viral", 3, 64).pixels)
    readings = [load_classifier(name, "float32").read(film) for name in ("first", "second")]
    assert np.array_equal(readings[0].probabilities, readings[1].probabilities)
    assert readings[0].input_check == readings[1].input_check


def test_an_audit_of_the_weights_holds_for_them_under_their_new_name_too(trained):
    audit_file.save_audit(registry.get_card("first"), conclude(registry.get_card("first"), measured(), []))
    assert (
        audit_file.load_audit(revise("first", "second", HALF_FOUND))
        == audit_file.load_audit(registry.get_card("first"))
        is not None
    )


def test_the_trail_calls_it_a_revision(trained):
    revise("first", "second", HALF_FOUND)
    assert (Action.REVISE_MODEL, "second") in [(one.action, one.model) for one in read_entries()]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.epochs=3", r"training\.epochs cannot be changed without a training"),
        ("head.dropout=0.5", r"head\.dropout cannot be changed without a training"),
        ("decision.sure=0.95", "Nothing would be another"),
        ("decision.sure=2", r"decision\.sure"),
    ],
)
def test_what_takes_a_training_or_changes_nothing_is_refused(trained, override, said):
    with pytest.raises(RecipeError, match=said):
        revise("first", "second", [override])
    assert registry.names() == ["first"]


def test_a_name_that_is_taken_is_refused(trained):
    with pytest.raises(RegistryError, match="already a model 'first'"):
        revise("first", "first", HALF_FOUND)


def test_the_command_line_says_what_threshold_it_has_now(trained, cxr, answer):
    code, out, _ = cxr("models", "revise", "first", "second", "--set", "decision.sure=0.9")
    assert code == 0 and "'second' is on the shelf, with the threshold" in out
    said = answer("models", "revise", "first", "third", "--set", "decision.sure=0.8")
    assert said["name"] == "third" and said["unsure_rule"] == registry.get_card("third").unsure_rule
