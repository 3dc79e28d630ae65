"""The margin: left out where a film is read and not where it is trained on, and put back around a heatmap."""

import numpy as np
import pytest
from PIL import Image

from cxr.errors import RecipeError
from cxr.learning.margin import Margin, frame
from cxr.learning.network import build
from cxr.learning.recipe import Recipe
from tests.conftest import tiny_recipe

SIXTEENTH = 1 / 16
FRESH = {"rotation_deg": 1.0}


def film(side=32):
    return np.random.default_rng(0).uniform(0, 255, (1, side, side, 1)).astype(np.float32)


def read(share, x):
    return np.asarray(Margin(share)(x, training=False))


def test_what_is_read_is_the_middle_of_the_film_enlarged():
    x = film()
    middle = Image.fromarray(x[0, 2:30, 2:30, 0])
    wanted = np.asarray(middle.resize((32, 32), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(read(SIXTEENTH, x)[0, ..., 0], wanted, atol=1e-3)


def test_training_is_shown_the_film_as_it_is():
    x = film()
    assert np.array_equal(Margin(SIXTEENTH)(x, training=True), x)


def test_what_lies_in_the_margin_alone_changes_no_answer():
    network = build(tiny_recipe(input={"size_px": 32, "margin": 0.125}, augmentation=FRESH), 2)
    one = film()
    other = one.copy()
    other[:, :4], other[:, -4:], other[:, :, :4], other[:, :, -4:] = 0, 255, 255, 0
    first, second = (np.asarray(network.model(x, training=False)) for x in (one, other))
    np.testing.assert_array_equal(first, second)
    other[:, 4] = 255
    assert not np.array_equal(first, network.model(other, training=False))


def test_a_map_lies_in_the_middle_of_the_whole_film():
    framed = frame(14, SIXTEENTH) @ np.ones((14, 14)) @ frame(14, SIXTEENTH).T
    assert framed.shape == (16, 16)
    assert np.array_equal(framed, np.pad(np.ones((14, 14)), 1))


@pytest.mark.parametrize(("cells", "share"), [(14, SIXTEENTH), (8, SIXTEENTH), (7, 0.1), (224, SIXTEENTH), (5, 0.25)])
def test_a_spot_is_put_back_where_it_was(cells, share):
    spots = np.eye(cells)
    put = frame(cells, share) @ spots
    middles = (np.arange(len(put)) + 0.5) / len(put)
    inner = share + (np.arange(cells) + 0.5) / cells * (1 - 2 * share)
    found = middles @ put / put.sum(axis=0)
    assert np.abs(found - inner).max() < 0.5 / len(put)


def test_without_a_margin_there_is_nothing_to_put_around_a_map():
    network, x = build(tiny_recipe(), 2), film()
    assert network.frame(8) is None and network.shown(x) is x


@pytest.mark.parametrize("training", [{"views": 2}, {}])
def test_a_margin_goes_with_fresh_views(training):
    augmentation = FRESH if training else {}
    with pytest.raises(RecipeError, match=r"input\.margin goes with augmentation and training\.views = 0"):
        Recipe.from_table({"input": {"margin": 0.1}, "training": training, "augmentation": augmentation})
