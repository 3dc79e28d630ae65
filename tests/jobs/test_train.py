"""Where the rooms meet: what is planned, carried out and shelved."""

import json
import math
import shutil
import sys
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from cxr.core.errors import DatasetError, RecipeError, RegistryError, RunError
from cxr.core.paths import models_dir
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.calibration import Temperature, apply_temperature
from cxr.evaluation.card_results import card_results
from cxr.evaluation.evaluation import BinaryMetrics, Evaluation, ThresholdRule, evaluate, probabilities_of, read_scores
from cxr.evaluation.indeterminate import choose_band
from cxr.films.film import Film
from cxr.jobs import run_store, train
from cxr.jobs.model_names import planned_name
from cxr.jobs.run import Job, Status
from cxr.jobs.run_journal import RunJournal
from cxr.registry import registry
from cxr.registry.recipe import Recipe
from tests.support.training import carry_out, tiny_recipe

TWO = {"classes": ["normal", "covid19"]}


def stored(name="tiny"):
    return read_scores(registry.evaluation_path(name))


def alive_run(model):
    run = run_store.create(Job("", (), model), "tiny")
    assert run.status.alive
    return run


def test_the_duration_on_a_card_counts_the_epochs_before_a_break(home, phantoms):
    run = run_store.create(train.plan(tiny_recipe(training={"epochs": 2}), [str(phantoms)], "tiny"), "tiny")
    run.write_history([{"epoch": 1, "seconds": 5000.0}])
    train.execute(run)
    assert 5000 < registry.get_card("tiny").duration_s < 6000


def test_a_run_that_died_after_its_model_was_shelved_shelves_no_second_one(home, phantoms, monkeypatch):
    run = run_store.create(train.plan(tiny_recipe(training={"epochs": 1}), [str(phantoms)], "tiny"), "tiny")
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(RunJournal, "finish", lambda *_: sys.exit(1))
        train.execute(run)
    assert registry.names() == ["tiny"] and registry.get_card("tiny").run == run.id
    train.execute(run)
    assert registry.names() == ["tiny"]
    assert (run.status.state, run.status.model) == ("finished", "tiny")


def test_a_run_that_was_resumed_says_that_its_earlier_model_stays_on_the_shelf(home, phantoms, monkeypatch):
    run = run_store.create(train.plan(tiny_recipe(training={"epochs": 2}), [str(phantoms)], "tiny"), "tiny")
    with monkeypatch.context() as patch:
        patch.setattr(RunJournal, "stopping", lambda worker: bool(worker.run.history()))
        train.execute(run)
    assert (run.status.state, run.status.model) == ("stopped", "tiny")
    assert "stays" not in run.status.sentence and planned_name(run) == "tiny-2"
    train.execute(run)
    assert run.status.model == "tiny-2"
    assert run.status.sentence.endswith(
        "on the shelf as 'tiny-2'. 'tiny', of epoch 1 and from before it was resumed, stays there too."
    )


def test_what_is_stored_beside_a_model_is_what_it_reads_from_the_same_files(home, phantoms):
    recipe = tiny_recipe(
        input={"featurewise_center": True, "featurewise_std": True, "zca": True, "zca_epsilon": 0.1},
        head={"dense": [32], "dropout": 0.3},
        augmentation={"rotation_deg": 10},
        training={"epochs": 1},
    )
    run = carry_out(recipe, [phantoms])
    assert run.status.state == "finished" and run.status.model == "tiny"
    scores, classifier = stored(), registry.load("tiny", "float32")
    assert set(scores["role"]) == {"val", "test"} and len(scores) > 40
    films = [Film.read(phantoms / path) for path in scores["path"]]
    read = np.stack([prediction.probabilities for prediction in classifier.read_many(films)])
    np.testing.assert_allclose(read, probabilities_of(scores, classifier.classes), atol=2e-5)
    assert read.std(axis=0).max() > 1e-3  # not one answer for all


