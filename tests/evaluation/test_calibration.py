"""Temperature: found again where it is known, left alone where the films do not tell it."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from cxr.evaluation.calibration import MIN_FILMS, apply_temperature, fit_temperature
from cxr.evaluation.metrics import calibration_error


def softmax(logits):
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def overconfident(temperature, films=4000, classes=3, seed=0):
    """Probabilities of a model whose logits are too large by the temperature, and what the films were."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((films, classes))
    truth = (softmax(logits).cumsum(axis=1) > rng.random((films, 1))).argmax(axis=1)
    return logits * temperature, np.eye(classes)[truth]


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_a_temperature_that_was_put_in_is_found(temperature):
    logits, targets = overconfident(temperature)
    found = fit_temperature(softmax(logits), targets)
    assert found.value == pytest.approx(temperature, rel=0.06)
    assert "4000" in found.rule


def test_the_temperature_is_the_one_of_least_log_loss():
    logits, targets = overconfident(2.0, films=300)
    best = fit_temperature(softmax(logits), targets).value
    losses = [log_loss(targets, softmax(logits / (best * step))) for step in (0.95, 1.0, 1.05)]
    assert losses[1] == min(losses)


def test_probabilities_are_softmax_of_logits_over_temperature():
    logits, _ = overconfident(2.0, films=50)
    np.testing.assert_allclose(apply_temperature(softmax(logits), 2.5), softmax(logits / 2.5), rtol=1e-9)
    certain = apply_temperature(np.array([[1.0, 0.0]], np.float32), 3.0)
    assert np.isfinite(certain).all()
    assert certain.dtype == np.float32


def test_a_temperature_keeps_the_order_of_the_classes_of_a_film_and_mends_the_calibration():
    logits, targets = overconfident(3.0)
    before = softmax(logits)
    after = apply_temperature(before, fit_temperature(before, targets).value)
    np.testing.assert_array_equal(before.argsort(axis=1), after.argsort(axis=1))
    errors = [
        calibration_error(p.max(axis=1), targets[np.arange(len(p)), p.argmax(axis=1)] > 0, np.ones((len(p), 1)))
        for p in (before, after)
    ]
    assert errors[1] < 0.03 < errors[0]


def test_of_two_classes_it_keeps_the_order_of_films_and_of_three_it_may_not():
    two = softmax(overconfident(1.0, films=200, classes=2)[0])
    np.testing.assert_array_equal(two[:, 0].argsort(), apply_temperature(two, 2.0)[:, 0].argsort())
    three = softmax(np.array([[2.0, 0.0, -9.0], [2.4, 0.0, 0.0]]))
    assert three[0, 0] > three[1, 0]
    assert apply_temperature(three, 3.0)[0, 0] > apply_temperature(three, 3.0)[1, 0]
    assert three[0, 0] < apply_temperature(three, 0.3)[0, 0] < apply_temperature(three, 0.3)[1, 0]


def test_a_film_that_may_be_several_classes_counts_by_their_sum():
    logits, targets = overconfident(2.0)
    coarse = np.where(targets[:, :1] > 0, targets, [0, 1, 1])  # first class, or one of the others
    assert fit_temperature(softmax(logits), coarse).value == pytest.approx(2.0, rel=0.1)


def test_perfectly_separated_films_fit_no_temperature():
    truth = np.arange(100) % 2
    p = np.where(np.eye(2)[truth] > 0, 0.8, 0.2)
    assert fit_temperature(p, np.eye(2)[truth]).value == 1


def test_few_films_fit_no_temperature():
    logits, targets = overconfident(3.0, films=MIN_FILMS - 1)
    found = fit_temperature(softmax(logits), targets)
    assert found.value == 1
    assert "fewer than 30" in found.rule
