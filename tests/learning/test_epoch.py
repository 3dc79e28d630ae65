"""The batches of an epoch: their films, order, views and weights."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr.learning.augmented_views import AugmentedViews
from cxr.learning.epoch import EpochBatches, TrainingInputs, seed_dropout
from cxr.learning.features import FeatureTable
from cxr.learning.network import build
from cxr.registry.recipe import Recipe
from cxr.registry.recipe_sections import AugmentationSettings
from tests.support.training import tiny_recipe

MOVED = AugmentationSettings(rotation_deg=10, shift_x=0.1)


def batches_of(recipe: Recipe, count: int) -> EpochBatches:
    films = np.arange(100, 100 + count)
    targets = np.zeros((200, 2), np.float32)
    targets[:, 0] = 1
    targets[105:, :] = [0, 1]
    table = FeatureTable(np.arange(200 * 4, dtype=np.float32).reshape(200, 4), np.arange(200)[:, None])
    sources = np.where(np.arange(200) < 110, "one", "another")
    return EpochBatches(recipe, TrainingInputs(None, table, table, None), films, targets, sources)


def epoch_of(epochs: EpochBatches, epoch: int) -> tuple[NDArray[np.float64], list[Any]]:
    """The films of an epoch in their order, and its batches."""
    epochs.begin(epoch)
    batches = [epochs[i] for i in range(len(epochs))]
    return np.concatenate([rows[:, 0] for rows, _, _ in batches]) / 4, batches


def test_an_epoch_has_every_film_once_in_its_own_order():
    epochs = batches_of(tiny_recipe(training={"batch": 4}), 18)
    first, batches = epoch_of(epochs, 0)
    second, _ = epoch_of(epochs, 1)
    again, _ = epoch_of(epochs, 0)
    assert sorted(first) == sorted(second) == list(range(100, 118))
    assert list(first) == list(again) != list(second)
    assert [len(targets) for _, targets, _ in batches] == [4, 4, 4, 4, 2]


@pytest.mark.parametrize("steps", [2, 12])
def test_steps_per_epoch_do_not_depend_on_the_number_of_films(steps):
    epochs = batches_of(tiny_recipe(training={"batch": 4, "steps_per_epoch": steps}), 18)
    films, batches = epoch_of(epochs, 0)
    assert len(batches) == steps
    assert len(films) == 4 * steps
    counts = np.unique(films, return_counts=True)[1]
    assert counts.max() - (counts.min() if steps > 5 else 1) <= 1


def test_a_film_that_comes_again_in_an_epoch_has_another_view() -> None:
    rows = np.random.default_rng(0).integers(0, 256, (18, 16, 16)).astype(np.uint8)
    table = FeatureTable(rows, np.arange(18)[:, None])
    augmented = AugmentedViews(rows, np.arange(18), [bytes([n]) * 32 for n in range(18)], MOVED, 0)
    epochs = EpochBatches(
        tiny_recipe(training={"batch": 6, "steps_per_epoch": 6}),
        TrainingInputs(None, table, table, augmented),
        np.arange(18),
        np.ones((18, 2), np.float32),
        np.full(18, "one"),
    )
    views = []
    for epoch in range(2):
        epochs.begin(epoch)
        views += [rows.tobytes() for batch, _, _ in (epochs[i] for i in range(len(epochs))) for rows in batch]
    assert len(set(views)) == len(views) == 72


def test_a_training_that_goes_on_from_a_model_draws_an_order_of_its_own() -> None:
    anew, first, second, again = (
        batches_of(tiny_recipe(trunk={"weights": weights}, training={"seed": 5, "batch": 4}), 18)
        for weights in ("none", "shelf:first", "shelf:second", "shelf:first")
    )
    assert anew.seed == 5
    assert len({anew.seed, first.seed, second.seed}) == 3
    assert again.seed == first.seed
    orders = [tuple(epoch_of(epochs, 1)[0]) for epochs in (anew, first, second, again)]
    assert len(set(orders)) == 3
    assert orders[1] == orders[3]


def test_balanced_weights_make_rare_classes_count_more():
    balanced = batches_of(tiny_recipe(training={"class_weights": "balanced", "batch": 20}), 20)
    _, [(_, targets, weights_)] = epoch_of(balanced, 0)
    np.testing.assert_allclose(weights_ @ targets, [10, 10], rtol=1e-5)
    _, [(_, _, even)] = epoch_of(batches_of(tiny_recipe(training={"batch": 20}), 20), 0)
    assert set(even) == {1}


def test_weights_by_source_make_rare_labels_of_a_source_count_more():
    by_source = batches_of(tiny_recipe(training={"class_weights": "by_source", "batch": 20}), 20)
    _, [(rows, _, weights_)] = epoch_of(by_source, 0)
    weight_of = dict(zip((rows[:, 0] / 4 - 100).astype(int), weights_, strict=True))
    of_cells = [sum(weight_of[film] for film in cell) for cell in (range(5), range(5, 10), range(10, 20))]
    assert np.square(of_cells) / of_cells[0] ** 2 == pytest.approx([1, 1, 2], rel=1e-4)


def test_each_dropout_layer_has_a_mask_of_its_own_which_an_epoch_repeats():
    model = build(tiny_recipe(head={"dense": [64, 64], "dropout": 0.5}), 2).trainable_part
    layers = [model.get_layer(name) for name in ("dropout1", "dropout2")]

    def masks(epoch: int) -> list[list[bool]]:
        seed_dropout(model, 7, epoch)
        return [
            (np.asarray(layer(np.ones((1, 64), np.float32), training=True)) > 0).ravel().tolist() for layer in layers
        ]

    first, second = masks(3)
    assert first != second
    assert masks(3) == [first, second]
    assert masks(4)[1] != second
    assert np.asarray(layers[0].seed_generator.state).tolist()[0] == 7  # as a training with one such layer has it