def test_a_frozen_trunk_is_served_as_it_was_trained(home, phantoms):
    recipe = tiny_recipe(
        data=TWO, trunk={"train": "block3"}, head={"pool": "average", "output": "sigmoid"}, training={"epochs": 1}
    )
    carry_out(recipe, [phantoms])
    scores, classifier = stored(), registry.load("tiny", "float32")
    read = [classifier.read(Film.read(phantoms / path)).probabilities for path in scores["path"]]
    np.testing.assert_allclose(read, probabilities_of(scores, classifier.classes), atol=2e-5)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_a_fitted_temperature_is_in_all_that_the_model_says(home, phantoms, output, monkeypatch):
    classes = {"data": TWO | {"validation": 0.5}} if output == "sigmoid" else {"data": {"validation": 0.4}}
    recipe = tiny_recipe(head={"output": output}, training={"epochs": 2}, **classes)
    monkeypatch.setattr(train, "fit_temperature", lambda p, targets: Temperature(1.0, "none"))
    carry_out(recipe, [phantoms], "plain")
    monkeypatch.setattr(train, "fit_temperature", lambda p, targets: Temperature(2.5, "chosen"))
    carry_out(recipe, [phantoms], "tiny")
    card, scores, plain = registry.get_card("tiny"), stored(), stored("plain")
    assert (card.temperature, card.temperature_rule) == (2.5, "chosen") and registry.get_card("plain").temperature == 1
    softer = probabilities_of(scores, card.classes)
    np.testing.assert_allclose(softer, apply_temperature(probabilities_of(plain, card.classes), 2.5), atol=1e-4)
    read = registry.load("tiny", "float32").read_many(Film.read(phantoms / path) for path in scores["path"])
    np.testing.assert_allclose([prediction.probabilities for prediction in read], softer, atol=2e-5)
    assert card.threshold == train.choose_threshold(scores[scores["role"] == "val"], LabelSpace(card.classes))
    binary = [evaluate(table, LabelSpace(card.classes), None).as_dict() for table in (scores, plain)]
    assert binary[0]["confusion"] == binary[1]["confusion"]


def test_the_temperature_is_fitted_on_validation_films_alone(home, phantoms, monkeypatch):
    given = []
    monkeypatch.setattr(train, "fit_temperature", lambda p, targets: given.append(len(p)) or Temperature(1.0, ""))
    carry_out(tiny_recipe(data={"validation": 0.4}, training={"epochs": 1}), [phantoms])
    assert given == [sum(registry.get_card("tiny").films["val"].values())]


def test_the_card_has_the_unsure_band_of_the_validation_films_or_says_why_not(trained):
    card, scores = registry.get_card("first"), stored("first")
    band = choose_band(scores[scores["role"] == "val"], LabelSpace(card.classes), card.threshold)
    assert (card.unsure, card.unsure_rule) == (band.range, band.rule) and card.unsure_rule


def test_weights_of_half_precision_are_those_that_were_judged_and_half_the_file(home, phantoms, monkeypatch):
    monkeypatch.setattr("cxr.registry.weights_file.LARGE", 64)
    for name, half in (("whole", False), ("tiny", True)):
        carry_out(tiny_recipe(training={"epochs": 1, "half": half}), [phantoms], name)
    sizes = [(models_dir() / name / "weights.npz").stat().st_size for name in ("whole", "tiny")]
    assert sizes[1] < 0.6 * sizes[0]
    scores = stored()
    read = registry.load("tiny", "float32").read_many(Film.read(phantoms / path) for path in scores["path"])
    p = probabilities_of(scores, registry.get_card("tiny").classes)
    np.testing.assert_allclose([prediction.probabilities for prediction in read], p, atol=2e-5)
    before = probabilities_of(stored("whole"), registry.get_card("tiny").classes)
    assert 0 < np.abs(p - before).max() < 0.002


def test_a_recipe_may_ask_for_a_threshold_that_keeps_a_sensitivity_and_for_a_surer_band(home, phantoms):
    asked = {"rule": "sensitivity", "sensitivity": 0.8, "sure": 0.75}
    carry_out(tiny_recipe(data={"validation": 0.4}, training={"epochs": 2}, decision=asked), [phantoms])
    card, scores = registry.get_card("tiny"), stored()
    held, labels = scores[scores["role"] == "val"], LabelSpace(card.classes)
    assert card.threshold == train.choose_threshold(held, labels, ThresholdRule(0.8))
    assert card.threshold != train.choose_threshold(held, labels)
    assert card.results["val"]["binary"]["sensitivity"] >= 0.8
    assert card.threshold_rule == "sensitivity of at least 0.8 on validation films"
    band = choose_band(held, labels, card.threshold, 0.75)
    assert (card.unsure, card.unsure_rule) == (band.range, band.rule) and "75%" in band.rule


def test_the_card_says_what_the_stored_scores_say(home, phantoms):
    carry_out(tiny_recipe(training={"epochs": 2}), [phantoms])
    card, scores = registry.get_card("tiny"), stored()
    labels = registry.load("tiny").labels
    for role in ("val", "test"):
        found = card_results(scores[scores["role"] == role], labels, card.threshold)
        assert json.loads(json.dumps(found)) == card.results[role]
    assert card.threshold == train.choose_threshold(scores[scores["role"] == "val"], labels)
    assert card.films["test"] == dict.fromkeys(card.classes, 10)
    assert sum(sum(films.values()) for films in card.films.values()) == 160
    assert card.sources == {"phantom": dict.fromkeys(card.classes, 40)}
    assert [dict(row) for row in card.history] == run_store.all_runs()[0].history()


