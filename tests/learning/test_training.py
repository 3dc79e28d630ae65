"""The result of a training, and its course."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from cxr.core.errors import DatasetError
from cxr.learning import training
from cxr.learning.epoch import TrainingInputs
from cxr.learning.features import FeatureTable, PixelTable
from cxr.learning.journal import Phase
from cxr.learning.network import build
from cxr.learning.training import prepare, train
from cxr.registry.weights_file import arrays_of
from tests.support.short_trainings import CPU, FEW, FROZEN, VIEWS, Notes, assert_same_weights, two_classes, weights
from tests.support.training import tiny_recipe


def predicted(result, dataset, size_px=32):
    judged = dataset.where(dataset.table["role"] != "train")
    films = np.stack([judged.read(i).fitted(size_px) for i in range(len(judged))])
    return np.asarray(result.network.model.predict_on_batch(films[..., None].astype(np.float32)))


# The result


def test_a_network_learns_to_classify_phantoms(learn):
    recipe = two_classes(
        data={"classes": ["normal", "covid19"]},
        input={"size_px": 32, "scale": "half"},
        training={"epochs": 13, "batch": 8, "best": "val_accuracy"},
        optimiser={"rate": 4e-3},
    )
    result = learn(recipe, count=160)
    best = result.history[result.best_epoch - 1]
    assert best["val_accuracy"] >= 0.8
    assert best["val_auc"] >= 0.85
    assert result.history[-1]["loss"] < result.history[0]["loss"] / 2


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_the_probabilities_are_those_of_the_network_for_the_held_out_films(films_of, output):
    recipe = two_classes(head={"output": output}, training={"epochs": 3, "best": "val_loss"}, trunk=FROZEN)
    dataset, labels = films_of(recipe)
    result = train(recipe, dataset, labels, CPU, Notes())
    p = predicted(result, dataset)
    both = np.concatenate([1 - p, p], axis=1) if output == "sigmoid" else p
    np.testing.assert_allclose(result.probabilities, both, atol=1e-5)
    assert (result.films.table["role"] != "train").sum() == len(result.probabilities)


def test_the_network_has_the_weights_of_the_best_epoch_and_not_of_the_last(learn):
    journal = Notes()
    recipe = two_classes(training={"epochs": 6, "best": "val_accuracy"}, optimiser={"rate": 0.03})
    result = learn(recipe, journal)
    values = [row["val_accuracy"] for row in result.history]
    assert result.best_epoch == 1 + int(np.argmax(values)) < 6
    kept = journal.saved[f"best-{result.best_epoch}"]
    for name, array in kept.items():
        assert np.array_equal(weights(result)[name], array)
    judged = result.films.where(result.films.table["role"] != "train")
    held = judged.table["role"] == "val"
    truth = [0 if label == "normal" else 1 for label in judged.labels[held]]
    chosen = result.probabilities[held][np.arange(held.sum()), truth]
    assert (chosen > 0.5).mean() == pytest.approx(max(values), rel=1e-4)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(learn):
    recipe = two_classes(head={"dropout": 0.3}, augmentation=VIEWS)
    first, second = learn(recipe), learn(recipe)
    other = learn(two_classes(head={"dropout": 0.3}, augmentation=VIEWS, training={"seed": 1}))
    assert_same_weights(first, second, atol=1e-6)
    assert np.abs(weights(first)["logits/kernel"] - weights(other)["logits/kernel"]).max() > 1e-3


def test_training_on_cached_features_equals_training_through_the_frozen_backbone(learn, monkeypatch):
    recipe = two_classes(trunk={"train": "head"}, head={"pool": "average", "dense": [8]})
    kept = learn(recipe)

    def through_the_backbone(recipe, network, films, device, journal):
        whole = keras.Model(network.model.input, network.model.get_layer("logits").output)
        return TrainingInputs(whole, films.pixels.table, films.pixels.table, None)

    monkeypatch.setattr(training, "_inputs", through_the_backbone)
    plain = learn(recipe)
    assert_same_weights(kept, plain, atol=1e-4)
    np.testing.assert_allclose(kept.probabilities, plain.probabilities, atol=1e-4)
    fresh = weights_of_a_fresh_network(recipe)
    assert np.array_equal(weights(kept)["block1_conv1/kernel"], fresh["block1_conv1/kernel"])
    assert not np.array_equal(weights(kept)["logits/kernel"], fresh["logits/kernel"])


def weights_of_a_fresh_network(recipe):
    return arrays_of(build(recipe, 2).model.weights)


def test_films_of_a_coarser_label_raise_the_sum_of_their_classes(films_of):
    recipe = tiny_recipe(data={"validation": 0.3}, training={"epochs": 5}, optimiser={"rate": 5e-3})

    def vague(dataset):
        ill = dataset.labels != "normal"
        keep_exact = (np.arange(len(dataset)) // 4) % 3 == 0
        return dataset.with_column("label", np.where(ill & ~keep_exact, "pneumonia", dataset.labels))

    dataset, labels = films_of(recipe, 96, vague)
    assert labels.classes == ("normal", "bacterial", "viral", "covid19")
    start = np.asarray(build(recipe, 4).model.predict_on_batch(vague_films(dataset)))
    result = train(recipe, dataset, labels, CPU, Notes())
    end = np.asarray(result.network.model.predict_on_batch(vague_films(dataset)))
    assert end[:, 1:].sum(axis=1).mean() > start[:, 1:].sum(axis=1).mean()
    assert result.history[-1]["loss"] < result.history[0]["loss"]


def vague_films(dataset):
    rows = np.flatnonzero((dataset.labels == "pneumonia") & (dataset.table["role"] == "train"))[:16]
    return np.stack([dataset.read(i).fitted(32) for i in rows])[..., None].astype(np.float32)


def test_whitening_is_fitted_on_the_training_films(films_of):
    recipe = two_classes(
        input={"featurewise_center": True, "featurewise_std": True, "zca": True}, training={"epochs": 1}, trunk=FROZEN
    )
    dataset, labels = films_of(recipe)
    result = train(recipe, dataset, labels, CPU, Notes())
    learning = dataset.where(dataset.table["role"] == "train")
    films = np.stack([learning.read(i).fitted(32) for i in range(len(learning))])
    layer = result.network.model.get_layer("whitening")
    assert float(layer.mean) == pytest.approx(films.mean(), rel=1e-5)
    assert float(layer.deviation) == pytest.approx(films.std(), rel=1e-4)
    assert result.zca_rank == layer.components.shape[1] <= len(films)
    np.testing.assert_allclose(result.probabilities, predicted(result, dataset), atol=1e-4)


# The course


def test_every_film_is_trained_on_once_per_epoch_and_each_step_is_reported(learn):
    journal = Notes()
    result = learn(two_classes(training={"epochs": 2, "batch": 7}), journal)
    films = FEW - len(result.probabilities)
    steps = -(-films // 7)
    assert [step[:3] for step in journal.steps] == [(e, s, steps) for e in (1, 2) for s in range(1, steps + 1)]
    assert all(np.isfinite(step[3]) for step in journal.steps)
    assert [len(rows) for rows in journal.rows] == [1, 2]
    assert (Phase.READING_IMAGES, FEW, FEW) in journal.phases
    assert all(0 <= step.accuracy <= 1 for step in journal.progress)
    assert [step.films_s > 0 for step in journal.progress] == [step.step > 1 for step in journal.progress]
    assert [row["films_s"] for row in result.history] == [
        round(step.films_s, 2) for step in journal.progress if step.step == steps
    ]


def test_balanced_weights_change_the_predictions(learn):
    plain, balanced = (
        learn(two_classes(training={"epochs": 2, "class_weights": kind})) for kind in ("none", "balanced")
    )
    p, q = (result.probabilities[:, 0].mean() for result in (plain, balanced))
    assert q > p + 0.02  # normal is the rarer class: one film in four


def test_averaged_weights_are_evaluated_and_saved_while_training_continues_from_the_raw_ones(learn):
    plain, close, far = Notes(), Notes(), Notes()
    same = {"epochs": 3, "best": "last"}
    results = [
        learn(two_classes(training=same | {"average": average}), journal)
        for journal, average in ((plain, 0.0), (close, 1e-9), (far, 0.9))
    ]
    for other in results[1:]:
        for a, b in zip(results[0].history, other.history, strict=True):
            assert a["loss"] == pytest.approx(b["loss"], abs=1e-4)
    assert_same_weights(results[0], results[1])
    ours, averaged = weights(results[0]), weights(results[2])
    moved = max(np.abs(ours[name] - averaged[name]).max() for name in ours)
    assert 1e-3 < moved < 1
    best = far.saved["best-3"]
    for name, array in best.items():
        assert not np.array_equal(array, far.saved["checkpoint"][name])


def test_unreadable_images_are_excluded_with_a_note(films_of):
    recipe = two_classes(training={"epochs": 1})
    dataset, labels = films_of(recipe)
    path = dataset.table["path"].to_numpy(dtype=object).copy()
    unreadable = np.flatnonzero(dataset.table["role"] == "train")[2]
    path[unreadable] = "manifest.csv"
    journal = Notes()
    result = train(recipe, dataset.with_column("path", path), labels, CPU, journal)
    assert "manifest.csv" in journal.notes[0]
    assert len(result.films) == FEW - 1
    assert len(result.probabilities) == (dataset.table["role"] != "train").sum()


@pytest.mark.parametrize("role", ["train", "val", "all"])
def test_a_role_without_readable_images_is_a_dataset_error(films_of, role):
    recipe = two_classes(training={"epochs": 1})
    dataset, labels = films_of(recipe)
    lost = (dataset.table["role"] == role) | (role == "all")
    path = np.where(lost, "manifest.csv", dataset.table["path"])
    with pytest.raises(DatasetError) as error:
        train(recipe, dataset.with_column("path", path), labels, CPU, Notes())
    assert error.value.code == "dataset.unreadable"


# Several devices


TWO_DEVICES = """
import sys
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from cxr.datasets.dataset import Dataset
from cxr.learning.device import Device
from cxr.registry.recipe import Recipe
from cxr.learning.film_selection import select
from cxr.learning.training import prepare, train
from tests.support.short_trainings import Notes
dataset = Dataset.open(sys.argv[1])
dataset = dataset.where(np.arange(len(dataset)) < 48)
recipe = Recipe.from_toml(sys.argv[2])
both = Device("2 CPUs", "float32", tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
journal = Notes(stop_at=3)
train(recipe, *select(recipe, dataset), both, journal)
journal.stop_at = None
result = train(recipe, *select(recipe, dataset), both, journal)
np.save(sys.argv[3], result.probabilities)
print("replicas", both.strategy.num_replicas_in_sync, "epochs", len(result.history))
"""


def test_two_devices_learn_what_one_device_learns(phantoms, home, learn, tmp_path):
    recipe = two_classes(training={"epochs": 2})
    env = os.environ | {"CXR_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, str(phantoms), recipe.to_toml(), str(tmp_path / "p.npy")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env=env,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "replicas 2 epochs 2" in done.stdout
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), learn(recipe).probabilities, atol=1e-3)


def test_fresh_views_are_drawn_from_the_seed_of_the_recipe() -> None:
    recipe = tiny_recipe(trunk={"weights": "shelf:first"}, augmentation={"noise": 20})
    table = FeatureTable(np.zeros((3, 32, 32), np.uint8), np.arange(3)[:, None])
    films: Any = SimpleNamespace(pixels=PixelTable(table, (b"a", b"b", b"c"), {}))
    inputs = training._inputs(recipe, build(recipe, 2), films, CPU, Notes())
    assert inputs.augmented.seed == recipe.seed_of_views != recipe.training.seed


def test_datasets_without_sources_are_weighted_as_sources(films_of):
    recipe = two_classes(training={"class_weights": "by_source", "epochs": 1})
    dataset, labels = films_of(recipe)
    halves = np.where(np.arange(len(dataset)) % 3 == 0, "first", "second")
    stated = dataset.with_column("source", halves)
    joined = dataset.with_column("source", "").with_column("dataset", halves)
    weights_of = [prepare(recipe, films, labels, CPU, Notes()).batches.weights for films in (stated, joined)]
    assert len(set(weights_of[0].tolist())) > 2
    assert weights_of[0].tolist() == weights_of[1].tolist()
