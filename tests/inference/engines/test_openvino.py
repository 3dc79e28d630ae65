"""OpenVINO's backbone computes what Keras's computes, for each backbone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from cxr.films.film import Film
from cxr.inference.classifier import Classifier
from cxr.inference.engines.engine import Engine
from cxr.inference.engines.openvino import OpenVINOPlugin

AGREEMENT = 1e-4

pytestmark = pytest.mark.skipif(not OpenVINOPlugin().version(), reason="OpenVINO is not installed")


def built(network: Any, precision: str) -> Engine:
    engine = OpenVINOPlugin().build(network, precision)
    assert engine is not None
    return engine


@pytest.mark.parametrize(
    ("backbone", "scale"), [("tiny", "unit"), ("vgg16", "caffe"), ("resnet18", "torch"), ("resnet50", "caffe")]
)
def test_maps_and_features_are_those_of_keras_for_each_backbone(
    make_classifier: Callable[..., Classifier],
    tiny_recipe: Callable[..., Any],
    film: Film,
    backbone: str,
    scale: str,
) -> None:
    network = make_classifier(tiny_recipe(size_px=64, backbone=backbone, scale=scale)).network
    rng = np.random.default_rng(1)
    for variable in network.model.weights:  # fresh means and variances would have no effect: zeros and ones
        if variable.path.endswith(("moving_mean", "moving_variance")):
            variable.assign(variable + 0.1 * rng.random(variable.shape))
    pixels = film.fitted(64)[None, ..., None]
    expected = network.maps_and_features(pixels.astype(np.float32), training=False)
    for ours, theirs in zip(map(np.asarray, expected), built(network, "float32").run(pixels), strict=True):
        assert theirs.shape == ours.shape
        assert np.abs(theirs - ours).max() / np.abs(ours).max() < AGREEMENT


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(("size_px", "strength"), [(64, 1.0), (63, 0.6)])
def test_gray_levels_are_equalized_as_keras_does(
    make_classifier: Callable[..., Classifier],
    tiny_recipe: Callable[..., Any],
    film: Film,
    size_px: int,
    strength: float,
    precision: str,
) -> None:
    recipe = tiny_recipe(size_px=size_px)
    equalized = recipe.model_copy(update={"input": recipe.input.model_copy(update={"equalize": strength})})
    network = make_classifier(equalized).network
    pixels = film.fitted(size_px)[None, ..., None]
    pixels = (pixels // 16 * 16).astype(np.uint8)  # few gray levels: most quantiles are equal
    expected = network.maps_and_features(pixels.astype(np.float32), training=False)
    tolerance = AGREEMENT if precision == "float32" else 0.02
    for ours, theirs in zip(map(np.asarray, expected), built(network, precision).run(pixels), strict=True):
        assert np.abs(theirs - ours).max() / np.abs(ours).max() < tolerance


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_forward_pass_with_its_backbone_gives_the_same_answers(
    make_classifier: Callable[..., Classifier],
    tiny_recipe: Callable[..., Any],
    film: Film,
    output: str,
    precision: str,
) -> None:
    classifier = make_classifier(tiny_recipe(output=output), ("normal", "pneumonia"), precision)
    pixels = film.fitted(classifier.size_px)[None, ..., None]
    engine = built(classifier.network, precision)
    assert (engine.name, engine.version, engine.precision) == ("OpenVINO", OpenVINOPlugin().version(), precision)
    tolerance = 1e-5 if precision == "float32" else 0.01
    for ours, theirs in zip(classifier.forward(pixels), classifier.forward_with(engine)(pixels), strict=True):
        np.testing.assert_allclose(np.asarray(theirs), np.asarray(ours), atol=tolerance * max(1, np.abs(ours).max()))


def test_a_backbone_with_unknown_layers_is_not_built(
    make_classifier: Callable[..., Classifier], tiny_recipe: Callable[..., Any]
) -> None:
    recipe = tiny_recipe()
    whitened = recipe.model_copy(update={"input": recipe.input.model_copy(update={"featurewise_center": True})})
    assert OpenVINOPlugin().build(make_classifier(whitened).network, "float32") is None


def test_several_threads_get_the_maps_of_their_own_images(
    make_classifier: Callable[..., Classifier], phantom_films: list[Film]
) -> None:
    engine = built(make_classifier().network, "float32")
    images = [film.fitted(32)[None, ..., None] for film in phantom_films]
    expected = [engine.run(image)[0].copy() for image in images]
    with ThreadPoolExecutor(4) as pool:
        for i, (maps, _) in enumerate(pool.map(engine.run, images * 5)):
            np.testing.assert_array_equal(maps, expected[i % len(images)])


def test_the_environment_can_turn_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_OPENVINO", "off")
    assert OpenVINOPlugin().version() == ""
