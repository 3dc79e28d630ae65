"""Planted shortcuts: where they are drawn, and in which films."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr.films.synthetic.flaws import Flaws
from cxr.films.synthetic.phantom import draw_phantom, draw_phantom_set
from cxr.films.synthetic.planted_shortcuts import PLANTED_SHORTCUTS, with_planted_shortcut
from tests.support.datasets import raises_code


@pytest.mark.parametrize("shortcut", ["corner", "border"])
def test_a_shortcut_is_outside_the_lungs(shortcut: str) -> None:
    phantom = draw_phantom("covid19", 3, 96)
    changed = with_planted_shortcut(phantom.pixels, shortcut) != phantom.pixels
    assert changed.any()
    assert not (changed & phantom.lungs).any()


def test_a_corner_is_marked_at_the_bottom_left() -> None:
    changed = with_planted_shortcut(np.zeros((100, 100), np.uint8), "corner") > 0
    assert changed[90:98, 2:10].all()
    assert changed.sum() == 64


def test_a_border_goes_all_the_way_around() -> None:
    changed = with_planted_shortcut(np.zeros((100, 100), np.uint8), "border") > 0
    assert not changed[2:-2, 2:-2].any()
    assert changed.sum() == 100**2 - 96**2


def test_brightness_raises_every_gray_level_up_to_white() -> None:
    assert with_planted_shortcut(np.array([[0, 100], [220, 255]], np.uint8), "brightness").tolist() == [
        [45, 145],
        [255, 255],
    ]


@pytest.mark.parametrize("shortcut", PLANTED_SHORTCUTS)
def test_films_with_a_finding_have_the_shortcut_and_normal_ones_do_not(tmp_path: Path, shortcut: str) -> None:
    plain = draw_phantom_set(tmp_path / "plain", 8, size_px=32).parent
    planted = draw_phantom_set(tmp_path / "with", 8, size_px=32, flaws=Flaws(shortcut)).parent
    for row in csv.DictReader((planted / "manifest.csv").read_text().splitlines()):
        before, after = (np.asarray(Image.open(folder / row["path"])) for folder in (plain, planted))
        assert np.array_equal(after, before if row["label"] == "normal" else with_planted_shortcut(before, shortcut))


def test_an_unknown_shortcut_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with raises_code("dataset.unknown-shortcut"):
        draw_phantom_set(tmp_path / "set", 8, flaws=Flaws("ivy"))
    assert not (tmp_path / "set").exists()
