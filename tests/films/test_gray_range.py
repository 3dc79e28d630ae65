"""Images of more than 8 bits: percentiles become black and white, so that a few pixels decide nothing."""

from collections.abc import Callable

import numpy as np
import pytest

from cxr.films.film import Film
from cxr.films.film_warning import FilmWarning
from cxr.films.gray_range import GrayRange, contrast, counted_range
from cxr.films.synthetic.phantom import draw_phantom
from tests.support.file_seeds import dataset_of, saved, written

CLEAN = 1000 + draw_phantom("normal", 1, 400).pixels.astype(np.uint16) * 100


def dicom(stored: np.ndarray) -> bytes:
    return written(dataset_of(stored, 16))


def png(stored: np.ndarray) -> bytes:
    return saved(stored, "PNG")


def tiff(stored: np.ndarray) -> bytes:
    return saved(stored, "TIFF")


def wide_tiff(stored: np.ndarray) -> bytes:
    return saved(stored.astype(np.int32), "TIFF")


def float_tiff(stored: np.ndarray) -> bytes:
    return saved(stored.astype(np.float32), "TIFF")


FORMATS = pytest.mark.parametrize("packed", [dicom, png, tiff, wide_tiff, float_tiff])


def changed(share: float, value: int) -> np.ndarray:
    """The clean image with this share of its pixels, spread evenly, set to a value."""
    stored = CLEAN.copy()
    count = max(1, round(share * stored.size))
    stored.ravel()[np.linspace(0, stored.size - 1, count).astype(int)] = value
    return stored


@FORMATS
def test_one_pixel_a_quarter_brighter_moves_no_other_by_more_than_a_level(packed: Callable[..., bytes]) -> None:
    hot = CLEAN.copy()
    hot[200, 200] = round(1.25 * CLEAN.max())
    moved = np.abs(Film.read(packed(hot)).pixels.astype(int) - Film.read(packed(CLEAN)).pixels)
    moved[200, 200] = 0
    assert moved.max() <= 1


@FORMATS
def test_hot_and_dead_pixels_and_thin_borders_move_no_other_by_more_than_a_few_levels(
    packed: Callable[..., bytes],
) -> None:
    clean = Film.read(packed(CLEAN)).pixels.astype(int)
    for stored in (changed(0.001, 65535), changed(0.001, 0)):
        moved = np.abs(Film.read(packed(stored)).pixels.astype(int) - clean)[stored == CLEAN]
        assert moved.max() <= 8


@FORMATS
@pytest.mark.parametrize("value", [0, 65535])
def test_a_border_moves_no_pixel_inside(packed: Callable[..., bytes], value: int) -> None:
    stored = np.full_like(CLEAN, value)
    stored[20:-20, 20:-20] = CLEAN[20:-20, 20:-20]
    inside = Film.read(packed(stored)).pixels[20:-20, 20:-20]
    assert np.array_equal(inside, Film.read(packed(CLEAN)).pixels[20:-20, 20:-20])


@FORMATS
def test_every_format_reads_the_same_values_alike(packed: Callable[..., bytes]) -> None:
    assert np.array_equal(Film.read(packed(CLEAN)).pixels, Film.read(dicom(CLEAN)).pixels)


@FORMATS
def test_long_tails_get_a_warning_and_a_clean_image_none(packed: Callable[..., bytes]) -> None:
    assert FilmWarning.LONG_TAILS not in Film.read(packed(CLEAN)).warnings
    assert FilmWarning.LONG_TAILS in Film.read(packed(changed(0.001, 65535))).warnings


def test_eight_bits_are_never_stretched() -> None:
    gray = (draw_phantom("normal", 1, 400).pixels // 2).astype(np.uint8)
    gray[3, 3] = 255
    for data in (saved(gray, "PNG"), saved(gray, "TIFF"), written(dataset_of(gray, 8))):
        film = Film.read(data)
        assert np.array_equal(film.pixels, gray)
        assert film.warnings == ()


def test_the_range_excludes_half_a_percent_at_each_end_and_mirrors_with_the_values() -> None:
    values, counts = np.arange(1000.0), np.ones(1000, np.int64)
    assert counted_range(values, counts) == GrayRange(5, 994, has_long_tails=False)
    assert counted_range(-values, counts) == GrayRange(-994, -5, has_long_tails=False)
    assert counted_range(values[::-1], counts) == GrayRange(5, 994, has_long_tails=False)


def test_an_image_almost_all_of_one_value_shows_its_whole_range() -> None:
    values, counts = np.array([10.0, 20.0, 30.0]), np.array([1, 1, 10_000])
    assert counted_range(values, counts) == GrayRange(10, 30, has_long_tails=False)
    assert counted_range(np.array([]), np.array([], np.int64)) == GrayRange(0, 0, has_long_tails=False)


@FORMATS
def test_a_nearly_black_image_with_a_word_on_it_keeps_the_word(packed: Callable[..., bytes]) -> None:
    stored = np.zeros((300, 300), np.uint16)
    stored[100:104, 100:110] = 4000
    film = Film.read(packed(stored))
    assert set(np.unique(film.pixels)) == {0, 255}


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 67), (512, 400)])
@pytest.mark.parametrize("levels", [1, 2, 40, 256])
def test_the_contrast_is_the_distance_of_numpy_s_percentiles(shape: tuple[int, int], levels: int) -> None:
    pixels = np.random.default_rng(levels).integers(0, levels, shape).astype(np.uint8)
    dark, bright = np.percentile(pixels, (1, 99))
    assert contrast(pixels) == pytest.approx(bright - dark)
    assert contrast(pixels[::2, ::3]) == pytest.approx(np.subtract(*np.percentile(pixels[::2, ::3], (99, 1))))
