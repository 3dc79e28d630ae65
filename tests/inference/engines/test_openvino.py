"""The trunk in OpenVINO sees what Keras sees, for each trunk."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cxr.inference.engines.openvino import openvino_trunk

AGREEMENT = 1e-4


def seen(network, pixels):
    maps, features = network.maps_and_features(pixels.astype(np.float32), training=False)
    return np.asarray(maps), np.asarray(features)


@pytest.mark.parametrize(
    ("backbone", "scale"), [("tiny", "unit"), ("vgg16", "caffe"), ("resnet18", "torch"), ("resnet50", "caffe")]
)
def test_maps_and_features_are_those_of_keras_for_each_trunk(make_classifier, tiny_recipe, film, backbone, scale):
    network = make_classifier(tiny_recipe(size_px=64, backbone=backbone, scale=scale)).network
    rng = np.random.default_rng(1)
    for variable in network.model.weights:  # fresh means and variances would be blank: zeros and ones
        if variable.path.endswith(("moving_mean", "moving_variance")):
            variable.assign(variable + 0.1 * rng.random(variable.shape))
    pixels = film.fitted(64)[None, ..., None]
    for ours, theirs in zip(seen(network, pixels), openvino_trunk(network, "float32")(pixels), strict=True):
        assert theirs.shape == ours.shape
        assert np.abs(theirs - ours).max() / np.abs(ours).max() < AGREEMENT


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_use_engine_it_is_our_own(make_classifier, tiny_recipe, film, output, precision):
    classifier = make_classifier(tiny_recipe(output=output), ("normal", "pneumonia"), precision)
    pixels = film.fitted(classifier.size_px)[None, ..., None]
    look = classifier.use_engine(openvino_trunk(classifier.network, precision))
    near = 1e-5 if precision == "float32" else 0.01
    for ours, theirs in zip(classifier.look(pixels), look(pixels), strict=True):
        np.testing.assert_allclose(np.asarray(theirs), np.asarray(ours), atol=near * max(1, np.abs(ours).max()))


def test_it_leaves_a_trunk_with_layers_that_it_does_not_know(make_classifier, tiny_recipe):
    recipe = tiny_recipe()
    whitened = recipe.model_copy(update={"input": recipe.input.model_copy(update={"featurewise_center": True})})
    assert openvino_trunk(make_classifier(whitened).network, "float32") is None


def test_several_threads_get_each_their_own_films_maps(make_classifier, films):
    network = make_classifier().network
    trunk, pixels = openvino_trunk(network, "float32"), [film.fitted(32)[None, ..., None] for film in films]
    alone = [trunk(one)[0].copy() for one in pixels]
    with ThreadPoolExecutor(4) as pool:
        for i, (maps, _) in enumerate(pool.map(trunk, pixels * 5)):
            np.testing.assert_array_equal(maps, alone[i % len(pixels)])
