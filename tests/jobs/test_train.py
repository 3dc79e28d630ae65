"""A training job from its films to the model in the registry."""

from dataclasses import replace

import numpy as np
import pytest

from cxr.core.errors import DatasetError, RecipeError, RunError
from cxr.core.paths import models_dir
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.calibration import Temperature, apply_temperature
from cxr.evaluation.card_results import card_results
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.evaluation import evaluate
from cxr.evaluation.indeterminate import choose_band
from cxr.evaluation.operating_point import ThresholdRule, choose_threshold, threshold_spread
from cxr.evaluation.scores import probabilities_of, read_scores
from cxr.films.film import Film
from cxr.inference.loading import load_classifier
from cxr.jobs import run_store
from cxr.jobs.job import training_job
from cxr.jobs.kinds import execute
from cxr.jobs.run import SCORES
from cxr.jobs.train import Stages
from cxr.jobs.training_plan import plan
from cxr.registry import registry
from tests.support.training import WITHOUT_INPUT_CHECK, carry_out, tiny_recipe

TWO = {"classes": ["normal", "covid19"]}


def with_temperature(temperature: Temperature) -> Stages:
    """Stages that apply this temperature whatever the validation films say."""
    return replace(WITHOUT_INPUT_CHECK, fit_temperature=lambda p, targets: temperature)


def stored(name="tiny"):
    return read_scores(registry.evaluation_path(name))


def test_the_stored_scores_are_those_that_the_model_predicts_from_the_files(home, phantoms):
    recipe = tiny_recipe(
        input={"featurewise_center": True, "featurewise_std": True, "zca": True, "zca_epsilon": 0.1},
        head={"dense": [32], "dropout": 0.3},
        augmentation={"rotation_deg": 10},
        training={"epochs": 1},
    )
    run = carry_out(recipe, [phantoms], stages=WITHOUT_INPUT_CHECK)
    assert run.status.state == "finished"
    assert run.status.model == "tiny"
    scores, classifier = stored(), load_classifier("tiny", "float32")
    assert set(scores["role"]) == {"val", "test"}
    assert len(scores) > 40
    films = [Film.read(phantoms / path) for path in scores["path"]]
    read = np.stack([prediction.probabilities for prediction in classifier.read_many(films)])
    np.testing.assert_allclose(read, probabilities_of(scores, classifier.classes), atol=2e-5)
    assert read.std(axis=0).max() > 1e-3  # not one answer for all


def test_a_model_with_a_frozen_backbone_predicts_its_stored_scores(home, phantoms):
    recipe = tiny_recipe(
        data=TWO, trunk={"train": "block3"}, head={"pool": "average", "output": "sigmoid"}, training={"epochs": 1}
    )
    carry_out(recipe, [phantoms], stages=WITHOUT_INPUT_CHECK)
    scores, classifier = stored(), load_classifier("tiny", "float32")
    read = [classifier.read(Film.read(phantoms / path)).probabilities for path in scores["path"]]
    np.testing.assert_allclose(read, probabilities_of(scores, classifier.classes), atol=2e-5)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_a_fitted_temperature_is_part_of_the_model(home, phantoms, output):
    classes = {"data": TWO | {"validation": 0.5}} if output == "sigmoid" else {"data": {"validation": 0.4}}
    recipe = tiny_recipe(head={"output": output}, training={"epochs": 2}, **classes)
    carry_out(recipe, [phantoms], "plain", stages=with_temperature(Temperature(1.0, "none")))
    carry_out(recipe, [phantoms], "tiny", stages=with_temperature(Temperature(2.5, "chosen")))
    card, scores, plain = registry.get_card("tiny"), stored(), stored("plain")
    assert (card.temperature, card.temperature_rule) == (2.5, "chosen")
    assert registry.get_card("plain").temperature == 1
    softer = probabilities_of(scores, card.classes)
    np.testing.assert_allclose(softer, apply_temperature(probabilities_of(plain, card.classes), 2.5), atol=1e-4)
    read = load_classifier("tiny", "float32").read_many(Film.read(phantoms / path) for path in scores["path"])
    np.testing.assert_allclose([prediction.probabilities for prediction in read], softer, atol=2e-5)
    assert card.threshold == choose_threshold(scores[scores["role"] == "val"], LabelSpace(card.classes))
    binary = [evaluate(labeled_cases(table, LabelSpace(card.classes), None)).as_dict() for table in (scores, plain)]
    assert binary[0]["confusion"] == binary[1]["confusion"]


def test_the_temperature_is_fitted_on_validation_films_alone(home, phantoms):
    given: list[int] = []

    def fit(p, targets):
        given.append(len(p))
        return Temperature(1.0, "")

    carry_out(
        tiny_recipe(data={"validation": 0.4}, training={"epochs": 1}),
        [phantoms],
        stages=replace(WITHOUT_INPUT_CHECK, fit_temperature=fit),
    )
    assert given == [sum(registry.get_card("tiny").films["val"].values())]


def test_the_card_has_the_indeterminate_band_of_the_validation_films(trained):
    card, scores = registry.get_card("first"), stored("first")
    held, labels = scores[scores["role"] == "val"], LabelSpace(card.classes)
    band = choose_band(held, labels, card.threshold, spread=threshold_spread(held, labels))
    assert (card.unsure, card.unsure_rule) == (band.range, band.rule)
    assert card.unsure_rule


