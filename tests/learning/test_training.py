import inspect
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from cxr.datasets.dataset import Dataset
from cxr.errors import CxrError, DatasetError, RunError
from cxr.learning import training
from cxr.learning.device import Device
from cxr.learning.network import build
from cxr.learning.selection import select
from cxr.learning.training import make_optimiser, train
from cxr.learning.weights import arrays_of
from tests.conftest import tiny_recipe

CPU = Device("CPU", "float32")
FEW = 48
FROZEN = {"train": "block3"}
VIEWS = {"shift_x": 0.1, "noise": 4}


class Notes:
    """A journal in memory; it asks to stop once `stop_at` steps were told."""

    def __init__(self, stop_at=None):
        self.stop_at, self.steps, self.told, self.saved = stop_at, [], [], {}
        self.phases, self.notes, self.rows = [], [], []

    def phase(self, name, done=0, total=0):
        self.phases.append((name, done, total))

    def step(self, now):
        self.steps.append((now.epoch, now.step, now.steps, now.loss))
        self.told.append(now)

    def history(self, rows):
        self.rows.append([dict(row) for row in rows])

    def note(self, sentence):
        self.notes.append(sentence)

    def stopping(self):
        return self.stop_at is not None and len(self.steps) >= self.stop_at

    def save(self, name, arrays):
        self.saved[name] = {key: np.array(array) for key, array in arrays.items()}

    def load(self, name):
        return dict(self.saved[name]) if name in self.saved else None


@pytest.fixture
def films_of(phantoms, home):
    """The first so many phantoms, selected by a recipe."""

    def choose(recipe, count=FEW, change=None):
        dataset = Dataset.open(phantoms)
        dataset = dataset.where(np.arange(len(dataset)) < count)
        return select(recipe, change(dataset) if change else dataset)

    return choose


@pytest.fixture
def trained(films_of):
    def run(recipe, journal=None, count=FEW, change=None):
        return train(recipe, *films_of(recipe, count, change), CPU, journal or Notes())

    return run


def two_classes(**sections):
    data = {"classes": ["normal", "pneumonia"], "validation": 0.3} | sections.pop("data", {})
    return tiny_recipe(data=data, **sections)


def weights(result):
    return arrays_of(result.network.model.weights)


def assert_same_weights(a, b, atol=1e-5):
    for name, array in weights(a).items():
        np.testing.assert_allclose(array, weights(b)[name], atol=atol, rtol=0, err_msg=name)


def predicted(result, dataset, size_px=32):
    judged = dataset.where(dataset.table["role"] != "train")
    films = np.stack([judged.read(i).fitted(size_px) for i in range(len(judged))])
    return np.asarray(result.network.model.predict_on_batch(films[..., None].astype(np.float32)))


# What comes out


def test_phantoms_are_learned(trained):
    recipe = two_classes(
        data={"classes": ["normal", "covid19"]},
        input={"size_px": 32, "scale": "half"},
        training={"epochs": 13, "batch": 8, "best": "val_accuracy"},
        optimiser={"rate": 4e-3},
    )
    result = trained(recipe, count=160)
    best = result.history[result.best_epoch - 1]
    assert best["val_accuracy"] >= 0.8
    assert best["val_auc"] >= 0.85
    assert result.history[-1]["loss"] < result.history[0]["loss"] / 2


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_the_probabilities_are_the_network_s_own_of_the_films_held_back(films_of, output):
    recipe = two_classes(head={"output": output}, training={"epochs": 3, "best": "val_loss"}, trunk=FROZEN)
    dataset, labels = films_of(recipe)
    result = train(recipe, dataset, labels, CPU, Notes())
    p = predicted(result, dataset)
    both = np.concatenate([1 - p, p], axis=1) if output == "sigmoid" else p
    np.testing.assert_allclose(result.probabilities, both, atol=1e-5)
    assert (result.films.table["role"] != "train").sum() == len(result.probabilities)


def test_the_best_epoch_s_weights_are_kept_and_not_the_last(trained):
    journal = Notes()
    recipe = two_classes(training={"epochs": 6, "best": "val_accuracy"}, optimiser={"rate": 0.03})
    result = trained(recipe, journal)
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


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(trained):
    recipe = two_classes(head={"dropout": 0.3}, augmentation=VIEWS)
    first, second = trained(recipe), trained(recipe)
    other = trained(two_classes(head={"dropout": 0.3}, augmentation=VIEWS, training={"seed": 1}))
    assert_same_weights(first, second, atol=1e-6)
    assert np.abs(weights(first)["logits/kernel"] - weights(other)["logits/kernel"]).max() > 1e-3


