"""What bfloat16 and OpenVINO move on real films: ImageNet's VGG16, with a head fitted to these films.

`bench/precision.py` does the same for all test films of a model on the shelf.
"""

import numpy as np
import pytest

from cxr.core.paths import weights_dirs
from cxr.datasets.dataset import Dataset
from cxr.inference.classifier import Classifier
from cxr.inference.engines.selection import agree, openvino_version
from cxr.registry.card import Card
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import arrays_of, assign, load_starting_weights

CLASSES = ("normal", "pneumonia")
FILMS = 40
SPREAD = 2.0  # deviation of the films' logits: probabilities lie mostly between 0.1 and 0.9
MOST_MOVED = 0.02

pytestmark = pytest.mark.skipif(
    not any((folder / "vgg16_notop.weights.h5").exists() for folder in weights_dirs()),
    reason="VGG16's starting weights are not in weights/",
)


@pytest.fixture(scope="module")
def real_films(films):
    """As many of either class, by lot: pixels as VGG16 sees them, and whether there is pneumonia."""
    dataset = Dataset.open(films / "kermany")
    ill = (dataset.labels != "normal").to_numpy()
    rng = np.random.default_rng(0)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(ill == side))[: FILMS // 2] for side in (False, True)])
    return np.stack([dataset.read(int(i)).fitted(224) for i in chosen])[..., None], ill[chosen]


@pytest.fixture(scope="module")
def classifiers(real_films):
    """One model in both precisions. Its head is certain of few films, so that what moves can be seen to move."""
    import keras
    from sklearn.linear_model import LogisticRegression

    from cxr.learning.network import build

    recipe = Recipe.read("vgg16-default")
    exact = build(recipe, len(CLASSES), "float32")
    load_starting_weights(exact.model, recipe)
    pixels, ill = real_films
    pooled = keras.Model(exact.model.input, exact.model.get_layer("pooled").output)
    seen = pooled.predict(pixels.astype(np.float32), batch_size=8, verbose=0)
    way = LogisticRegression(C=1e-3, max_iter=1000).fit(seen, ill).coef_.T
    way *= SPREAD / (seen @ way).std()
    kernel, bias = np.hstack([-way, way]) / 2, (seen @ way).mean() * np.array([1, -1]) / 2
    exact.model.get_layer("logits").set_weights([kernel, bias])
    rough = build(recipe, len(CLASSES), "bfloat16")
    assign(rough.model.weights, arrays_of(exact.model.weights))
    about = {"name": "real", "classes": CLASSES, "version": "0" * 12, "created": "2026-01-01", "recipe": recipe.name}
    card = Card(**about, size_px=224, seed=0, weights_sha256="0" * 64)
    return {
        name: Classifier(network, recipe, card, name) for name, network in (("float32", exact), ("bfloat16", rough))
    }


def test_bfloat16_moves_no_probability_far(classifiers, real_films, record_property):
    exact, rough = (
        np.concatenate([np.asarray(classifiers[name].look(some)[0]) for some in np.split(real_films[0], 5)])
        for name in ("float32", "bfloat16")
    )
    assert exact.std(axis=0).min() > 0.15, "the head says nearly the same of all films, so that nothing can move"
    moved = float(np.abs(exact - rough).max())
    record_property("largest_move", moved)
    print(f"largest move of a probability on {FILMS} films: {moved:.4f}")
    assert 0 < moved <= MOST_MOVED


@pytest.mark.skipif(not openvino_version(), reason="OpenVINO is not installed: requirements-speed.txt")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_openvino_says_of_a_film_what_tensorflow_says(classifiers, real_films, precision):
    from cxr.inference.engines.openvino import openvino_trunk

    classifier = classifiers[precision]
    look = classifier.use_engine(openvino_trunk(classifier.network, precision))
    for film in real_films[0][:: FILMS // 10]:
        assert agree(classifier.look(film[None]), look(film[None]))
