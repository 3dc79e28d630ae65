import keras
import numpy as np
import pytest

from cxr.core.errors import RecipeError
from cxr.films.synthetic.phantom import draw_phantom
from cxr.learning.backbones import resnet18
from cxr.learning.network import build
from cxr.learning.normalization import GRAY, GRAY_LEVELS_PER_SD, Equalization, fit_whitening
from cxr.registry.recipe import Recipe
from tests.support.training import tiny_recipe

MAPS = {"vgg16": (2, 512), "vgg19": (2, 512), "resnet50": (1, 2048), "resnet18": (1, 512), "tiny": (8, 16)}


def recipe(backbone="tiny", train="head", size_px=32, scale="unit", **sections):
    return tiny_recipe(
        input={"size_px": size_px, "scale": scale}, trunk={"backbone": backbone, "train": train}, **sections
    )


def some_films(count=3, size_px=32):
    return np.stack([draw_phantom("viral", seed, size_px).pixels for seed in range(count)])


def as_input(films):
    return films[..., None].astype(np.float32)


def run(model, films):
    return np.asarray(model.predict_on_batch(as_input(films)))


def looked_at(network, films):
    maps, features = network.maps_and_features.predict_on_batch(as_input(films))
    return np.asarray(maps), np.asarray(features)


def trainable_names(network):
    return {variable.path.split("/")[0] for variable in network.model.trainable_variables}


# The graph


@pytest.mark.parametrize("backbone", MAPS)
def test_every_backbone_is_one_flat_graph_from_grey_pixels_to_probabilities(backbone):
    network = build(recipe(backbone), 3)
    assert not [layer.name for layer in network.model.layers if isinstance(layer, keras.Model)]
    assert network.model.input_shape == (None, 32, 32, 1)
    assert network.model.output_shape == (None, 3)
    side, filters = MAPS[backbone]
    assert network.maps_and_features.output_shape[0] == (None, side, side, filters)
    p = run(network.model, some_films(2))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("backbone", "train"), [("tiny", "head"), ("tiny", "block3"), ("tiny", "all"), ("resnet18", "conv5")]
)
def test_front_and_tail_are_together_the_model(backbone, train):
    network = build(recipe(backbone, train, head={"pool": "average", "dense": [8], "dropout": 0.5}), 3)
    films = some_films()
    maps = as_input(films) if train == "all" else run(network.frozen_part, films)
    logits = network.trainable_part.predict_on_batch(maps)
    np.testing.assert_allclose(keras.ops.softmax(logits), run(network.model, films), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("backbone", ["tiny", "resnet18"])
def test_look_and_from_target_are_together_the_model(backbone):
    network = build(recipe(backbone, "all"), 3)
    films = some_films()
    logits = network.from_target.predict_on_batch(looked_at(network, films)[0])
    np.testing.assert_allclose(keras.ops.softmax(logits), run(network.model, films), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("backbone", "width"), [("tiny", 8 + 16 + 16), ("vgg16", 64 + 128 + 256 + 512 + 512)])
def test_features_are_the_means_of_each_blocks_last_maps(backbone, width):
    network = build(recipe(backbone), 3)
    maps, features = looked_at(network, some_films(2))
    assert features.shape == (2, width)
    np.testing.assert_allclose(features[:, -maps.shape[-1] :], maps.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("pool", "width"), [("flatten", 8 * 8 * 16), ("average", 16), ("max", 16)])
def test_the_head_has_its_pool_its_layers_and_its_penalty(pool, width):
    network = build(recipe(head={"pool": pool, "dense": [12, 6], "dropout": 0.25, "l2": 0.01}), 4)
    names = [layer.name for layer in network.model.layers]
    assert names[names.index("pooled") :] == [
        "pooled",
        "dense1",
        "dropout1",
        "dense2",
        "dropout2",
        "logits",
        "probabilities",
    ]
    assert network.model.get_layer("dense1").kernel.shape == (width, 12)
    assert network.model.get_layer("dropout2").rate == 0.25
    penalty = sum(0.01 * np.square(network.model.get_layer(n).kernel).sum() for n in ("dense1", "dense2", "logits"))
    assert float(sum(network.model.losses)) == pytest.approx(penalty, rel=1e-5)


def test_a_head_without_layers_drops_what_enters_the_logits():
    names = [layer.name for layer in build(recipe(head={"dropout": 0.5}), 2).model.layers]
    assert names[-4:] == ["pooled", "dropout", "logits", "probabilities"]


def test_a_sigmoid_has_one_unit():
    network = build(recipe(head={"output": "sigmoid"}), 2)
    p = run(network.model, some_films())
    assert p.shape == (3, 1)
    logits = network.from_target.predict_on_batch(looked_at(network, some_films())[0])
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-logits)), rtol=1e-5)


