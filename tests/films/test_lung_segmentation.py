"""The lungs that the program outlines by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr.datasets.dataset import Dataset
from cxr.films.film import Film
from cxr.films.lung_segmentation import CHANNELS, SIDE_PX, WEIGHTS, lung_mask, network_input, unet

HELD_OUT_DICE = 0.90  # of bench/lung_segmenter.py's test X-rays; their mean is 0.95


def dice(found, lungs) -> float:
    return 2 * float((found & lungs).sum()) / float(found.sum() + lungs.sum())


def test_the_weights_are_few_finite_and_in_the_package() -> None:
    with np.load(WEIGHTS, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    assert WEIGHTS.stat().st_size < 300_000
    assert sum(array.size for array in arrays.values()) == pytest.approx(123_000, rel=0.01)
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_the_network_is_the_one_that_keras_trains() -> None:
    """The weights of a small network with random batch normalization, folded, give what Keras gives."""
    from bench.lung_segmenter import build, folded

    model = build()
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name.endswith("-norm"):
            layer.set_weights([rng.uniform(0.5, 1.5, array.shape) for array in layer.get_weights()])
    image = rng.uniform(-0.5, 0.5, (SIDE_PX, SIDE_PX, 1)).astype(np.float32)
    expected = np.asarray(model(image[None], training=False))[0]
    assert np.abs(unet(image, folded(model)) - expected).max() < 1e-3
    assert len({layer.name for layer in model.layers if layer.name.startswith("down")}) == 4 * len(CHANNELS)


def test_the_lungs_of_outlined_xrays_are_found(films: Path) -> None:
    dataset = Dataset.open(films / "covid-chestxray")
    outlines = sorted((films / "covid-chestxray" / "lung-masks").iterdir())[::20]
    places = {Path(str(path)).stem: i for i, path in enumerate(dataset.table["path"])}
    scores = []
    for outline in outlines:
        film = dataset.read(places[outline.stem])
        found = lung_mask(film.pixels)
        assert found is not None
        assert found.shape == film.pixels.shape
        scores.append(dice(found, np.asarray(Film.read(outline).pixels) > 127))
    assert np.mean(scores) > HELD_OUT_DICE


def test_the_lungs_of_children_are_found_though_it_was_trained_on_adults(films: Path) -> None:
    dataset = Dataset.open(films / "kermany")
    found = [lung_mask(dataset.read(i).pixels) for i in range(0, len(dataset), len(dataset) // 25)]
    areas = [mask.mean() for mask in found if mask is not None]
    assert len(areas) >= 0.95 * len(found)
    assert 0.15 < np.median(areas) < 0.40


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (224, 224)])
@pytest.mark.parametrize("gray", [0, 128, 255])
def test_an_image_without_anything_has_no_lungs(shape: tuple[int, int], gray: int) -> None:
    assert lung_mask(np.full(shape, gray, np.uint8)) is None


def test_the_same_lungs_are_found_at_another_size_and_contrast(films: Path) -> None:
    pixels = Dataset.open(films / "kermany").read(0).pixels
    first = lung_mask(pixels)
    assert first is not None
    large = np.asarray(Image.fromarray(pixels).resize((640, 640), Image.Resampling.BICUBIC))
    flat = (60 + pixels * 0.5).astype(np.uint8)
    for other in (large, flat):
        found = lung_mask(other)
        assert found is not None
        same = np.asarray(Image.fromarray(found).resize(first.shape[::-1]))
        assert dice(first, same) > 0.95
    assert network_input(pixels).dtype == np.float32
