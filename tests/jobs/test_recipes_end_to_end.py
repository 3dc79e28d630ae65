"""Every recipe that comes with the library trains to a model that reads films, made small but by the same way."""

import pytest

from cxr.datasets.dataset import Dataset
from cxr.registry import registry
from cxr.registry.recipe import Recipe, built_in_names
from tests.support.training import carry_out

SMALL = (
    "trunk.weights=none",
    "input.size_px=32",
    "data.draw={}",
    "training.epochs=1",
    "training.batch=8",
    "training.steps_per_epoch=2",
    "training.precision=float32",
)


def made_small(name):
    """The recipe with little to compute; its kind of trunk, head, optimiser and augmentation stays."""
    full = Recipe.read(name)
    more = [f"training.views={min(full.training.views, 2)}"]
    if full.head.dense:
        more.append(f"head.dense={[8] * len(full.head.dense)}")
    return Recipe.read(name, [*SMALL, *more])


@pytest.mark.parametrize("name", built_in_names())
def test_a_built_in_recipe_trains_to_a_model_that_reads_films(home, phantoms, name):
    recipe = made_small(name)
    run = carry_out(recipe, [phantoms], name)
    assert run.status.state == "finished" and run.status.model == name
    assert len(run.history()) == 1
    card = registry.get_card(name)
    assert (card.recipe, card.classes) == (name, tuple(recipe.data.classes) or card.classes)
    assert card.results["test"]["n"] > 0
    prediction = registry.load(name, "float32").read(Dataset.open(phantoms).read(1))
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert prediction.decision in card.classes
