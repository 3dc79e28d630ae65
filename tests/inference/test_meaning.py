"""A heatmap means something: a model that learnt looks at the drawn opacity, one with random weights does not."""

import numpy as np
import pytest

from cxr.core.paths import weights_dirs
from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom, draw_phantom_set
from cxr.inference.classifier import Classifier
from cxr.presentation.overlay import upscale
from cxr.registry import registry
from cxr.registry.recipe import Recipe
from tests.support.training import carry_out

SIZE_PX = 128
RECIPE = {
    "name": "meaning",
    "input": {"size_px": SIZE_PX},
    "trunk": {"backbone": "vgg16", "weights": "imagenet", "train": "head"},
    "optimiser": {"rate": 3e-3},
    "training": {"epochs": 80, "batch": 16, "precision": "float32"},
}


def looks(classifier, phantoms):
    """Shares of films whose peak lies in the opacity, and whose lungs are hotter in the opacity than beside it."""
    hits, hotter = [], []
    for phantom in phantoms:
        film = Film(pixels=phantom.pixels, format="PNG", bits=8)
        heat = upscale(classifier.read(film).heatmap(phantom.finding), SIZE_PX, SIZE_PX)
        hits.append(phantom.opacity.flat[heat.argmax()])
        hotter.append(heat[phantom.opacity].mean() > heat[phantom.lungs & ~phantom.opacity].mean())
    return np.mean(hits), np.mean(hotter)


@pytest.mark.skipif(
    not any((folder / "vgg16_notop.weights.h5").exists() for folder in weights_dirs()),
    reason="VGG16's starting weights are not in weights/; a trunk of a few filters learns shortcuts and looks anywhere",
)
def test_the_heatmap_of_a_model_that_learnt_peaks_in_the_opacity(home, tmp_path):
    from cxr.learning.network import build

    draw_phantom_set(tmp_path / "films", 240, size_px=SIZE_PX)
    recipe = Recipe.from_table(RECIPE)
    carry_out(recipe, [tmp_path / "films"], "meaning")
    learnt = registry.load("meaning", "float32")
    assert learnt.card.results["test"]["binary"]["auc"] > 0.85
    blank = Classifier(build(recipe, len(learnt.classes), "float32"), recipe, learnt.card)

    phantoms = [draw_phantom("bacterial", 10_000 + seed, SIZE_PX) for seed in range(40)]
    chance = np.mean([phantom.opacity.mean() for phantom in phantoms])
    hits, hotter = looks(learnt, phantoms)
    blank_hits, blank_hotter = looks(blank, phantoms)
    said = (
        f"hits {hits:.2f}, chance {chance:.2f}, blank {blank_hits:.2f}; hotter {hotter:.2f}, blank {blank_hotter:.2f}"
    )
    assert hits > 3 * chance and hits > 3 * blank_hits, said
    assert hotter > 0.8 and hotter > blank_hotter, said