def test_a_frozen_trunk_s_kept_maps_train_as_the_trunk_itself_would(trained, monkeypatch):
    recipe = two_classes(trunk={"train": "head"}, head={"pool": "average", "dense": [8]})
    kept = trained(recipe)

    def through_the_trunk(recipe, network, pixels, roles, journal):
        whole = keras.Model(network.model.input, network.model.get_layer("logits").output)
        return training._Lesson(whole, pixels.table, pixels.table, None)

    monkeypatch.setattr(training, "_lesson", through_the_trunk)
    plain = trained(recipe)
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


# Stopping and going on


RESUMED = {
    "dropout and schedule": {
        "head": {"dropout": 0.4},
        "optimiser": {"rate": 3e-3, "schedule": "cosine", "warmup_epochs": 1},
    },
    "fresh views": {"augmentation": VIEWS, "head": {"dropout": 0.2}, "trunk": {"train": "head"}},
    "averaged weights": {"training": {"epochs": 3, "average": 0.8}},
    "kept views": {"augmentation": VIEWS, "trunk": FROZEN, "training": {"epochs": 3, "views": 2}},
}


@pytest.mark.parametrize("kind", RESUMED)
def test_a_run_that_was_interrupted_and_resumed_is_as_one_that_was_not(trained, kind):
    recipe = two_classes(**RESUMED[kind])
    unbroken = Notes()
    whole = trained(recipe, unbroken)
    steps = unbroken.steps[0][2]
    journal = Notes(stop_at=steps + 1)  # in the middle of the second epoch
    trained(recipe, journal)
    assert [row["epoch"] for row in journal.rows[-1]] == [1]
    journal.stop_at = None
    resumed = trained(recipe, journal)
    assert "Resumed after epoch 1." in journal.notes
    assert [row["epoch"] for row in resumed.history] == [1, 2, 3]
    assert_same_weights(whole, resumed)
    for a, b in zip(whole.history, resumed.history, strict=True):
        for name in ("loss", "val_loss", "rate"):
            assert a[name] == pytest.approx(b[name], abs=1e-5)


def test_a_run_that_has_ended_is_not_trained_again(trained):
    journal, recipe = Notes(), two_classes(training={"epochs": 2})
    first = trained(recipe, journal)
    steps = len(journal.steps)
    again = trained(recipe, journal)
    assert len(journal.steps) == steps
    assert again.history == first.history
    assert_same_weights(first, again, atol=0)


def test_a_stop_in_the_middle_of_an_epoch_keeps_the_best_so_far(trained):
    recipe = two_classes(training={"epochs": 9})
    journal = Notes(stop_at=7)  # two steps an epoch: in the middle of the fourth
    result = trained(recipe, journal)
    assert len(journal.steps) == 7
    assert len(result.history) == 7 // journal.steps[0][2]
    assert journal.notes[-1] == f"Ended after epoch {len(result.history)}: stopped."
    kept = journal.saved[f"best-{result.best_epoch}"]
    assert all(np.array_equal(weights(result)[name], array) for name, array in kept.items())


@pytest.mark.parametrize("stop_at", [0, 1])
def test_a_stop_before_the_first_epoch_ends_keeps_nothing(trained, stop_at):
    with pytest.raises(RunError, match="stopped before its first epoch ended"):
        trained(two_classes(), Notes(stop_at=stop_at))


def test_a_checkpoint_of_another_network_is_refused(trained):
    journal = Notes()
    trained(two_classes(training={"epochs": 1}), journal)
    with pytest.raises(CxrError, match="do not fit"):
        trained(two_classes(training={"epochs": 2}, head={"dense": [5]}), journal)


def test_best_weights_that_went_missing_are_told(trained):
    journal, recipe = Notes(), two_classes(training={"epochs": 1})
    trained(recipe, journal)
    del journal.saved["best-1"]
    with pytest.raises(RunError, match="best epoch's weights are missing"):
        trained(recipe, journal)


def test_a_training_ends_at_its_training_accuracy(trained):
    journal = Notes()
    result = trained(two_classes(training={"epochs": 9, "stop_at_accuracy": 0.01}), journal)
    assert len(result.history) == 1
    assert journal.notes[-1] == "Ended after epoch 1: training accuracy reached 0.01."


