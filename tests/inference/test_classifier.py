import gc
import itertools
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cxr.core.errors import CxrError, RegistryError
from cxr.datasets.labels import display_name
from cxr.films.film import Film
from cxr.inference.loading import load_classifier
from cxr.registry import registry

AGREEMENT = 1e-4
GROUPS = {"pneumonia": ("bacterial", "viral")}


def reference_gradcam(classifier, film, target):
    """tf-keras-vis' Grad-CAM of the logits model, unscaled."""
    import keras
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import BinaryScore, CategoricalScore

    model = classifier.network.model
    column = classifier.classes.index(target)
    sigmoid = classifier.recipe.head.output == "sigmoid"
    heatmaps = Gradcam(keras.Model([model.input], model.get_layer("logits").output))(
        BinaryScore(bool(column)) if sigmoid else CategoricalScore(column),
        film.fitted(classifier.size_px).astype(np.float32)[None, ..., None],
        penultimate_layer=classifier.network.target,
        seek_penultimate_conv_layer=False,
        expand_cam=False,
        normalize_cam=False,
    )
    return np.asarray(heatmaps)[0]


def assert_agrees_with_reference(classifier, film):
    prediction = classifier.read(film)
    assert prediction.peaks.max() > 0
    for target, peak in zip(prediction.classes, prediction.peaks, strict=True):
        reference = reference_gradcam(classifier, film, target)
        scale = max(float(reference.max()), 1e-9)
        assert np.abs(prediction.heatmap(target) * peak - reference).max() / scale < AGREEMENT


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize(("pool", "dense"), [("flatten", [8]), ("average", [8]), ("average", []), ("max", [8])])
def test_heatmaps_agree_with_tf_keras_vis_for_each_head(make_classifier, tiny_recipe, film, output, pool, dense):
    classes = ("normal", "pneumonia") if output == "sigmoid" else ("normal", "bacterial", "viral")
    recipe = tiny_recipe(output=output, pool=pool, dense=dense, dropout=0.5)
    assert_agrees_with_reference(make_classifier(recipe, classes), film)


@pytest.mark.parametrize("pool", ["flatten", "average"])
@pytest.mark.parametrize(("backbone", "scale"), [("vgg16", "caffe"), ("resnet18", "torch"), ("resnet50", "caffe")])
def test_heatmaps_agree_with_tf_keras_vis_for_each_backbone(make_classifier, tiny_recipe, film, backbone, scale, pool):
    recipe = tiny_recipe(size_px=64, backbone=backbone, scale=scale, pool=pool)
    assert_agrees_with_reference(make_classifier(recipe), film)


def test_heatmaps_agree_with_tf_keras_vis_for_a_stored_model(home, make_classifier, draft, film):
    from cxr.registry.weights_file import arrays_of

    fresh = make_classifier()
    registry.store(registry.NewModel(draft(), fresh.recipe, arrays_of(fresh.network.model.weights), ""))
    loaded = load_classifier("tiny", "float32")
    assert_agrees_with_reference(loaded, film)
    np.testing.assert_array_equal(loaded.read(film).probabilities, fresh.read(film).probabilities)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_probabilities_are_those_of_the_network(make_classifier, tiny_recipe, film, output):
    classifier = make_classifier(tiny_recipe(output=output), ("normal", "pneumonia"))
    direct = np.asarray(classifier.network.model(film.fitted(32)[None, ..., None].astype(np.float32)))[0]
    expected = [1 - direct[0], direct[0]] if output == "sigmoid" else direct
    np.testing.assert_allclose(classifier.read(film).probabilities, expected, atol=1e-6)


def test_features_come_with_the_reading_or_by_themselves(make_classifier, phantom_films):
    classifier = make_classifier()
    alone = classifier.features((film.fitted(classifier.size_px) for film in phantom_films), batch=3)
    read = np.stack([prediction.features for prediction in classifier.read_many(phantom_films)])
    assert alone.shape[0] == len(phantom_films)
    assert np.ptp(alone, axis=0).max() > 0
    np.testing.assert_allclose(alone, read, atol=1e-5)


