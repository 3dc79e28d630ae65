import sys
from subprocess import run

import numpy as np
import pytest

from cxr.presentation.overlay import apply_colormap, describe_peak, overlay, upscale


def gray_film(height_px=60, width_px=40):
    return np.random.default_rng(0).integers(0, 256, (height_px, width_px), dtype=np.uint8)


def one_hot_cell(rows=7, columns=7, row=1, column=5):
    heatmap = np.zeros((rows, columns), np.float32)
    heatmap[row, column] = 1
    return heatmap


def test_the_picture_has_exactly_the_films_pixels():
    picture = overlay(gray_film(61, 37), one_hot_cell())
    assert picture.mode == "RGB"
    assert picture.size == (37, 61)


def test_no_heat_gives_back_the_gray_film():
    film = gray_film()
    picture = np.asarray(overlay(film, np.zeros((14, 14), np.float32), opacity=1.0))
    assert (picture == film[..., None]).all()


def test_the_film_is_unchanged_away_from_the_heatmap_s_peak():
    film = gray_film(70, 70)
    picture = np.asarray(overlay(film, one_hot_cell(), opacity=1.0))
    assert (picture[40:] == film[40:, :, None]).all()
    assert (picture[10:20, 50:60] != film[10:20, 50:60, None]).any(axis=2).all()


def test_a_full_heatmap_at_full_opacity_hides_the_film():
    picture = np.asarray(overlay(gray_film(), np.ones((3, 3)), opacity=1.0))
    assert (picture == apply_colormap(np.ones((1, 1)))[0, 0]).all()


def test_more_opacity_covers_more_of_the_film():
    film = np.full((20, 20), 40, np.uint8)
    faint, strong = (np.asarray(overlay(film, np.ones((2, 2)), each), float) for each in (0.2, 0.6))
    assert np.abs(strong - 40).mean() > 2 * np.abs(faint - 40).mean()


def test_the_overlay_is_where_the_heatmap_s_cell_is():
    heat = upscale(one_hot_cell(row=1, column=5), 140, 70)
    assert heat.dtype == np.float32
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 20 <= row < 40
    assert 50 <= column < 60


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (14, 14), (80, 90)])
def test_a_heatmap_of_any_size_is_scaled_to_the_film(shape):
    heat = upscale(np.full(shape, 0.5), 33, 47)
    assert heat.shape == (33, 47)
    assert np.allclose(heat, 0.5, atol=1e-5)


def test_heatmap_values_outside_of_0_to_1_are_clipped():
    heat = upscale(np.array([[-3.0, 0.0], [0.5, 7.0]]), 64, 64)
    assert heat.min() == 0
    assert heat.max() == 1
    assert (apply_colormap(np.array([[-1.0, 2.0]])) == apply_colormap(np.array([[0.0, 1.0]]))).all()


def test_colors_brighten_steadily_with_the_value():
    ramp = apply_colormap(np.linspace(0, 1, 256)[None])
    assert ramp.shape == (1, 256, 3)
    assert ramp.dtype == np.uint8
    light = ramp[0] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(light) > -0.5).all()
    assert light[0] < 10
    assert light[-1] > 230


def test_a_heatmap_in_half_precision_is_accepted():
    assert overlay(gray_film(), one_hot_cell().astype(np.float16)).size == (40, 60)


@pytest.mark.parametrize("film", [np.zeros((8, 8), np.float32), np.zeros((8, 8, 3), np.uint8)])
def test_a_film_that_is_not_gray_bytes_is_refused(film):
    with pytest.raises(ValueError, match="gray uint8"):
        overlay(film, one_hot_cell())


@pytest.mark.parametrize("heatmap", [np.zeros(5), np.zeros((2, 2, 1)), np.zeros((0, 4)), np.array([[0.0, np.nan]])])
def test_a_heatmap_with_a_wrong_shape_or_value_is_refused(heatmap):
    with pytest.raises(ValueError, match="heatmap"):
        overlay(gray_film(), heatmap)


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan")])
def test_an_opacity_outside_of_0_to_1_is_refused(opacity):
    with pytest.raises(ValueError, match="opacity"):
        overlay(gray_film(), one_hot_cell(), opacity)


def test_importing_the_module_does_not_import_plotly():
    script = "import sys, cxr.presentation.overlay; sys.exit('plotly' in sys.modules)"
    assert run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_peak_is_described_for_those_who_cannot_see_it():
    assert "upper right" in describe_peak(one_hot_cell())
    assert "center" in describe_peak(one_hot_cell(row=3, column=3))
    assert "blank" in describe_peak(np.zeros((3, 3), np.float32))
