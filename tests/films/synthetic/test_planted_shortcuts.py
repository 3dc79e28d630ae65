"""Planted shortcuts: where they are drawn, and into which films."""

import csv

import numpy as np
import pytest
from PIL import Image

from cxr.core.errors import DatasetError
from cxr.films.synthetic.phantom import draw_phantom, draw_phantom_set
from cxr.films.synthetic.planted_shortcuts import PLANTED_SHORTCUTS, with_planted_shortcut


@pytest.mark.parametrize("plant", ["corner", "border"])
def test_a_plant_is_outside_of_the_lungs(plant):
    phantom = draw_phantom("covid19", 3, 96)
    changed = with_planted_shortcut(phantom.pixels, plant) != phantom.pixels
    assert changed.any() and not (changed & phantom.lungs).any()


def test_a_corner_is_marked_at_the_bottom_left():
    changed = with_planted_shortcut(np.zeros((100, 100), np.uint8), "corner") > 0
    assert changed[90:98, 2:10].all() and changed.sum() == 64


def test_a_border_goes_all_the_way_around():
    changed = with_planted_shortcut(np.zeros((100, 100), np.uint8), "border") > 0
    assert not changed[2:-2, 2:-2].any() and changed.sum() == 100**2 - 96**2


def test_brightness_lifts_every_grey_and_stops_at_white():
    assert with_planted_shortcut(np.array([[0, 100], [220, 255]], np.uint8), "brightness").tolist() == [
        [45, 145],
        [255, 255],
    ]


@pytest.mark.parametrize("plant", PLANTED_SHORTCUTS)
def test_films_with_a_finding_have_the_plant_and_normal_ones_do_not(tmp_path, plant):
    plain = draw_phantom_set(tmp_path / "plain", 8, size_px=32).parent
    with_plant = draw_phantom_set(tmp_path / "with", 8, size_px=32, plant=plant).parent
    for row in csv.DictReader((with_plant / "manifest.csv").read_text().splitlines()):
        before, after = (np.asarray(Image.open(folder / row["path"])) for folder in (plain, with_plant))
        assert np.array_equal(after, before if row["label"] == "normal" else with_planted_shortcut(before, plant))


def test_a_plant_that_does_not_exist_is_refused_before_anything_is_drawn(tmp_path):
    with pytest.raises(DatasetError, match="corner, border, brightness"):
        draw_phantom_set(tmp_path / "set", 8, plant="ivy")
    assert not (tmp_path / "set").exists()
