"""Every built-in recipe trains to a model that reads films: in full, but on few and small images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cxr.datasets.dataset import Dataset
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.inference.loading import load_classifier
from cxr.registry import registry
from cxr.registry.recipe import Recipe, built_in_names
from tests.support.training import WITHOUT_INPUT_CHECK, carry_out

NOT_DRAWN = "tuberculosis"  # no synthetic X-ray shows it
SMALL = (
    "trunk.weights=none",
    "input.size_px=32",
    "data.draw={}",
    "data.validation=0.3",
    "training.epochs=1",
    "training.batch=8",
    "training.steps_per_epoch=1",
    "training.precision=float32",
)


@pytest.fixture(scope="module")
def few_films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 48 synthetic films."""
    folder = tmp_path_factory.mktemp("few") / "phantoms"
    draw_phantom_set(folder, 48, size_px=48)
    return folder


def made_small(name: str) -> Recipe:
    """The recipe with little to compute; its backbone, kind of head, optimizer and augmentation stay."""
    full = Recipe.read(name)
    more = [f"training.views={min(full.training.views, 2)}"]
    if NOT_DRAWN in full.data.classes:
        more.append(f"data.classes={json.dumps([label for label in full.data.classes if label != NOT_DRAWN])}")
    if full.head.dense:
        more.append(f"head.dense={[8] * len(full.head.dense)}")
    return Recipe.read(name, [*SMALL, *more])


@pytest.mark.parametrize("name", built_in_names())
def test_a_built_in_recipe_trains_to_a_model_that_reads_films(home: Path, few_films: Path, name: str) -> None:
    recipe = made_small(name)
    run = carry_out(recipe, [few_films], name, WITHOUT_INPUT_CHECK)  # the input check is the same for all recipes
    assert (run.status.state, run.status.model) == ("finished", name)
    assert len(run.history()) == 1
    card = registry.get_card(name)
    assert (card.recipe, card.classes) == (name, tuple(recipe.data.classes) or card.classes)
    assert card.results.test is not None
    assert card.results.test.n > 0
    prediction = load_classifier(name, "float32").read(Dataset.open(few_films).read(1))
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert prediction.decision in card.classes
