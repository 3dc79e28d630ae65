import re

import numpy as np
import pytest

from cxr.core.errors import CxrError
from cxr.inference.saliency import DEFAULT_SAMPLES, METHOD_HELP, METHODS, explain

SIGMOID = {"output": "sigmoid", "pool": "average"}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_heatmap_between_zero_and_one(make_classifier, film, method, precision):
    heatmap = explain(make_classifier(precision=precision), film, "viral", method, samples=4)
    assert heatmap.shape == ((32, 32) if method == "smoothgrad" else (8, 8))
    assert heatmap.dtype == np.float32
    assert heatmap.min() >= 0
    assert heatmap.max() in (0, pytest.approx(1))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_distinguishes_the_two_classes_of_a_sigmoid(make_classifier, tiny_recipe, film, method):
    classifier = make_classifier(tiny_recipe(**SIGMOID), ("normal", "pneumonia"))
    maps = [explain(classifier, film, target, method, samples=8) for target in classifier.classes]
    assert all(np.isfinite(heatmap).all() for heatmap in maps)
    if method == "smoothgrad":  # the size of a slope is the same up and down
        np.testing.assert_allclose(maps[0], maps[1], atol=1e-6)
    else:
        assert np.abs(maps[0] - maps[1]).max() > 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_the_same_input_gives_the_same_heatmap(make_classifier, film, method):
    classifier = make_classifier()
    first, second = (explain(classifier, film, "normal", method, samples=3) for _ in range(2))
    np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_progress_is_reported_to_the_end_and_nothing_is_printed(make_classifier, film, method, capsys):
    steps = []
    explain(make_classifier(), film, "viral", method, samples=10, progress=lambda *step: steps.append(step))
    assert steps[-1][0] == steps[-1][1]
    assert capsys.readouterr().out == ""


def test_gradcam_is_that_of_the_prediction(make_classifier, film):
    classifier = make_classifier()
    np.testing.assert_array_equal(explain(classifier, film, "viral", "gradcam"), classifier.read(film).heatmap("viral"))


def test_a_very_confident_model_can_still_be_explained(make_classifier, film):
    classifier = make_classifier()
    logits = classifier.network.model.get_layer("logits")
    logits.bias.assign([0.0, 0.0, 500.0])
    heatmap = explain(classifier, film, "viral", "gradcam++")
    assert np.isfinite(heatmap).all()


def test_score_cam_accepts_more_maps_than_there_are(make_classifier, film):
    assert np.isfinite(explain(make_classifier(), film, "viral", "scorecam", samples=1000)).all()


def test_score_cam_tries_as_many_maps_as_the_help_says(make_classifier, tiny_recipe, film):
    vgg16 = make_classifier(tiny_recipe(size_px=32, backbone="vgg16"))
    maps = vgg16.network.model.get_layer(vgg16.network.target).output.shape[-1]
    totals = []
    explain(vgg16, film, "viral", "scorecam", progress=lambda done, total: totals.append(total))
    assert set(totals) == {DEFAULT_SAMPLES["scorecam"]}
    assert {totals[0], maps} <= {int(number) for number in re.findall(r"\b\d+\b", METHOD_HELP)}


def test_a_target_block_that_ends_in_no_convolution_can_be_explained(make_classifier, tiny_recipe, film):
    classifier = make_classifier(tiny_recipe(size_px=32, backbone="resnet18", scale="torch"))
    for method in METHODS:
        assert np.isfinite(explain(classifier, film, "normal", method, samples=2)).all()


@pytest.mark.parametrize("target", ["flu", "", "Normal"])
@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_class_is_refused(make_classifier, film, method, target):
    with pytest.raises(CxrError) as raised:
        explain(make_classifier(), film, target, method)
    assert raised.value.code == "error.unknown-class"


def test_an_unknown_method_is_refused(make_classifier, film):
    with pytest.raises(CxrError) as raised:
        explain(make_classifier(), film, "viral", "guess")
    assert raised.value.code == "error.heatmap-method"


def test_less_than_one_sample_is_refused(make_classifier, film):
    with pytest.raises(CxrError) as raised:
        explain(make_classifier(), film, "viral", "smoothgrad", samples=0)
    assert raised.value.code == "error.heatmap-samples"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_explains_a_group_of_classes(make_classifier, film, method):
    classifier = make_classifier(groups={"pneumonia": ("bacterial", "viral")})
    group = explain(classifier, film, "pneumonia", method, samples=4)
    assert np.isfinite(group).all()
    assert group.max() in (0, pytest.approx(1))
    with pytest.raises(CxrError) as unknown:
        explain(classifier, film, "fracture", method, samples=4)
    assert unknown.value.code == "error.unknown-class"
