"""A registry in a folder of the test's own, and models small enough to be built for a single test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom
from cxr.registry import registry
from cxr.registry.card import Card, InputCheckRecord, ModelDraft
from cxr.registry.recipe import Recipe
from cxr.registry.shapes import expected_shapes

if TYPE_CHECKING:
    from cxr.inference.classifier import Classifier
    from cxr.inference.input_check.detector import InputCheck

CLASSES = ("normal", "bacterial", "viral")
TABLE = "dataset,path,label,role,p_normal,p_bacterial,p_viral\nfilms,a.png,viral,test,0.1,0.2,0.7\n"

Arrays = dict[str, NDArray[Any]]
StoreModel = Callable[..., Card]
MakeInputCheck = Callable[..., "tuple[InputCheck, InputCheckRecord]"]
MakeClassifier = Callable[..., "Classifier"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CXR_HOME", str(tmp_path))
    return tmp_path


def small_recipe(size_px: int = 32, backbone: str = "tiny", scale: str = "unit", **head: object) -> Recipe:
    """A recipe of a few filters on small images."""
    return Recipe.from_table(
        {
            "name": "tiny",
            "input": {"size_px": size_px, "scale": scale},
            "trunk": {"backbone": backbone, "weights": "none"},
            "head": head,
        }
    )


@pytest.fixture
def tiny_recipe() -> Callable[..., Recipe]:
    return small_recipe


@pytest.fixture
def draft() -> Callable[..., ModelDraft]:
    def make(name: str = "tiny", classes: tuple[str, ...] = CLASSES, **facts: Any) -> ModelDraft:
        return ModelDraft(name=name, classes=classes, **facts)

    return make


def random_arrays(recipe: Recipe, classes: int = len(CLASSES), seed: int = 0) -> Arrays:
    """Weights at random of the shapes that the recipe's network has; no network is built for them."""
    rng = np.random.default_rng(seed)
    return {
        path: np.asarray(rng.normal(0, 0.1, shape), np.float32)
        for path, shape in expected_shapes(recipe, classes).items()
    }


@pytest.fixture
def stored(home: Path, draft: Callable[..., ModelDraft], tiny_recipe: Callable[..., Recipe]) -> StoreModel:
    """Stores a model with weights at random, without TensorFlow; arrays that are given replace its own."""

    def make(name: str = "tiny", **arrays: Any) -> Card:
        given = {path: np.asarray(array, np.float32) for path, array in arrays.items()}
        recipe = tiny_recipe()
        return registry.store(registry.NewModel(draft(name), recipe, random_arrays(recipe) | given, TABLE))

    return make


def random_input_check(features: int = 40, seed: int = 0) -> tuple[InputCheck, InputCheckRecord]:
    """An input check for so many features, trained on numbers at random, and its record."""
    from cxr.inference.input_check.detector import InputCheck
    from cxr.inference.input_check.training_data import InputCheckExamples

    rng = np.random.default_rng(seed)
    kinds = np.repeat(["frontal", "not-a-chest-xray", "inverted"], 20)
    images = rng.normal(size=(60, features)) + 3 * rng.normal(size=(3, features)).repeat(20, axis=0)
    examples = InputCheckExamples(images.astype(np.float32), kinds, images[:20].astype(np.float32), 20)
    check = InputCheck.fit(examples)
    return check, check.record(examples)


@pytest.fixture
def make_input_check() -> MakeInputCheck:
    return random_input_check


@pytest.fixture
def stored_with_input_check(stored: StoreModel, make_input_check: MakeInputCheck) -> StoreModel:
    """Stores such a model with an input check."""

    def make(name: str = "tiny") -> Card:
        stored(name)
        check, record = make_input_check()
        return registry.attach_input_check(name, check.arrays(), record, None)

    return make


@pytest.fixture
def film() -> Film:
    return phantom_film("bacterial", 1)


@pytest.fixture
def films() -> list[Film]:
    return [phantom_film(("normal", "viral", "bacterial")[seed % 3], seed) for seed in range(7)]


def phantom_film(finding: str, seed: int) -> Film:
    """A synthetic X-ray of 96 pixels."""
    return Film(pixels=draw_phantom(finding, seed, 96).pixels, format="PNG", bits=8)


@pytest.fixture
def make_classifier(tiny_recipe: Callable[..., Recipe], draft: Callable[..., ModelDraft]) -> MakeClassifier:
    """A classifier with fresh weights that was never stored."""
    from cxr.inference.classifier import Classifier
    from cxr.learning.network import build

    def make(
        recipe: Recipe | None = None, classes: tuple[str, ...] = CLASSES, precision: str = "float32", **facts: Any
    ) -> Classifier:
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


def model_folders(home: Path) -> list[str]:
    """Names of all folders among the models, hidden ones too."""
    return sorted(path.name for path in (home / "models").iterdir() if path.is_dir())
