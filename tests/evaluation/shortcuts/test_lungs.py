"""Where the lungs are, and what hiding them leaves."""

import shutil

import numpy as np
import pytest
from PIL import Image

from cxr.datasets.dataset import Dataset
from cxr.evaluation.shortcuts.lungs import (
    bounding_rectangle,
    lung_box,
    lung_outline,
    lungs_masked,
    lungs_only,
    share_inside,
)

LUNGS = np.zeros((20, 20), bool)
LUNGS[5:10, 6:8] = LUNGS[6:12, 12:14] = True


def test_an_outline_is_the_one_that_the_manifest_names(phantoms):
    dataset = Dataset.open(phantoms)
    drawn = np.asarray(Image.open(phantoms / dataset.table["lungs"].iat[3])) > 127
    outline = lung_outline(dataset, 3, 64)
    assert outline is not None
    assert np.array_equal(outline, drawn)


def test_an_outline_lies_beside_the_films_under_the_same_stem(phantoms, tmp_path):
    for place in ("images/normal", "images/viral", "lung-masks"):
        (tmp_path / place).mkdir(parents=True)
    shutil.copy(phantoms / "images/phantom-00000.png", tmp_path / "images/normal/a.png")
    shutil.copy(phantoms / "images/phantom-00002.png", tmp_path / "images/viral/b.png")
    shutil.copy(phantoms / "masks/phantom-00000-lungs.png", tmp_path / "lung-masks/a.png")
    (tmp_path / "manifest.csv").write_text("path,label\nimages/normal/a.png,normal\nimages/viral/b.png,viral\n")
    dataset = Dataset.open(tmp_path)
    outline = lung_outline(dataset, 0, 64)
    assert outline is not None
    assert outline.sum() == (np.asarray(Image.open(tmp_path / "lung-masks/a.png")) > 127).sum()
    assert lung_outline(dataset, 1, 64) is None


def test_an_empty_outline_is_none(phantoms, tmp_path):
    shutil.copytree(phantoms, tmp_path / "copy")
    dataset = Dataset.open(tmp_path / "copy")
    Image.new("L", (64, 64)).save(tmp_path / "copy" / dataset.table["lungs"].iat[0])
    assert lung_outline(dataset, 0, 64) is None


def test_the_box_has_its_place_in_parts_of_the_film():
    assert lung_box(100)[5:90, 8:92].all()
    assert lung_box(100).sum() == 85 * 84


def test_what_is_hidden_is_the_rectangle_around_the_lungs_with_a_margin():
    hidden = bounding_rectangle(LUNGS)  # 3 % of 20 pixels are one
    assert hidden[4:13, 5:15].all()
    assert hidden.sum() == 9 * 10


def test_with_the_lungs_hidden_nothing_in_them_can_be_seen():
    rng = np.random.default_rng(0)
    one = rng.integers(0, 255, (20, 20)).astype(np.uint8)
    other = np.where(LUNGS, 255 - one, one).astype(np.uint8)
    assert np.array_equal(lungs_masked(one, LUNGS), lungs_masked(other, LUNGS))
    assert np.array_equal(lungs_masked(one, LUNGS)[~bounding_rectangle(LUNGS)], one[~bounding_rectangle(LUNGS)])


def test_of_the_lungs_alone_nothing_else_can_be_seen():
    rng = np.random.default_rng(0)
    one = rng.integers(0, 255, (20, 20)).astype(np.uint8)
    other = np.where(LUNGS, one, 255 - one).astype(np.uint8)
    assert np.array_equal(lungs_only(one, LUNGS), lungs_only(other, LUNGS))
    assert np.array_equal(lungs_only(one, LUNGS)[LUNGS], one[LUNGS])


def test_the_share_of_heat_in_the_lungs_is_counted_by_its_strength():
    heat = np.zeros((20, 20))
    heat[6, 6], heat[0, 0] = 3, 1
    assert share_inside(heat, LUNGS) == pytest.approx(0.75)
    assert share_inside(np.ones((20, 20)), LUNGS) == pytest.approx(22 / 400)
    assert np.isnan(share_inside(np.zeros((20, 20)), LUNGS))