def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence(trained):
    recipe = two_classes(
        training={"epochs": 4, "batch": 2}, optimiser={"name": "sgd", "rate": 10}, head={"l2": 1}, trunk=FROZEN
    )
    with pytest.raises(RunError, match=r"The loss became (nan|inf) in epoch \d. Lower the learning rate"):
        trained(recipe)


# How it goes


def test_every_film_is_shown_once_an_epoch_and_each_step_is_told(trained):
    journal = Notes()
    result = trained(two_classes(training={"epochs": 2, "batch": 7}), journal)
    films = FEW - len(result.probabilities)
    steps = -(-films // 7)
    assert [step[:3] for step in journal.steps] == [(e, s, steps) for e in (1, 2) for s in range(1, steps + 1)]
    assert all(np.isfinite(step[3]) for step in journal.steps)
    assert [len(rows) for rows in journal.rows] == [1, 2]
    assert ("reading films", FEW, FEW) in journal.phases
    assert all(0 <= step.accuracy <= 1 for step in journal.told)
    assert [step.films_s > 0 for step in journal.told] == [step.step > 1 for step in journal.told]
    assert [row["films_s"] for row in result.history] == [
        round(step.films_s, 2) for step in journal.told if step.step == steps
    ]


def epochs_of(recipe, count, lesson=None):
    films = np.arange(100, 100 + count)
    targets = np.zeros((200, 2), np.float32)
    targets[:, 0] = 1
    targets[105:, :] = [0, 1]
    table = training.Table(np.arange(200 * 4, dtype=np.float32).reshape(200, 4), np.arange(200)[:, None])
    sources = np.where(np.arange(200) < 110, "one", "another")
    return training._Epochs(recipe, lesson or training._Lesson(None, table, table, None), films, targets, sources)


def shown(epochs, epoch):
    epochs.begin(epoch)
    batches = [epochs[i] for i in range(len(epochs))]
    return np.concatenate([rows[:, 0] for rows, _, _ in batches]) / 4, batches


def test_an_epoch_is_every_film_once_in_an_order_of_its_own():
    epochs = epochs_of(tiny_recipe(training={"batch": 4}), 18)
    first, batches = shown(epochs, 0)
    second, _ = shown(epochs, 1)
    again, _ = shown(epochs, 0)
    assert sorted(first) == sorted(second) == list(range(100, 118))
    assert list(first) == list(again) != list(second)
    assert [len(targets) for _, targets, _ in batches] == [4, 4, 4, 4, 2]


@pytest.mark.parametrize("steps", [2, 12])
def test_steps_per_epoch_are_kept_whatever_the_number_of_films(steps):
    epochs = epochs_of(tiny_recipe(training={"batch": 4, "steps_per_epoch": steps}), 18)
    films, batches = shown(epochs, 0)
    assert len(batches) == steps
    assert len(films) == 4 * steps
    counts = np.unique(films, return_counts=True)[1]
    assert counts.max() - (counts.min() if steps > 5 else 1) <= 1


def test_rare_classes_count_more_where_the_weights_are_balanced():
    balanced = epochs_of(tiny_recipe(training={"class_weights": "balanced", "batch": 20}), 20)
    _, [(_, targets, weights_)] = shown(balanced, 0)
    np.testing.assert_allclose(weights_ @ targets, [10, 10], rtol=1e-5)
    _, [(_, _, even)] = shown(epochs_of(tiny_recipe(training={"batch": 20}), 20), 0)
    assert set(even) == {1}


def test_balanced_weights_change_what_is_learned(trained):
    plain, balanced = (
        trained(two_classes(training={"epochs": 2, "class_weights": kind})) for kind in ("none", "balanced")
    )
    p, q = (result.probabilities[:, 0].mean() for result in (plain, balanced))
    assert q > p + 0.02  # normal is the rarer class: one film in four


def test_rare_labels_of_a_source_count_more_where_weights_go_by_source():
    by_source = epochs_of(tiny_recipe(training={"class_weights": "by_source", "batch": 20}), 20)
    _, [(rows, _, weights_)] = shown(by_source, 0)
    weight_of = dict(zip((rows[:, 0] / 4 - 100).astype(int), weights_, strict=True))
    of_cells = [sum(weight_of[film] for film in cell) for cell in (range(5), range(5, 10), range(10, 20))]
    assert np.square(of_cells) / of_cells[0] ** 2 == pytest.approx([1, 1, 2], rel=1e-4)


def test_averaged_weights_are_judged_and_kept_while_training_goes_on_from_its_own(trained):
    plain, close, far = Notes(), Notes(), Notes()
    same = {"epochs": 3, "best": "last"}
    results = [
        trained(two_classes(training=same | {"average": average}), journal)
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


def test_broken_films_are_left_out_with_a_note(films_of):
    recipe = two_classes(training={"epochs": 1})
    dataset, labels = films_of(recipe)
    path = dataset.table["path"].to_numpy(dtype=object).copy()
    broken = np.flatnonzero(dataset.table["role"] == "train")[2]
    path[broken] = "manifest.csv"
    journal = Notes()
    result = train(recipe, dataset.with_column("path", path), labels, CPU, journal)
    assert journal.notes[0].startswith("Left out manifest.csv: ")
    assert journal.notes[1] == f"1 of {FEW} films cannot be read and were left out."
    assert len(result.films) == FEW - 1
    assert len(result.probabilities) == (dataset.table["role"] != "train").sum()


@pytest.mark.parametrize("role", ["train", "val", "all"])
def test_where_no_film_of_a_role_can_be_read_that_is_said(films_of, role):
    recipe = two_classes(training={"epochs": 1})
    dataset, labels = films_of(recipe)
    lost = (dataset.table["role"] == role) | (role == "all")
    path = np.where(lost, "manifest.csv", dataset.table["path"])
    with pytest.raises(DatasetError, match="None of the films to (train|validate) with can be read"):
        train(recipe, dataset.with_column("path", path), labels, CPU, Notes())


# The rate


def rates(steps, epochs, **settings):
    """The rate that the optimiser uses at each step."""
    optimiser = make_optimiser(tiny_recipe(optimiser=settings).optimiser, steps, epochs)
    variable = keras.Variable([0.0])
    optimiser.build([variable])
    seen = []
    for _ in range(steps * epochs):
        seen.append(float(np.asarray(optimiser.learning_rate)))
        optimiser.apply([keras.ops.ones(1)], [variable])
    return np.array(seen)


def test_a_constant_rate_stays():
    np.testing.assert_allclose(rates(2, 3, rate=0.01), 0.01)


def test_a_step_schedule_drops_after_so_many_epochs():
    seen = rates(3, 5, rate=0.1, schedule="step", step_epochs=2, step_factor=0.5, name="sgd")
    np.testing.assert_allclose(seen, [0.1] * 6 + [0.05] * 6 + [0.025] * 3, rtol=1e-5)


def test_a_cosine_falls_to_a_hundredth():
    seen = rates(5, 4, rate=0.1, schedule="cosine")
    wanted = 0.001 + 0.099 * (1 + np.cos(np.pi * np.arange(20) / 20)) / 2
    np.testing.assert_allclose(seen, wanted, rtol=1e-4)


def test_a_warm_up_rises_to_the_rate_before_the_cosine():
    seen = rates(5, 4, rate=0.1, schedule="cosine", warmup_epochs=1)
    np.testing.assert_allclose(seen[:5], 0.001 + 0.099 * np.arange(5) / 5, rtol=1e-4)
    assert seen[5] == pytest.approx(0.1, rel=1e-4)
    assert (np.diff(seen[5:]) < 0).all()
    assert seen[-1] < 0.003


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD"), ("rmsprop", "RMSprop")]
)
def test_each_update_rule_has_its_settings(name, kind):
    settings = {"name": name, "rate": 0.02, "momentum": 0.7, "weight_decay": 0.03, "clip_norm": 2.0}
    optimiser = make_optimiser(tiny_recipe(optimiser=settings).optimiser, 1, 1)
    assert type(optimiser).__name__ == kind
    config = optimiser.get_config()
    assert config["learning_rate"] == pytest.approx(0.02)
    assert config["global_clipnorm"] == 2.0
    assert config.get("momentum", 0.7) == 0.7
    assert config["weight_decay"] == (0.03 if name == "adamw" else None)


# Several devices


TWO_DEVICES = """
import sys
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from cxr.datasets.dataset import Dataset
from cxr.learning.device import Device
from cxr.learning.recipe import Recipe
from cxr.learning.selection import select
from cxr.learning.training import train
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


def test_two_devices_share_the_work_and_learn_what_one_does(phantoms, home, trained, tmp_path):
    recipe = two_classes(training={"epochs": 2})
    env = os.environ | {"CXR_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"}
    script = f"import numpy as np\n{inspect.getsource(Notes)}{TWO_DEVICES}"
    done = subprocess.run(
        [sys.executable, "-c", script, str(phantoms), recipe.to_toml(), str(tmp_path / "p.npy")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env=env,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "replicas 2 epochs 2" in done.stdout
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), trained(recipe).probabilities, atol=1e-3)
