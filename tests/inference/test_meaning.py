"""Heatmaps mean something: those of a trained model peak in the synthetic opacity, those of random weights do not."""

import numpy as np
import pytest

from cxr.core.paths import weights_dirs
from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom, draw_phantom_set
from cxr.inference.classifier import Classifier
from cxr.inference.loading import load_classifier
from cxr.presentation.overlay import upscale
from cxr.registry.recipe import Recipe
from tests.support.training import WITHOUT_INPUT_CHECK, carry_out

SIZE_PX = 128
RECIPE = {
    "name": "meaning",
    "input": {"size_px": SIZE_PX},
    "trunk": {"backbone": "vgg16", "weights": "imagenet", "train": "head"},
    "optimiser": {"rate": 3e-3},
    "training": {"epochs": 80, "batch": 16, "precision": "float32"},
}


def heatmap_scores(classifier, phantoms):
    """Shares of films whose peak lies in the opacity, and whose lungs are hotter in the opacity than beside it."""
    hits, hotter = [], []
    for phantom in phantoms:
        film = Film(pixels=phantom.pixels, format="PNG", bits=8)
        heatmap = upscale(classifier.read(film).heatmap(phantom.finding), SIZE_PX, SIZE_PX)
        hits.append(phantom.opacity.flat[heatmap.argmax()])
        hotter.append(heatmap[phantom.opacity].mean() > heatmap[phantom.lungs & ~phantom.opacity].mean())
    return np.mean(hits), np.mean(hotter)


@pytest.mark.skipif(
    not any((folder / "vgg16_notop.weights.h5").exists() for folder in weights_dirs()),
    reason="VGG16's starting weights are not in weights/; a backbone of a few filters learns shortcuts",
)
def test_the_heatmap_of_a_trained_model_peaks_in_the_opacity(home, tmp_path):
    from cxr.learning.network import build

    draw_phantom_set(tmp_path / "films", 240, size_px=SIZE_PX)
    recipe = Recipe.from_table(RECIPE)
    carry_out(recipe, [tmp_path / "films"], "meaning", stages=WITHOUT_INPUT_CHECK)
    trained = load_classifier("meaning", "float32")
    test = trained.card.results.test
    assert test and test.binary and test.binary.auc  # noqa: PT018
    assert test.binary.auc > 0.85
    random_weights = Classifier(build(recipe, len(trained.classes), "float32"), recipe, trained.card)

    phantoms = [draw_phantom("bacterial", 10_000 + seed, SIZE_PX) for seed in range(40)]
    chance = np.mean([phantom.opacity.mean() for phantom in phantoms])
    hits, hotter = heatmap_scores(trained, phantoms)
    blank_hits, blank_hotter = heatmap_scores(random_weights, phantoms)
    summary = (
        f"hits {hits:.2f}, chance {chance:.2f}, blank {blank_hits:.2f}; hotter {hotter:.2f}, blank {blank_hotter:.2f}"
    )
    assert hits > 3 * max(chance, blank_hits), summary
    assert hotter > max(0.8, blank_hotter), summary
