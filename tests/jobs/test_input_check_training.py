"""Where gates are taught: at the end of a training, and later with the films of that training alone."""

import pytest

from cxr.core.errors import DatasetError
from cxr.evaluation.evaluation import read_scores
from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.jobs import input_check_training
from cxr.jobs.input_check_training import add_input_check
from cxr.jobs.run_journal import RunJournal
from cxr.registry import registry
from tests.support.training import carry_out, tiny_recipe


def test_a_training_gives_its_model_a_gate_and_the_card_says_with_what(trained, phantoms):
    card, classifier = registry.get_card("first"), registry.load("first", "float32")
    assert card.gate.films == sum(card.films["train"].values())
    assert card.gate.held_out == sum(card.films["val"].values())
    assert card.gate.kinds["frontal"] == 2 * card.gate.films
    films = read_scores(registry.evaluation_path("first")).query("role == 'val'")["path"]
    verdicts = [one.input_check for one in classifier.read_many(Film.read(phantoms / path) for path in films)]
    assert sum(not verdict.rejected for verdict in verdicts) == card.gate.let_through >= 0.9 * len(verdicts)


def test_a_run_that_is_stopped_keeps_its_model_and_says_that_it_has_no_gate(home, phantoms, monkeypatch):
    monkeypatch.setattr(
        input_check_training, "collect_examples", lambda *given: given[-1](1, 2)
    )  # the moment after the stop
    monkeypatch.setattr(RunJournal, "stopping", lambda worker: worker._status.phase == "teaching the gate")
    run = carry_out(tiny_recipe(training={"epochs": 1}), [phantoms])
    assert registry.get_card("tiny").gate is None and run.status.model == "tiny"
    assert registry.load("tiny").input_check is None


def test_a_model_without_a_gate_is_given_one_with_its_own_training_films(home, phantoms, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(input_check_training, "train_input_check", lambda *given: None)
        carry_out(tiny_recipe(training={"epochs": 1}), [phantoms])
    bare = registry.get_card("tiny")
    assert bare.gate is None
    told = []
    card = add_input_check("tiny", [str(phantoms)], lambda *said: told.append(said))
    assert card == registry.get_card("tiny") and card.gate.films == sum(card.films["train"].values())
    assert told[-1][2] == "Teaching the gate" and told[-1][0] == told[-1][1]
    assert registry.load("tiny").input_check is not None
    draw_phantom_set(tmp_path / "others", 8, seed=77, size_px=64)
    with pytest.raises(DatasetError, match="None of the films that 'tiny' was trained on"):
        add_input_check("tiny", [str(tmp_path / "others")], lambda *said: None)
