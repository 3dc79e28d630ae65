"""The rate at each step, and the settings of each update rule."""

import keras
import numpy as np
import pytest

from cxr.learning.optimizer import make_optimizer
from tests.support.training import tiny_recipe


def rates(steps, epochs, **settings):
    """The rate that the optimiser uses at each step."""
    optimiser = make_optimizer(tiny_recipe(optimiser=settings).optimiser, steps, epochs)
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
    optimiser = make_optimizer(tiny_recipe(optimiser=settings).optimiser, 1, 1)
    assert type(optimiser).__name__ == kind
    config = optimiser.get_config()
    assert config["learning_rate"] == pytest.approx(0.02)
    assert config["global_clipnorm"] == 2.0
    assert config.get("momentum", 0.7) == 0.7
    assert config["weight_decay"] == (0.03 if name == "adamw" else None)