def test_a_sigmoid_for_three_classes_is_refused():
    with pytest.raises(RecipeError) as error:
        build(recipe(head={"output": "sigmoid"}), 3)
    assert error.value.code == "recipe.sigmoid-classes"


def test_the_same_seed_gives_the_same_weights_and_another_gives_others():
    first, second, other = (build(recipe(training={"seed": seed}, head={"dense": [4]}), 3).model for seed in (5, 5, 6))
    for a, b in zip(first.weights, second.weights, strict=True):
        assert a.path == b.path
        assert np.array_equal(a, b)
    assert not np.array_equal(first.get_layer("logits").kernel, other.get_layer("logits").kernel)
    assert not np.array_equal(first.get_layer("block2_conv1").kernel, other.get_layer("block2_conv1").kernel)


def test_building_leaves_the_precision_of_other_networks_alone():
    before = keras.config.dtype_policy().name
    build(recipe(), 2, "bfloat16")
    assert keras.config.dtype_policy().name == before


def test_in_bfloat16_the_trunk_is_half_and_the_head_is_whole():
    network = build(recipe(), 3, "bfloat16")
    assert network.model.get_layer("block2_conv1").compute_dtype == "bfloat16"
    assert {variable.dtype for variable in network.model.weights} == {"float32"}
    p = network.model.predict_on_batch(as_input(some_films()))
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(p, run(build(recipe(), 3).model, some_films()), atol=0.02)


# What is trained


HEAD = {"logits"}
VGG_BLOCK5 = {"block5_conv1", "block5_conv2", "block5_conv3"}


@pytest.mark.parametrize(
    ("backbone", "train", "trained"),
    [
        ("tiny", "head", HEAD),
        ("tiny", "block3", HEAD | {"block3_conv1"}),
        ("tiny", "block2", HEAD | {"block3_conv1", "block2_conv1"}),
        ("tiny", "all", HEAD | {"block3_conv1", "block2_conv1", "block1_conv1"}),
        ("vgg16", "block5", HEAD | VGG_BLOCK5),
        ("vgg19", "block5", HEAD | VGG_BLOCK5 | {"block5_conv4"}),
    ],
)
def test_what_is_trained_is_what_the_recipe_says(backbone, train, trained):
    assert trainable_names(build(recipe(backbone, train), 2)) == trained


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_training_from_conv5_on_takes_its_shortcuts_and_nothing_below(backbone):
    network = build(recipe(backbone, "conv5"), 2)
    with_weights = {layer.name for layer in network.model.layers if layer.weights}
    conv5 = {name for name in with_weights if name.startswith("conv5_")}
    assert "conv5_block1_0_conv" in conv5
    assert trainable_names(network) == HEAD | conv5
    last_frozen = {"resnet18": "conv4_block2_out", "resnet50": "conv4_block6_out"}[backbone]
    assert network.cut is network.model.get_layer(last_frozen).output


def test_training_all_of_a_resnet_trains_every_layer_that_can_be():
    network = build(recipe("resnet18", "all"), 2)
    assert trainable_names(network) == {layer.name for layer in network.model.layers if layer.weights}


