import keras
import numpy as np
import pytest
from keras import ops

from cxr.learning.optimization import (
    MAX_WEIGHT,
    balanced_weights,
    group_accuracy,
    group_crossentropy,
    log_probabilities,
    make_optimizer,
    source_weights,
)
from tests.support.training import tiny_recipe


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(0, 3, (12, 4)).astype(np.float32)


@pytest.fixture
def one_hot():
    return np.eye(4, dtype=np.float32)[np.random.default_rng(1).integers(0, 4, 12)]


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_for_one_class_it_is_the_usual_crossentropy(logits, one_hot, smoothing):
    usual = keras.losses.categorical_crossentropy(one_hot, logits, from_logits=True, label_smoothing=smoothing)
    np.testing.assert_allclose(group_crossentropy(smoothing)(one_hot, logits), usual, rtol=1e-5, atol=1e-6)


def test_for_a_group_it_is_minus_the_log_of_the_sum(logits):
    targets = np.array([[0, 1, 1, 1]] * 6 + [[1, 0, 1, 0]] * 6, np.float32)
    wanted = -np.log((softmax(logits.astype(float)) * targets).sum(axis=1))
    np.testing.assert_allclose(group_crossentropy()(targets, logits), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_one_unit_gives_the_binary_crossentropy(smoothing):
    z = np.linspace(-6, 6, 9, dtype=np.float32)[:, None]
    truth = (np.arange(9) % 2).astype(np.float32)
    usual = keras.losses.binary_crossentropy(truth[:, None], z, from_logits=True, label_smoothing=smoothing)
    ours = group_crossentropy(smoothing)(np.eye(2, dtype=np.float32)[truth.astype(int)], ops.convert_to_tensor(z))
    np.testing.assert_allclose(ours, usual, rtol=1e-5, atol=1e-6)


def test_one_unit_is_the_probability_of_the_second_class():
    log_p = np.asarray(log_probabilities(ops.convert_to_tensor([[0.0], [2.0]])))
    second = 1 / (1 + np.exp(-np.array([0.0, 2.0])))
    np.testing.assert_allclose(np.exp(log_p), np.stack([1 - second, second], axis=1), rtol=1e-6)


def test_certain_and_wrong_logits_keep_the_loss_and_its_gradient_finite():
    import tensorflow as tf

    logits = tf.Variable([[200.0, -200.0, -200.0], [-200.0, -200.0, 200.0]])
    with tf.GradientTape() as tape:
        value = group_crossentropy(0.1)(tf.constant([[0.0, 1, 1], [0, 0, 1]]), logits)
    assert np.isfinite(value).all()
    assert np.isfinite(tape.gradient(value, logits)).all()


def test_the_gradient_of_a_group_increases_all_its_members():
    import tensorflow as tf

    logits = tf.Variable([[0.0, 0.0, 0.0, 0.0]])
    with tf.GradientTape() as tape:
        value = group_crossentropy()(tf.constant([[0.0, 1, 1, 0]]), logits)
    np.testing.assert_allclose(tape.gradient(value, logits), [[0.25, -0.25, -0.25, 0.25]], atol=1e-6)


def test_a_film_is_correct_if_the_most_probable_class_is_one_it_may_be():
    targets = np.array([[1, 0, 0], [0, 1, 1], [0, 1, 1], [0, 1, 0]], np.float32)
    logits = np.array([[2, 1, 0], [0, 1, 2], [5, 1, 2], [0, 1, 2]], np.float32)
    assert np.asarray(group_accuracy(targets, logits)).tolist() == [1, 1, 0, 0]


def test_the_accuracy_of_a_single_logit_depends_on_its_sign():
    targets = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    assert np.asarray(group_accuracy(targets, ops.convert_to_tensor([[-1.0], [1.0], [-1.0]]))).tolist() == [1, 1, 0]


def test_with_balanced_weights_every_class_counts_the_same():
    targets = np.eye(3, dtype=np.float32)[[0] * 10 + [1] * 4 + [2]]
    weights = balanced_weights(targets)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights @ targets, [5, 5, 5], rtol=1e-6)
    np.testing.assert_allclose(weights.mean(), 1, rtol=1e-6)
    assert weights[0] < weights[10] < weights[14]


