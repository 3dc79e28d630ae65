"""How far bfloat16 and OpenVINO change the output on real X-rays: ImageNet's VGG16, with a head fitted to them.

`bench/precision.py` does the same for all test films of a stored model.
"""

import numpy as np
import pytest

from cxr.core.paths import weights_dirs
from cxr.datasets.dataset import Dataset
from cxr.inference.classifier import Classifier
from cxr.inference.engines.engine import same_answers
from cxr.inference.engines.openvino import OpenVINOPlugin
from cxr.learning.starting_weights import load_starting_weights
from cxr.registry.card import Card
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import arrays_of, assign

CLASSES = ("normal", "pneumonia")
FILMS = 24
SPREAD = 2.0  # deviation of the films' logits: probabilities lie mostly between 0.1 and 0.9
MAX_CHANGE = 0.02

pytestmark = pytest.mark.skipif(
    not any((folder / "vgg16_notop.weights.h5").exists() for folder in weights_dirs()),
    reason="VGG16's starting weights are not in weights/",
)


@pytest.fixture(scope="module")
def real_films(films):
    """A random sample with as many of either class: pixels as VGG16 takes them, and whether there is pneumonia."""
    dataset = Dataset.open(films / "kermany")
    ill = (dataset.labels != "normal").to_numpy()
    rng = np.random.default_rng(0)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(ill == side))[: FILMS // 2] for side in (False, True)])
    return np.stack([dataset.read(int(i)).fitted(224) for i in chosen])[..., None], ill[chosen]


@pytest.fixture(scope="module")
def classifiers(real_films):
    """One model in both precisions. Its head is certain of few films, so that changes are visible."""
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


def test_bfloat16_changes_no_probability_much(classifiers, real_films, record_property):
    exact, rough = (
        np.concatenate([np.asarray(classifiers[name].forward(batch)[0]) for batch in np.split(real_films[0], 3)])
        for name in ("float32", "bfloat16")
    )
    assert exact.std(axis=0).min() > 0.15, "the head gives all films nearly the same probability"
    change = float(np.abs(exact - rough).max())
    record_property("largest_change", change)
    print(f"largest change of a probability on {FILMS} films: {change:.4f}")
    assert 0 < change <= MAX_CHANGE


@pytest.mark.skipif(not OpenVINOPlugin().version(), reason="OpenVINO is not installed: requirements-speed.txt")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_openvino_gives_the_answers_of_tensorflow(classifiers, real_films, precision):
    classifier = classifiers[precision]
    engine = OpenVINOPlugin().build(classifier.network, precision)
    assert engine is not None
    forward = classifier.forward_with(engine)
    for film in real_films[0][:: FILMS // 8]:
        assert same_answers(classifier.forward(film[None]), forward(film[None]))