@pytest.mark.parametrize(
    ("backbone", "train", "known"),
    [
        ("tiny", "block9", "head, all, block1, block2, block3"),
        ("tiny", "block", "head, all, block1, block2, block3"),
        ("tiny", "three", "head, all, block1, block2, block3"),
        ("tiny", "block3_conv1", "head, all, block1, block2, block3"),
        ("vgg16", "conv5", "head, all, block1, block2, block3, block4, block5"),
        ("resnet18", "pool1", "head, all, conv1, conv2, conv3, conv4, conv5"),
    ],
)
def test_an_unknown_block_is_refused_with_the_known_ones(backbone, train, known):
    with pytest.raises(RecipeError) as error:
        build(recipe(backbone, train), 2)
    assert error.value.code == "recipe.no-block"
    assert f"'{train}'" in str(error.value)
    assert all(name in str(error.value) for name in known.split(", "))


def test_the_whitening_is_no_block():
    with pytest.raises(RecipeError) as error:
        build(tiny_recipe(input={"featurewise_std": True}, trunk={"train": "whitening"}), 2)
    assert error.value.code == "recipe.no-block"


def test_the_head_s_own_layers_are_no_block():
    with pytest.raises(RecipeError) as error:
        build(recipe(train="dense1", head={"dense": [4]}), 2)
    assert error.value.code == "recipe.no-block"


# Preprocessing


@pytest.mark.parametrize(
    ("scale", "application"), [("caffe", "vgg16"), ("caffe", "resnet50"), ("caffe", "vgg19"), ("torch", "densenet")]
)
def test_the_scale_is_what_keras_applications_preprocess_with(scale, application):
    films = some_films()
    wanted = getattr(keras.applications, application).preprocess_input(np.repeat(as_input(films), 3, axis=-1))
    model = build(recipe(scale=scale), 2).model
    ours = run(keras.Model(model.input, model.get_layer("normalise").output), films)
    np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("scale", "black", "white"), [("unit", 0, 1), ("half", -2, 2)])
def test_the_other_scales_are_between_these_bounds(scale, black, white):
    films = np.stack([np.zeros((32, 32), np.uint8), np.full((32, 32), 255, np.uint8)])
    model = build(recipe(scale=scale), 2).model
    ours = run(keras.Model(model.input, model.get_layer("normalise").output), films)
    np.testing.assert_allclose(ours[0], black, atol=1e-6)
    np.testing.assert_allclose(ours[1], white, atol=1e-6)


def test_an_equalizing_network_reads_the_equalized_image():
    films, made = some_films(3), recipe(scale="unit")
    equalizing = Recipe.from_table(made.model_dump() | {"input": made.input.model_dump() | {"equalize": 1.0}})
    plain, network = build(made, 2), build(equalizing, 2)
    network.model.set_weights(plain.model.get_weights())
    seen = np.asarray(Equalization(1.0, dtype="float32")(as_input(films)))
    np.testing.assert_allclose(run(network.model, films), plain.model.predict_on_batch(seen), atol=1e-5)
    assert np.abs(run(network.model, films) - run(plain.model, films)).max() > 1e-4


# Whitening


def whitened(films, new=None, **settings):
    """What the whitening layer of a built network makes of films (or of new ones) it was fitted on."""
    made = recipe(scale="caffe", size_px=films.shape[1])
    made = Recipe.from_table(made.model_dump() | {"input": made.input.model_dump() | settings})
    values = fit_whitening(made.input, films)
    network = build(made, 2, zca_rank=values[2].shape[1] if len(values) > 2 else 0)
    layer = network.model.get_layer("whitening")
    layer.set_weights(values)
    maps = run(keras.Model(network.model.input, layer.output), films if new is None else new)
    return maps[..., 0], network


def test_featurewise_centring_and_scaling_give_all_training_films_one_mean_and_spread():
    films = some_films(12)
    grey, _ = whitened(films, featurewise_center=True, featurewise_std=True)
    assert grey.mean() == pytest.approx(GRAY / 2, abs=0.01)
    assert grey.std() == pytest.approx(GRAY_LEVELS_PER_SD, rel=1e-4)
    z = (films - films.mean()) / films.std()
    np.testing.assert_allclose(grey, z * GRAY_LEVELS_PER_SD + GRAY / 2, atol=0.01)