def test_balanced_weights_of_even_classes_are_ones():
    np.testing.assert_allclose(balanced_weights(np.eye(2, dtype=np.float32)[[0, 1, 1, 0]]), 1)


def test_a_film_of_several_classes_gets_their_mean_weight():
    targets = np.array([[1, 0, 0]] * 6 + [[0, 1, 0]] * 2 + [[0, 0, 1]] + [[0, 1, 1]] * 2, np.float32)
    weights = balanced_weights(targets)
    np.testing.assert_allclose(weights[-1], (weights[6] + weights[8]) / 2, rtol=1e-6)
    np.testing.assert_allclose(weights.mean(), 1, rtol=1e-6)


def test_a_class_without_films_makes_no_weight_infinite():
    assert np.isfinite(balanced_weights(np.array([[1, 0], [1, 0]], np.float32))).all()


def test_the_weight_of_a_small_source_is_limited():
    targets = np.eye(2, dtype=np.float32)[[0] * 500 + [1] * 500 + [1]]
    weights = source_weights(targets, np.array(["large"] * 1000 + ["small"]))
    assert weights.mean() == pytest.approx(1, rel=1e-5)
    assert weights[-1] == pytest.approx(MAX_WEIGHT, rel=0.02)
    assert weights[0] == pytest.approx(weights[500])


def test_a_label_of_several_classes_is_a_label_of_its_own_among_a_sources_films():
    targets = np.array([[1, 0, 0]] * 4 + [[0, 1, 0]] * 4 + [[0, 1, 1]] * 16, np.float32)
    weights = source_weights(targets, np.array(["one"] * 24))
    assert [weights[:4].sum(), weights[4:8].sum(), weights[8:].sum()] == pytest.approx(np.array([4.8, 4.8, 9.6]) / 0.8)


# The optimizer


def rates(steps, epochs, **settings):
    """The learning rate that the optimizer uses at each step."""
    optimizer = make_optimizer(tiny_recipe(optimiser=settings).optimiser, steps, epochs)
    variable = keras.Variable([0.0])
    optimizer.build([variable])
    used = []
    for _ in range(steps * epochs):
        used.append(float(np.asarray(optimizer.learning_rate)))
        optimizer.apply([keras.ops.ones(1)], [variable])
    return np.array(used)


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
    optimizer = make_optimizer(tiny_recipe(optimiser=settings).optimiser, 1, 1)
    assert type(optimizer).__name__ == kind
    config = optimizer.get_config()
    assert config["learning_rate"] == pytest.approx(0.02)
    assert config["global_clipnorm"] == 2.0
    assert config.get("momentum", 0.7) == 0.7
    assert config["weight_decay"] == (0.03 if name == "adamw" else None)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop"])
def test_the_head_may_learn_at_a_multiple_of_the_rate(name):
    settings = {"name": name, "rate": 0.01, "head_rate": 4.0, "momentum": 0.0}
    optimizer = make_optimizer(tiny_recipe(optimiser=settings).optimiser, 1, 1)
    model = keras.Sequential(
        [
            keras.layers.Input((1,)),
            *(keras.layers.Dense(1, use_bias=False, name=layer) for layer in ("conv", "dense1", "logits")),
        ]
    )
    before = [np.asarray(weight).item() for weight in model.trainable_variables]
    optimizer.build(model.trainable_variables)
    optimizer.apply([keras.ops.ones((1, 1))] * 3, model.trainable_variables)
    moves = [old - np.asarray(weight).item() for old, weight in zip(before, model.trainable_variables, strict=True)]
    assert moves[1] == pytest.approx(4 * moves[0], rel=1e-3)
    assert moves[2] == pytest.approx(4 * moves[0], rel=1e-3)