def test_a_film_gets_the_same_answer_in_a_batch_as_alone(make_classifier, phantom_films):
    classifier = make_classifier()
    together = list(classifier.read_many(phantom_films, batch=4))
    assert len(together) == len(phantom_films)
    for film, in_batch in zip(phantom_films, together, strict=True):
        alone = classifier.read(film)
        assert in_batch.decision == alone.decision
        np.testing.assert_allclose(in_batch.probabilities, alone.probabilities, atol=1e-5)
        np.testing.assert_allclose(in_batch.heatmaps, alone.heatmaps, atol=1e-5)


def test_films_are_taken_a_batch_at_a_time(make_classifier, film):
    numbers = itertools.count()
    endless = (film for _ in numbers)
    next(make_classifier().read_many(endless, batch=3))
    assert next(numbers) == 3


def test_reading_no_films_gives_no_predictions(make_classifier):
    assert list(make_classifier().read_many([])) == []


def test_heatmaps_are_scaled_by_their_own_peak_and_blank_ones_stay_blank(make_classifier, phantom_films):
    for prediction in make_classifier().read_many(phantom_films):
        for heatmap, peak in zip(prediction.heatmaps, prediction.peaks, strict=True):
            assert heatmap.min() >= 0
            assert heatmap.max() == (pytest.approx(1) if peak > 0 else 0)


def test_a_film_without_activations_gets_a_blank_heatmap(make_classifier):
    classifier = make_classifier()
    for variable in classifier.network.model.weights:
        if variable.path.startswith("block3"):
            variable.assign(0 * variable)
    prediction = classifier.read(Film(pixels=np.zeros((40, 40), np.uint8), format="PNG", bits=8))
    assert not prediction.heatmaps.any()
    assert np.isfinite(prediction.probabilities).all()


def test_the_threshold_decides_between_normal_and_the_most_probable_finding(make_classifier, film):
    always = make_classifier(threshold=0.0).read(film)
    never = make_classifier(threshold=1.0).read(film)
    findings = dict(zip(always.classes[1:], always.probabilities[1:], strict=True))
    assert always.decision == max(findings, key=lambda name: findings[name])
    assert never.decision == "normal"


def test_a_score_in_the_band_is_indeterminate_and_without_a_band_nothing_is(make_classifier, film):
    score = 1 - float(make_classifier(threshold=0.5).read(film).probability("normal"))
    inside = make_classifier(threshold=0.5, unsure=(score - 0.01, score + 0.01)).read(film)
    below = make_classifier(threshold=0.5, unsure=(score - 0.02, score - 0.01)).read(film)
    above = make_classifier(threshold=0.5, unsure=(score + 0.01, score + 0.02)).read(film)
    assert (inside.indeterminate, below.indeterminate, above.indeterminate) == (True, False, False)
    assert make_classifier(threshold=0.5).read(film).indeterminate is None
    assert json.loads(json.dumps(inside.as_dict()))["unsure"] is True


def test_a_temperature_softens_probabilities_and_keeps_heatmaps(make_classifier, tiny_recipe, film):
    for output, classes in (("softmax", ("normal", "bacterial", "viral")), ("sigmoid", ("normal", "viral"))):
        classifier = make_classifier(tiny_recipe(output=output), classes)
        before = classifier.read(film)
        classifier.network.apply_temperature(2.0)
        after = classifier.read(film)
        expected = np.sqrt(before.probabilities)
        np.testing.assert_allclose(after.probabilities, expected / expected.sum(), atol=1e-5)
        np.testing.assert_allclose(after.heatmaps, before.heatmaps, atol=1e-4)
        np.testing.assert_allclose(after.peaks, before.peaks / 2, rtol=1e-3)


def test_the_heatmap_is_that_of_the_decision_unless_a_class_is_given(make_classifier, film):
    prediction = make_classifier().read(film)
    decided = prediction.classes.index(prediction.decision)
    np.testing.assert_array_equal(prediction.heatmap(), prediction.heatmaps[decided])
    np.testing.assert_array_equal(prediction.heatmap("viral"), prediction.heatmaps[2])
    with pytest.raises(CxrError) as raised:
        prediction.heatmap("flu")
    assert raised.value.code == "error.unknown-class"


