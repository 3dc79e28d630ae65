"""What the probes see of a film, by hand."""

import numpy as np
import pytest

from cxr.evaluation.shortcuts.region_features import REGIONS, FilmWithLungs, region_features, thumbnail_features

LUNGS = np.zeros((64, 64), bool)
LUNGS[16:48, 16:48] = True  # with its margin, rows and columns 14 to 49


def looked(pixels, height_px=64, width_px=64):
    return FilmWithLungs(np.asarray(pixels, np.uint8), LUNGS, height_px, width_px)


def flat(grey=100):
    return np.full((64, 64), grey, np.uint8)


@pytest.mark.parametrize("name", REGIONS)
def test_no_probe_sees_the_lungs(name):
    inside = flat()
    inside[20:44, 20:44] = np.random.default_rng(0).integers(0, 255, (24, 24))
    assert np.array_equal(region_features(looked(inside), name), region_features(looked(flat()), name))


def test_a_thumbnail_is_the_mean_of_blocks():
    film = np.repeat(np.arange(64).reshape(8, 8), 8, axis=0).repeat(8, axis=1)
    assert thumbnail_features(film.astype(np.uint8)).tolist() == list(range(64))


def test_a_thumbnail_of_a_side_that_eight_does_not_divide_has_all_pixels():
    film = np.arange(100, dtype=np.uint8).reshape(10, 10)
    small = thumbnail_features(film).reshape(8, 8)
    assert small[0, 0] == film[0, 0]
    assert small[2, 0] == film[2:4, 0].mean()


def test_the_corners_are_those_of_the_film_less_the_mean_around_the_lungs():
    film = flat()
    film[:2, :2] = 200
    corners = region_features(looked(film), "corners").reshape(4, 4, 4)
    outside = 64**2 - 36**2
    lift = 4 * 100 / outside
    assert corners[0, 0, 0] == pytest.approx(100 - lift, abs=1e-3)
    assert np.delete(corners.ravel(), 0) == pytest.approx(-lift, abs=1e-3)


def test_the_border_is_seen_ring_by_ring():
    film = flat()
    film[0], film[:, -1] = 110, 110
    rings = region_features(looked(film), "border").reshape(4, 4, 2)  # ring, top bottom left right, mean and spread
    base = rings[1, 0, 0]
    assert rings[0, :, 0] - base == pytest.approx([10, 10 / 64, 10 / 64, 10], abs=1e-4)
    assert rings[0, 0, 1] == 0
    assert rings[1:, :, 1] == pytest.approx(0)


def test_brightness_is_mean_spread_and_percentiles():
    film = flat(100)
    film[:, :32] = 50
    assert region_features(looked(film), "brightness") == pytest.approx([75, 25, 50, 50, 50, 75, 100, 100, 100])


def test_a_blurred_film_is_less_sharp():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64))
    smooth = np.convolve(noise.ravel(), np.ones(9) / 9, mode="same").reshape(64, 64)
    assert (region_features(looked(smooth), "sharpness") < region_features(looked(noise), "sharpness")).all()
    assert region_features(looked(flat()), "sharpness") == pytest.approx(0)


def test_the_shape_is_the_files_own():
    assert np.exp(region_features(looked(flat(), 300, 600), "shape")) == pytest.approx([300, 600, 2])
