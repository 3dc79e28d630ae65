"""The preview shows what the training will show."""

import numpy as np
import pytest

from cxr.datasets.dataset import Dataset
from cxr.learning.augmentation import augment, view_rng
from cxr.learning.augmentation_preview import preview_films
from cxr.learning.features import pixel_table
from cxr.learning.film_selection import select
from tests.support.training import tiny_recipe


@pytest.fixture
def recipe():
    return tiny_recipe(augmentation={"noise": 20, "rotation_deg": 15})


@pytest.fixture
def dataset(phantoms, recipe, home):
    return select(recipe, Dataset.open(phantoms))[0]


def test_there_are_four_films_of_as_many_labels_all_trained_on(dataset):
    assert sorted(one.label for one in preview_films(dataset, 32)) == ["bacterial", "covid19", "normal", "viral"]


def test_a_view_is_the_one_that_the_training_makes(dataset, recipe):
    pixels = pixel_table(dataset, 32, lambda *_: None)
    for one in preview_films(dataset, 32):
        i = pixels.digests.index(one.digest)
        assert dataset.table["role"].iloc[i] == "train"
        trained = augment(pixels.table.take(np.array(i)), recipe.augmentation, view_rng(0, one.digest, 3))
        assert np.array_equal(one.view(recipe, 3), trained)
        assert not np.array_equal(one.view(recipe, 3), one.view(recipe, 4))
        goes_on = tiny_recipe(augmentation={"noise": 20, "rotation_deg": 15}, trunk={"weights": "shelf:first"})
        assert not np.array_equal(one.view(recipe, 3), one.view(goes_on, 3))


def test_films_that_cannot_be_read_are_passed_over(dataset):
    path = dataset.table["path"].to_numpy(object).copy()
    path[:150] = "manifest.csv"
    found = preview_films(dataset.with_column("path", path), 32)
    assert 0 < len(found) <= 4