def test_a_prediction_becomes_json_and_a_label(make_classifier, film):
    prediction = make_classifier(threshold=0.25).read(film)
    table = json.loads(json.dumps(prediction.as_dict()))
    assert table["decision"] == prediction.decision
    assert sum(table["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert table["threshold"] == 0.25
    assert table["model_ms"] > 0
    assert prediction.label().startswith(f"{display_name(prediction.decision)} (")


def test_bfloat16_gives_float32_results_close_to_those_of_float32(make_classifier, film):
    exact, rough = make_classifier().read(film), make_classifier(precision="bfloat16").read(film)
    assert rough.probabilities.dtype == rough.heatmaps.dtype == rough.peaks.dtype == np.float32
    np.testing.assert_allclose(rough.probabilities, exact.probabilities, atol=0.02)
    np.testing.assert_allclose(rough.heatmaps, exact.heatmaps, atol=0.05)


def test_the_float32_copy_of_a_bfloat16_model_has_its_weights(make_classifier):
    from cxr.registry.weights_file import arrays_of

    classifier = make_classifier(precision="bfloat16")
    copy = classifier.float32_network()
    assert copy is classifier.float32_network()
    assert copy.model.get_layer(copy.target).compute_dtype == "float32"
    ours, theirs = arrays_of(classifier.network.model.weights), arrays_of(copy.model.weights)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_a_float32_model_is_its_own_float32_copy(make_classifier):
    classifier = make_classifier()
    assert classifier.float32_network() is classifier.network


def test_several_threads_get_the_answers_of_one(make_classifier, phantom_films):
    classifier = make_classifier()
    alone = [classifier.read(film).probabilities for film in phantom_films]
    gc.collect()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda film: classifier.read(film).probabilities, phantom_films * 4))
    for i, probabilities in enumerate(together):
        np.testing.assert_allclose(probabilities, alone[i % len(phantom_films)], atol=1e-6)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_probability_that_is_not_a_finite_number_is_an_error_and_never_a_negative_prediction(
    make_classifier, tiny_recipe, phantom_films, output, value
):
    classes = ("normal", "viral")
    classifier = make_classifier(tiny_recipe(output=output), classes, threshold=0.5)
    kernel = classifier.network.model.get_layer("logits").kernel
    kernel.assign(np.where(np.arange(kernel.shape[0])[:, None] % 2, value, -value) * np.ones(kernel.shape))
    for read in (
        lambda: classifier.read(phantom_films[0]),
        lambda: list(classifier.read_many(phantom_films)),
    ):
        with pytest.raises(RegistryError) as raised:
            read()
        assert raised.value.code == "registry.not-finite"


def test_finite_weights_whose_sums_are_not_finite_are_an_error(make_classifier, phantom_films):
    classifier = make_classifier()
    kernel = classifier.network.model.get_layer("block1_conv1").kernel
    kernel.assign(np.full(kernel.shape, 3e38))
    images = [film.fitted(classifier.size_px) for film in phantom_films]
    for read in (lambda: classifier.read(phantom_films[0]), lambda: classifier.features(images)):
        with pytest.raises(RegistryError) as raised:
            read()
        assert raised.value.code == "registry.not-finite"


def test_the_heatmap_of_a_group_is_the_gradcam_of_its_classes_together(make_classifier, film):
    import keras
    from keras import ops
    from tf_keras_vis.gradcam import Gradcam

    classifier = make_classifier(groups=GROUPS)
    members = [classifier.classes.index(name) for name in ("bacterial", "viral")]
    model = classifier.network.model
    expected = Gradcam(keras.Model([model.input], model.get_layer("logits").output))(
        lambda logits: ops.logsumexp(ops.take(logits, members, axis=1), axis=1),
        film.fitted(classifier.size_px).astype(np.float32)[None, ..., None],
        penultimate_layer=classifier.network.target,
        seek_penultimate_conv_layer=False,
        expand_cam=False,
        normalize_cam=False,
    )
    expected = np.asarray(expected)[0]
    prediction = classifier.read(film)
    assert expected.max() > 0
    np.testing.assert_allclose(prediction.heatmap("pneumonia"), expected / expected.max(), atol=1e-3)
    assert "pneumonia" not in prediction.classes