def test_half_precision_weights_are_those_evaluated_and_make_half_the_file(home, phantoms, monkeypatch):
    monkeypatch.setattr("cxr.registry.weights_file.LARGE", 64)
    for name, half in (("whole", False), ("tiny", True)):
        carry_out(tiny_recipe(training={"epochs": 1, "half": half}), [phantoms], name, WITHOUT_INPUT_CHECK)
    sizes = [(models_dir() / name / "weights.npz").stat().st_size for name in ("whole", "tiny")]
    assert sizes[1] < 0.6 * sizes[0]
    scores = stored()
    read = load_classifier("tiny", "float32").read_many(Film.read(phantoms / path) for path in scores["path"])
    p = probabilities_of(scores, registry.get_card("tiny").classes)
    np.testing.assert_allclose([prediction.probabilities for prediction in read], p, atol=2e-5)
    before = probabilities_of(stored("whole"), registry.get_card("tiny").classes)
    assert 0 < np.abs(p - before).max() < 0.002


@pytest.mark.parametrize("part", ["head", "block3"])
def test_the_frozen_part_that_is_evaluated_is_rounded_as_it_is_stored(home, phantoms, monkeypatch, part):
    monkeypatch.setattr("cxr.registry.weights_file.LARGE", 64)
    recipe = tiny_recipe(training={"epochs": 1, "half": True, "half_bits": 3}, trunk={"train": part})
    carry_out(recipe, [phantoms], "tiny", WITHOUT_INPUT_CHECK)
    scores = stored()
    read = load_classifier("tiny", "float32").read_many(Film.read(phantoms / path) for path in scores["path"])
    p = probabilities_of(scores, registry.get_card("tiny").classes)
    np.testing.assert_allclose([prediction.probabilities for prediction in read], p, atol=2e-5)


def test_a_recipe_may_set_a_target_sensitivity_and_a_stricter_band(home, phantoms):
    asked = {"rule": "sensitivity", "sensitivity": 0.8, "sure": 0.75}
    carry_out(
        tiny_recipe(data={"validation": 0.4}, training={"epochs": 2}, decision=asked),
        [phantoms],
        stages=WITHOUT_INPUT_CHECK,
    )
    card, scores = registry.get_card("tiny"), stored()
    held, labels = scores[scores["role"] == "val"], LabelSpace(card.classes)
    assert card.threshold == choose_threshold(held, labels, ThresholdRule(0.8))
    assert card.threshold != choose_threshold(held, labels)
    sensitivity = card.results.val.binary.sensitivity
    assert sensitivity is not None
    assert sensitivity >= 0.8
    assert card.threshold_rule == "sensitivity of at least 0.8 on validation X-rays"
    band = choose_band(held, labels, card.threshold, 0.75, threshold_spread(held, labels, ThresholdRule(0.8)))
    assert (card.unsure, card.unsure_rule) == (band.range, band.rule)
    assert "75%" in band.rule


def test_the_results_on_the_card_are_those_of_the_stored_scores(home, phantoms):
    carry_out(tiny_recipe(training={"epochs": 2}), [phantoms], stages=WITHOUT_INPUT_CHECK)
    card, scores = registry.get_card("tiny"), stored()
    labels = load_classifier("tiny").labels
    for role in ("val", "test"):
        found = card_results(scores[scores["role"] == role], labels, card.threshold)
        assert found == card.results.by_role[role]
    assert card.threshold == choose_threshold(scores[scores["role"] == "val"], labels)
    assert card.films["test"] == dict.fromkeys(card.classes, 10)
    assert sum(sum(films.values()) for films in card.films.values()) == 160
    assert card.sources == {"phantom": dict.fromkeys(card.classes, 40)}
    assert [dict(row) for row in card.history] == run_store.all_runs()[0].history()


def test_a_run_that_cannot_be_executed_fails_with_the_reason(home, phantoms):
    job = plan(tiny_recipe(), [str(phantoms)], "tiny")
    lost = run_store.create(replace(job, inputs=(str(phantoms / "moved"),)), "tiny")
    with pytest.raises(DatasetError):
        execute(lost)
    assert lost.status.state == "failed"
    assert "no dataset at moved" in lost.status.sentence
    odd = run_store.create(training_job("colour = 'red'", job.inputs), "tiny")
    with pytest.raises(RecipeError):
        execute(odd)
    assert odd.status.state == "failed"
    assert "colour" in odd.status.sentence
    assert registry.names() == []


def test_a_run_stopped_before_its_first_epoch_stores_no_model(home, phantoms):
    run = run_store.create(plan(tiny_recipe(), [str(phantoms)], "tiny"), "tiny")
    run_store.stop(run)
    with pytest.raises(RunError) as error:
        execute(run)
    assert error.value.code == "run.stopped"
    assert run.status.state == "stopped"
    assert run.status.model == ""
    assert registry.names() == []


def test_a_run_without_a_model_has_its_scores_in_its_folder(home, phantoms):
    run = carry_out(tiny_recipe(training={"epochs": 1}), [phantoms], model=None)
    assert run.status.state == "finished"
    assert registry.names() == []
    assert set(read_scores(run.folder / SCORES)["role"]) == {"val", "test"}


def test_a_resumed_run_refuses_other_films_than_it_started_with(home, phantoms):
    recipe = tiny_recipe(data=TWO, training={"epochs": 2})
    run = run_store.create(plan(recipe, [str(phantoms)], "tiny"), recipe.name)
    (run.folder / "films.csv").write_text("dataset,path,label,role\nphantoms,gone.png,normal,test\n")
    with pytest.raises(RunError) as error:
        execute(run)
    assert error.value.code == "run.films-changed"
    assert run.status.state == "failed"


def test_a_finished_run_has_no_checkpoints(trained):
    (run,) = run_store.all_runs()
    assert run.status.state == "finished"
    assert not list(run.folder.glob("*.npz"))
