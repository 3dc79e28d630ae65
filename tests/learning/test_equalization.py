"""Equalization of gray levels inside the network."""

import keras
import numpy as np
import pytest

from cxr.learning.normalization import APART, KNOTS, STRIDE, Equalization

FILMS = np.random.default_rng(0).gamma(2, 30, (3, 64, 64, 1)).clip(0, 255).astype(np.uint8).astype(np.float32)


def equalized(films, strength=1.0):
    return np.asarray(Equalization(strength, dtype="float32")(films))


def test_it_interpolates_linearly_between_the_quantiles_of_each_image():
    for film, result in zip(FILMS[..., 0], equalized(FILMS)[..., 0], strict=True):
        ranked = np.sort(film[::STRIDE, ::STRIDE].ravel())
        quantiles = ranked[np.linspace(0, ranked.size - 1, KNOTS).astype(int)] + np.arange(KNOTS) * APART
        np.testing.assert_allclose(result, np.interp(film, quantiles, np.linspace(0, 255, KNOTS)), atol=0.05)


def test_another_tone_curve_gives_nearly_the_same_image():
    darker = 255 * (FILMS / 255) ** 1.6
    assert np.abs(darker - FILMS).mean() > 10
    assert np.abs(equalized(darker) - equalized(FILMS)).mean() < 1.5


@pytest.mark.parametrize("gray", [0, 128, 255])
def test_a_constant_image_stays_finite(gray):
    result = equalized(np.full((1, 64, 64, 1), gray, np.float32))
    assert np.isfinite(result).all()
    assert 0 <= result.min() <= result.max() <= 255


def test_strength_blends_with_the_image_and_gradients_reach_the_pixels():
    np.testing.assert_allclose(equalized(FILMS, 0.5), (FILMS + equalized(FILMS)) / 2, atol=1e-3)
    pixels = keras.Input((64, 64, 1))
    model = keras.Model(pixels, Equalization(1.0)(pixels))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        x = tf.constant(FILMS)
        tape.watch(x)
        total = tf.reduce_sum(model(x))
    assert np.abs(tape.gradient(total, x).numpy()).max() > 0