def test_a_plan_is_refused_where_recipe_films_or_name_do_not_hold(home, phantoms):
    with pytest.raises(DatasetError, match="no dataset"):
        train.plan(tiny_recipe(), ["no-such-folder"], "tiny")
    with pytest.raises(DatasetError, match="tuberculosis"):
        train.plan(tiny_recipe(data={"classes": ["normal", "tuberculosis"]}), [str(phantoms)], "tiny")
    with pytest.raises(RegistryError, match="cannot be a model's name"):
        train.plan(tiny_recipe(), [str(phantoms)], "../tiny")
    with pytest.raises(DatasetError, match="given twice"):
        train.plan(tiny_recipe(), [str(phantoms), str(phantoms)], "tiny")


def test_a_plan_names_its_films_from_anywhere(home, phantoms, monkeypatch):
    monkeypatch.chdir(phantoms.parent)
    assert train.plan(tiny_recipe(), [phantoms.name], None).datasets == (str(phantoms.resolve()),)


def test_a_free_name_is_neither_on_the_shelf_nor_promised_to_a_run(home):
    assert train.free_name("tiny") == "tiny"
    (models_dir() / "tiny").mkdir(parents=True)  # damaged: no card; its name is taken all the same
    assert train.free_name("tiny") == "tiny-2"
    promised = alive_run("tiny-2")
    assert train.free_name("tiny") == "tiny-3"
    promised.write_status(Status("failed"))
    assert train.free_name("tiny") == "tiny-2"


def test_a_run_whose_job_is_damaged_promises_no_name(home):
    (alive_run("tiny").folder / "job.json").write_text("{")
    assert train.free_name("tiny") == "tiny"


def test_a_name_that_was_taken_meanwhile_costs_no_training(home, phantoms):
    recipe = tiny_recipe(training={"epochs": 1})
    late = run_store.create(train.plan(recipe, [str(phantoms)], "tiny"), "tiny")
    carry_out(recipe, [phantoms], "tiny")
    train.execute(late)
    assert late.status.state == "finished" and late.status.model == "tiny-2"
    assert "'tiny-2'" in late.status.sentence
    assert sorted(registry.names()) == ["tiny", "tiny-2"]


def test_a_run_that_cannot_be_carried_out_ends_with_the_reason(home, phantoms):
    job = train.plan(tiny_recipe(), [str(phantoms)], "tiny")
    lost = run_store.create(replace(job, datasets=(str(phantoms / "moved"),)), "tiny")
    with pytest.raises(DatasetError):
        train.execute(lost)
    assert lost.status.state == "failed" and "no dataset at moved" in lost.status.sentence
    odd = run_store.create(replace(job, recipe_toml="colour = 'red'"), "tiny")
    with pytest.raises(RecipeError):
        train.execute(odd)
    assert odd.status.state == "failed" and "colour" in odd.status.sentence
    assert registry.names() == []


def test_a_run_that_was_told_to_stop_before_its_first_epoch_brings_no_model(home, phantoms):
    run = run_store.create(train.plan(tiny_recipe(), [str(phantoms)], "tiny"), "tiny")
    run_store.stop(run)
    with pytest.raises(RunError, match="nothing to keep"):
        train.execute(run)
    assert run.status.state == "stopped" and run.status.model == ""
    assert registry.names() == []


def test_a_run_without_a_model_leaves_its_scores_in_its_folder(home, phantoms):
    run = carry_out(tiny_recipe(training={"epochs": 1}), [phantoms], model=None)
    assert run.status.state == "finished" and registry.names() == []
    assert set(read_scores(run.folder / train.SCORES)["role"]) == {"val", "test"}


def test_a_fold_that_fails_ends_the_cross_validation_with_its_reason(home, phantoms, monkeypatch):
    monkeypatch.setattr(run_store, "start", run_store.create)  # no process: what it would say is said below
    with pytest.raises(RunError, match="Fold 1 of 3 .* The loss became nan"):
        train.cross_validate(
            tiny_recipe(), [str(phantoms)], 3, lambda run: Status("failed", sentence="The loss became nan.")
        )


def evaluation(accuracy, auc):
    rest = {field.name: 0.5 for field in fields(BinaryMetrics)} | {"n": 10, "accuracy": accuracy, "auc": auc}
    return Evaluation(
        n=10,
        classes=("normal", "covid19"),
        threshold=0.5,
        accuracy=accuracy,
        macro_f1=0.5,
        auc={"normal": auc, "covid19": auc},
        confusion=((5, 0), (0, 5)),
        recall={},
        negative="normal",
        binary=BinaryMetrics(**rest),
        left_out=0,
        balanced_accuracy=accuracy,
        mcc=0.5,
        macro_auc=auc,
        micro_auc=auc,
        average_precision={},
        brier=0.5,
        ece=0.5,
    )