def test_centring_alone_keeps_the_contrast():
    films = some_films(6)
    grey, _ = whitened(films, featurewise_center=True)
    np.testing.assert_allclose(grey, films - films.mean() + GRAY / 2, atol=0.01)


def direct_zca(films, new, epsilon):
    """ZCA from the covariance of all pixels, as it is written in the books."""
    mean, deviation = films.mean(), films.std()
    x, y = (((f - mean) / deviation).reshape(len(f), -1).astype(float) for f in (films, new))
    variance, vectors = np.linalg.eigh(x.T @ x / len(x))
    floor = epsilon * variance[-1]
    gains = 1 / np.sqrt(np.maximum(variance, 0) + floor)
    scale = np.sqrt(variance.sum() / (gains**2 * np.maximum(variance, 0)).sum())
    return ((y @ vectors * gains) @ vectors.T * scale).reshape(new.shape) * GRAY_LEVELS_PER_SD + GRAY / 2


@pytest.mark.parametrize("epsilon", [0.01, 0.3])
def test_zca_is_what_the_covariance_of_all_pixels_gives_for_old_and_new_films(epsilon):
    films, new = some_films(16, 16), some_films(20, 16)[16:]
    settings = {"featurewise_center": True, "featurewise_std": True, "zca": True, "zca_epsilon": epsilon}
    shown = np.concatenate([films, new])
    grey, _ = whitened(films, shown, **settings)
    np.testing.assert_allclose(grey, direct_zca(films, shown, epsilon), rtol=1e-3, atol=0.2)


def test_zca_evens_out_the_components_and_keeps_the_spread():
    films = some_films(24, 16)
    grey, network = whitened(films, featurewise_center=True, featurewise_std=True, zca=True, zca_epsilon=1e-6)
    x = ((grey - GRAY / 2) / GRAY_LEVELS_PER_SD).reshape(len(films), -1)
    variance = np.linalg.eigvalsh(x @ x.T / len(x))
    before = ((films - films.mean()) / films.std()).reshape(len(films), -1)
    wide = np.linalg.eigvalsh(before @ before.T / len(before))
    assert variance[-1] / variance[0] < 2 < 100 < wide[-1] / wide[0]
    assert variance.sum() == pytest.approx(wide.sum(), rel=1e-3)
    assert network.model.get_layer("whitening").components.shape == (256, 24)


def test_the_whitening_is_never_trained():
    settings = {"featurewise_center": True, "zca": True}
    made = tiny_recipe(input=settings, trunk={"train": "all"})
    network = build(made, 2, zca_rank=4)
    assert len(network.model.get_layer("whitening").weights) == 5
    assert "whitening" not in trainable_names(network)


def test_the_same_film_is_whitened_the_same_in_any_company():
    films = some_films(10, 16)
    together, _ = whitened(films, zca=True)
    alone, _ = whitened(films, films[:1], zca=True)
    np.testing.assert_allclose(alone[0], together[0], atol=0.02)


# ResNet18


def test_resnet18_has_the_parameters_of_the_published_network():
    inputs = keras.Input((224, 224, 3))
    model = keras.Model(inputs, resnet18(inputs)[0])
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == 11_176_512
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == 20
    assert model.output_shape == (None, 7, 7, 512)
    sides = {stage: model.get_layer(f"conv{stage}_block2_out").output.shape[1] for stage in (2, 3, 4, 5)}
    assert sides == {2: 56, 3: 28, 4: 14, 5: 7}
    assert model.get_layer("conv1_relu").output.shape[1:] == (112, 112, 64)


def test_blocks_are_listed_from_the_head_down_with_the_layers_that_hold_weights():
    network = build(tiny_recipe(head={"dense": [4]}), 3)
    names = {block: [layer.name for layer in layers] for block, layers in network.blocks}
    assert list(names) == ["head", "block3", "block2", "block1"]
    assert names["head"] == ["dense1", "logits"]
    assert names["block2"] == ["block2_conv1"]


def test_the_whitening_is_not_listed_among_the_blocks():
    network = build(tiny_recipe(input={"zca": True}), 2, zca_rank=4)
    assert [block for block, _ in network.blocks] == ["head", "block3", "block2", "block1"]
