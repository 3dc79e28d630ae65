"""A shelf of one's own, and models small enough to build for a single test."""

import numpy as np
import pytest

from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom
from cxr.registry import registry
from cxr.registry.card import ModelDraft
from cxr.registry.recipe import Recipe

CLASSES = ("normal", "bacterial", "viral")
TABLE = "path,label,normal,bacterial,viral\na.png,viral,0.1,0.2,0.7\n"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CXR_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def tiny_recipe():
    def make(size_px=32, backbone="tiny", scale="unit", **head):
        return Recipe.from_table(
            {
                "name": "tiny",
                "input": {"size_px": size_px, "scale": scale},
                "trunk": {"backbone": backbone, "weights": "none"},
                "head": head,
            }
        )

    return make


@pytest.fixture
def draft():
    def make(name="tiny", classes=CLASSES, **facts):
        return ModelDraft(name=name, classes=classes, **facts)

    return make


@pytest.fixture
def stored(home, draft, tiny_recipe):
    """Puts a model on the shelf whose arrays are few and need no network."""

    def make(name="tiny", **arrays):
        rng = np.random.default_rng(0)
        arrays = {"logits/kernel": rng.random((16, 3)), "logits/bias": rng.random(3)} | arrays
        arrays = {key: np.asarray(array, np.float32) for key, array in arrays.items()}
        return registry.store(draft(name), tiny_recipe(), arrays, TABLE)

    return make


@pytest.fixture
def make_gate():
    """A gate for so many features, taught with numbers at random: it has an opinion, and no more."""
    from cxr.inference.input_check.input_check import FRONTAL, NO_FILM, InputCheck
    from cxr.inference.input_check.training_data import InputCheckExamples

    def make(features=40, seed=0):
        rng = np.random.default_rng(seed)
        kinds = np.repeat([FRONTAL, NO_FILM, "negative"], 20)
        pictures = rng.normal(size=(60, features)) + 3 * rng.normal(size=(3, features)).repeat(20, axis=0)
        lesson = InputCheckExamples(pictures.astype(np.float32), kinds, pictures[:20].astype(np.float32), 20)
        gate = InputCheck.fit(lesson)
        return gate, gate.record(lesson)

    return make


@pytest.fixture
def guarded(stored, make_gate):
    """Puts such a model on the shelf, with a gate."""

    def make(name="tiny"):
        stored(name)
        gate, record = make_gate()
        return registry.attach_input_check(name, gate.arrays(), record, None)

    return make


@pytest.fixture
def film():
    return phantom_film("bacterial", 1)


@pytest.fixture
def films():
    return [phantom_film(("normal", "viral", "bacterial")[seed % 3], seed) for seed in range(7)]


def phantom_film(finding, seed):
    return Film(pixels=draw_phantom(finding, seed, 96).pixels, format="PNG", bits=8)


@pytest.fixture
def make_classifier(tiny_recipe, draft):
    """A classifier with fresh weights, made without the shelf."""
    from cxr.inference.classifier import Classifier
    from cxr.learning.network import build
    from cxr.registry.card import Card

    def make(recipe=None, classes=CLASSES, precision="float32", **facts):
        recipe = recipe or tiny_recipe()
        network = build(recipe, len(classes), precision)
        rng = np.random.default_rng(0)
        for variable in network.model.weights:  # fresh norms and biases would be blank: ones and zeros
            if variable.path.endswith(("bias", "beta", "gamma")):
                variable.assign(variable + 0.1 * rng.standard_normal(variable.shape))
        card = Card(
            **dict(draft(classes=classes, **facts)),
            version="0" * 12,
            created="2025-01-01T00:00:00+00:00",
            recipe=recipe.name,
            size_px=recipe.input.size_px,
            seed=0,
            weights_sha256="0" * 64,
        )
        return Classifier(network, recipe, card, precision)

    return make


def on_the_shelf(home):
    return sorted(path.name for path in (home / "models").iterdir() if path.is_dir())