def test_mean_and_spread_are_those_worked_out_by_hand():
    spread = train.mean_and_spread([evaluation(0.7, 0.8), evaluation(0.8, 0.9), evaluation(0.9, 1.0)])
    assert spread["accuracy"] == pytest.approx({"mean": 0.8, "sd": 0.1, "min": 0.7, "max": 0.9})
    assert spread["auc.covid19"] == pytest.approx({"mean": 0.9, "sd": 0.1, "min": 0.8, "max": 1.0})
    assert spread["macro_f1"]["sd"] == 0
    assert math.isnan(train.mean_and_spread([evaluation(0.7, float("nan"))] * 2)["binary.auc"]["mean"])
    assert set(spread) == {"accuracy", "macro_f1", "auc.normal", "auc.covid19", "binary.auc", "binary.accuracy"}
    assert train.mean_and_spread([evaluation(0.7, 0.8)])["accuracy"]["sd"] == 0


def test_a_resumed_run_refuses_films_that_are_no_longer_those_it_began_with(home, phantoms):
    recipe = tiny_recipe(data=TWO, training={"epochs": 2})
    run = run_store.create(train.plan(recipe, [str(phantoms)], "tiny"), recipe.name)
    (run.folder / "films.csv").write_text("dataset,path,label,role\nphantoms,gone.png,normal,test\n")
    with pytest.raises(RunError, match="have changed since this run began"):
        train.execute(run)
    assert run.status.state == "failed"


def test_copies_across_training_and_test_are_said_and_stand_on_the_card(home, phantoms, tmp_path):
    folder = shutil.copytree(phantoms, tmp_path / "copies")
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    source = table["path"][table["split"] == "test"].iloc[0]
    for copy in table["path"][table["split"] == "train"].iloc[:40]:  # validation takes some of them, not all
        shutil.copy(folder / source, folder / copy)
    run = carry_out(tiny_recipe(training={"epochs": 1}), [folder])
    assert "1 film is in training and again" in registry.get_card("tiny").warnings[0]
    assert "1 film is in training and again" in run.status.sentence


def test_a_model_that_starts_from_another_s_training_films_says_so(trained, phantoms):
    other = tiny_recipe(training={"epochs": 1, "seed": 1}, trunk={"weights": "shelf:first"})
    run = carry_out(other, [phantoms], "child")
    assert "were trained on by 'first'" in registry.get_card("child").warnings[0]
    assert "were trained on by 'first'" in run.status.sentence


def test_a_head_is_kept_for_the_same_classes_alone(trained, phantoms):
    kept = tiny_recipe(trunk={"weights": "shelf:first"}, head={"keep": True})
    assert Recipe.from_toml(train.plan(kept, [str(phantoms)], "child").recipe_toml).head.keep
    fewer = kept.model_copy(update={"data": kept.data.model_copy(update={"classes": ("normal", "viral")})})
    with pytest.raises(RecipeError, match=r"'first' knows normal, bacterial, .*; these films are of normal, viral"):
        train.plan(fewer, [str(phantoms)], "child")


def test_a_finished_run_keeps_no_checkpoints(trained):
    (run,) = run_store.all_runs()
    assert run.status.state == "finished" and not list(run.folder.glob("*.npz"))


def test_a_sigmoid_for_four_classes_is_refused_before_anything_starts(home, phantoms):
    with pytest.raises(RecipeError, match="two classes"):
        train.plan(tiny_recipe(head={"output": "sigmoid"}), [str(phantoms)], "tiny")


def test_a_block_that_the_trunk_has_not_is_refused_before_anything_starts(home, phantoms):
    with pytest.raises(RecipeError, match="no block of tiny. Known: head, block1, block2, block3, all"):
        train.plan(tiny_recipe(trunk={"train": "block5"}), [str(phantoms)], "tiny")


def test_a_weights_file_is_named_for_a_process_that_starts_elsewhere(home, phantoms, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trunk.npz").touch()
    job = train.plan(tiny_recipe(trunk={"weights": "trunk.npz"}), [str(phantoms)], "tiny")
    assert Recipe.from_toml(job.recipe_toml).trunk.weights == str(tmp_path / "trunk.npz")
    with pytest.raises(RecipeError, match="nowhere.npz"):
        train.plan(tiny_recipe(trunk={"weights": "nowhere.npz"}), [str(phantoms)], "tiny")
