import numpy as np
import pytest

from cxr.films.synthetic.phantom import draw_phantom
from cxr.learning.augmentation import AUGMENTATION, augment, view_rng
from cxr.registry.recipe_sections import AugmentationSettings

KNOBS = {
    "rotation_deg": 20,
    "shift_x": 0.2,
    "shift_y": 0.2,
    "shear_deg": 20,
    "zoom": 0.3,
    "crop_area": 0.5,
    "crop_aspect": 1.5,
    "flip_horizontal": True,
    "flip_vertical": True,
    "channel_shift": 30,
    "brightness": 0.3,
    "contrast": 0.4,
    "gamma": 0.5,
    "tone": 0.6,
    "equalise": 0.8,
    "random_filter": 1,
    "blur_px": 2,
    "sharpen": 1.5,
    "coarsen": 0.6,
    "noise": 12,
    "hide": 0.4,
    "border": 0.1,
    "corners": 0.3,
}
# The mean change of a pixel by each knob alone in version 1 of the views: whoever changes what a view is raises
# AUGMENTATION, so that cached views of the older code are not used, and measures these again.
VERSION = 1
CHANGES = {
    "rotation_deg": 14.01,
    "shift_x": 18.96,
    "shift_y": 33.95,
    "shear_deg": 2.38,
    "zoom": 10.08,
    "crop_area": 14.31,
    "crop_aspect": 11.37,
    "flip_horizontal": 14.81,
    "flip_vertical": 31.82,
    "channel_shift": 24.16,
    "brightness": 14.19,
    "contrast": 11.43,
    "gamma": 17.75,
    "tone": 10.14,
    "equalise": 15.95,
    "random_filter": 40.39,
    "blur_px": 5.74,
    "sharpen": 8.42,
    "coarsen": 4.36,
    "noise": 7.44,
    "hide": 6.15,
    "border": 4.82,
    "corners": 1.07,
}
EVERYTHING = AugmentationSettings(**KNOBS)
HALVES = (slice(0, 32), slice(32, 64))


class Fixed(np.random.Generator):
    """A generator whose draws lie at one place of their span: 0 at its low end, 1 at its high end."""

    def __init__(self, at: float, sign: int = 1) -> None:
        super().__init__(np.random.PCG64(0))
        self.at, self.sign = at, sign

    def uniform(self, low, high, size=None):  # type: ignore[override]
        value = low + self.at * (high - low)
        return value if size is None else np.full(size, value)

    def choice(self, options, size):  # type: ignore[override]
        return np.full(size, self.sign)

    def integers(self, low, high):  # type: ignore[override]
        return low + int(self.at * (high - 1 - low))

    def normal(self, mean, deviation, size):  # type: ignore[override]
        return np.full(size, mean + deviation * (2 * self.at - 1))


@pytest.fixture(scope="module")
def film():
    return draw_phantom("bacterial", 3, 64).pixels


def dot(row, column, size=65):
    """A film that is black but for a soft white spot."""
    rows, columns = np.mgrid[:size, :size]
    return np.clip(255 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 18), 0, 255).astype(np.uint8)


def centre(pixels):
    """Row and column of the grey's centre of mass."""
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    weight = pixels.astype(float)
    return np.array([(rows * weight).sum(), (columns * weight).sum()]) / weight.sum()


def changed(film, seed=0, **knobs):
    return augment(film, AugmentationSettings(**knobs), np.random.default_rng(seed))


# Every view


def test_with_nothing_active_the_view_is_the_film(film):
    for seed in range(3):
        assert np.array_equal(changed(film, seed), film)
        assert np.array_equal(changed(film, seed, fill="nearest"), film)


def test_the_same_generator_state_gives_the_same_view(film):
    assert np.array_equal(
        augment(film, EVERYTHING, np.random.default_rng(7)), augment(film, EVERYTHING, np.random.default_rng(7))
    )


@pytest.mark.parametrize("shape", [(64, 64), (33, 33), (48, 64)])
def test_a_view_is_of_the_film_s_shape_and_kind(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for seed in range(5):
        view = augment(pixels, EVERYTHING, np.random.default_rng(seed))
        assert (view.shape, view.dtype) == (shape, np.uint8)


def test_the_film_itself_is_left_as_it_was(film):
    before = film.copy()
    augment(film, EVERYTHING, np.random.default_rng(1))
    assert np.array_equal(film, before)


@pytest.mark.parametrize("knob", KNOBS)
def test_each_knob_alone_changes_the_film(film, knob):
    views = [changed(film, seed, **{knob: KNOBS[knob]}) for seed in range(6)]
    different = [view for view in views if not np.array_equal(view, film)]
    assert different
    assert all(abs(view.astype(int).mean() - film.mean()) < 128 for view in views)


@pytest.mark.parametrize("knob", KNOBS)
def test_the_views_are_those_of_their_version(film, knob):
    dim = film // 2
    change = np.abs(changed(dim, seed=20, **{knob: KNOBS[knob]}).astype(float) - dim).mean()
    assert VERSION == AUGMENTATION
    assert change == pytest.approx(CHANGES[knob], abs=0.05)


def test_views_of_one_film_and_films_of_one_view_differ():
    draws = {view_rng(*key).random() for key in [(0, b"film-one", 0), (0, b"film-one", 1), (0, b"film-two", 0)]}
    draws.add(view_rng(1, b"film-one", 0).random())
    assert len(draws) == 4


def test_a_view_is_the_same_in_whatever_order_views_are_made(film):
    def view(number):
        return augment(film, EVERYTHING, view_rng(3, b"the film's digest", number))

    forwards = [view(number) for number in range(4)]
    backwards = [view(number) for number in reversed(range(4))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forwards, backwards, strict=True))
    assert not any(np.array_equal(forwards[0], other) for other in forwards[1:])


# Geometry


def test_a_flip_is_exactly_a_flip(film):
    flips = {"flip_horizontal": film[:, ::-1], "flip_vertical": film[::-1]}
    for knob, mirrored in flips.items():
        settings = AugmentationSettings(**{knob: True})
        assert np.array_equal(augment(film, settings, Fixed(0.5, sign=-1)), mirrored)
        assert np.array_equal(augment(film, settings, Fixed(0.5, sign=1)), film)
        views = [changed(film, seed, **{knob: True}) for seed in range(12)]
        assert {np.array_equal(view, mirrored) for view in views} == {True, False}
        assert all(np.array_equal(view, mirrored) or np.array_equal(view, film) for view in views)


@pytest.mark.parametrize(("knob", "axis"), [("shift_y", 0), ("shift_x", 1)])
def test_a_shift_moves_the_film_along_its_own_axis_by_its_share(knob, axis):
    spot = dot(32, 32)
    for at, way in ((1, -1), (0, 1)):
        moved = centre(augment(spot, AugmentationSettings(**{knob: 0.2}), Fixed(at))) - centre(spot)
        assert moved[axis] == pytest.approx(way * 0.2 * 65, abs=0.1)
        assert moved[1 - axis] == pytest.approx(0, abs=0.01)


def test_a_rotation_keeps_the_centre_and_turns_the_rest_by_its_angle():
    settings = AugmentationSettings(rotation_deg=30)
    assert centre(augment(dot(32, 32), settings, Fixed(1))) == pytest.approx([32, 32], abs=0.05)
    place = centre(augment(dot(32, 52), settings, Fixed(1))) - 32
    assert np.hypot(*place) == pytest.approx(20, abs=0.1)
    assert abs(np.rad2deg(np.arctan2(place[0], place[1]))) == pytest.approx(30, abs=0.5)


def test_rotations_to_either_side_mirror_each_other():
    up, down = (centre(augment(dot(32, 52), AugmentationSettings(rotation_deg=30), Fixed(at))) - 32 for at in (0, 1))
    assert up == pytest.approx(down * [-1, 1], abs=0.05)


def test_a_quarter_turn_is_exactly_that(film):
    view = augment(film, AugmentationSettings(rotation_deg=90), Fixed(1)).astype(int)
    assert min(np.abs(view - np.rot90(film, turns))[1:-1, 1:-1].max() for turns in (1, 3)) <= 1


def test_a_shear_leans_the_film_and_keeps_its_centre():
    settings = AugmentationSettings(shear_deg=30)
    assert centre(augment(dot(32, 32), settings, Fixed(1))) == pytest.approx([32, 32], abs=0.05)
    along, across = (centre(augment(dot(*at), settings, Fixed(1))) - 32 for at in ((32, 44), (44, 32)))
    angle = np.rad2deg(np.arctan2(*along) - np.arctan2(*across))
    assert abs(abs(angle) - 90) == pytest.approx(30, abs=1)


def test_a_zoom_goes_in_and_out():
    spot = dot(32, 42)
    near, far = (centre(augment(spot, AugmentationSettings(zoom=0.2), Fixed(at)))[1] - 32 for at in (0, 1))
    assert near == pytest.approx(10 / 0.8, abs=0.1)
    assert far == pytest.approx(10 / 1.2, abs=0.1)


def test_a_crop_enlarges_what_is_kept():
    spot = dot(16, 16)
    view = augment(spot, AugmentationSettings(crop_area=0.25), Fixed(0))  # the upper left quarter
    assert view.astype(int).sum() == pytest.approx(4 * spot.astype(int).sum(), rel=0.02)


def test_a_crop_stays_inside_the_film():
    white = np.full((64, 64), 255, np.uint8)
    for seed in range(40):
        view = changed(white, seed, crop_area=0.3, crop_aspect=1.4)
        assert view[1:-1, 1:-1].min() == 255


def test_a_crop_can_come_from_anywhere(film):
    spot = dot(32, 32)
    places = np.array([centre(changed(spot, seed, crop_area=0.5)) for seed in range(40)])
    assert np.ptp(places, axis=0).min() > 10


def test_an_aspect_alone_stretches_one_side():
    spot = dot(32, 32)
    for at, wider in ((0, 0), (1, 1)):
        view = augment(spot, AugmentationSettings(crop_area=0.5, crop_aspect=1.8), Fixed(at)).astype(float)
        rows, columns = view.sum(axis=1), view.sum(axis=0)
        spread = [
            np.sqrt(np.average((np.arange(65) - np.average(np.arange(65), weights=w)) ** 2, weights=w))
            for w in (rows, columns)
        ]
        assert spread[wider] != pytest.approx(spread[1 - wider], rel=0.1)


def test_what_comes_in_is_black_or_the_film_s_border():
    grey = np.full((64, 64), 90, np.uint8)
    knobs = {"shift_x": 0.4, "rotation_deg": 40}
    assert changed(grey, 1, **knobs, fill="constant").min() == 0
    assert set(np.unique(changed(grey, 1, **knobs, fill="nearest"))) == {90}


# Grey


def ramp():
    return np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize("knob", ["channel_shift", "brightness", "contrast", "gamma", "tone", "equalise"])
def test_the_grey_curve_never_turns_back(knob):
    for seed in range(10):
        curve = changed(ramp(), seed, **{knob: KNOBS[knob]}).ravel().astype(int)
        assert (np.diff(curve) >= 0).all()


def test_channel_shift_adds_and_takes_off_grey_levels():
    grey = np.full((8, 8), 100, np.uint8)
    assert set(augment(grey, AugmentationSettings(channel_shift=20), Fixed(1)).ravel()) == {120}
    assert set(augment(grey, AugmentationSettings(channel_shift=20), Fixed(0)).ravel()) == {80}
    assert set(augment(grey + 150, AugmentationSettings(channel_shift=20), Fixed(1)).ravel()) == {255}


def test_brightness_multiplies():
    grey = np.full((8, 8), 100, np.uint8)
    assert set(augment(grey, AugmentationSettings(brightness=0.3), Fixed(1)).ravel()) == {130}
    assert set(augment(grey, AugmentationSettings(brightness=0.3), Fixed(0)).ravel()) == {70}


def test_contrast_spreads_about_the_middle():
    spread = augment(ramp(), AugmentationSettings(contrast=0.5), Fixed(1)).ravel().astype(int)
    narrow = augment(ramp(), AugmentationSettings(contrast=0.5), Fixed(0)).ravel().astype(int)
    assert abs(spread[127] - 127) <= 1
    assert abs(narrow[127] - 127) <= 1
    assert spread[100] < 100 < narrow[100]
    assert narrow[155] < 155 < spread[155]


def test_gamma_bends_the_curve_and_keeps_its_ends():
    for at, way in ((0, 1), (1, -1)):
        curve = augment(ramp(), AugmentationSettings(gamma=0.5), Fixed(at)).ravel().astype(int)
        assert (curve[0], curve[255]) == (0, 255)
        assert np.sign(curve[128] - 128) == way


def test_a_random_grey_curve_keeps_its_ends():
    curves = [changed(ramp(), seed, tone=0.8).ravel().astype(int) for seed in range(6)]
    assert {(curve[0], curve[255]) for curve in curves} == {(0, 255)}
    assert len({int(curve[128]) for curve in curves}) == 6


def test_equalising_makes_the_histogram_even(film):
    even = augment(film, AugmentationSettings(equalise=1), Fixed(1))
    shares = np.bincount(even.ravel(), minlength=256).cumsum()[[63, 127, 191]] / film.size
    assert shares == pytest.approx([0.25, 0.5, 0.75], abs=0.03)
    half = augment(film, AugmentationSettings(equalise=1), Fixed(0.5)).astype(int)
    assert np.abs(half - (film.astype(int) + even) / 2).max() <= 1


def roughness(pixels):
    return np.abs(np.diff(pixels.astype(int), axis=1)).mean()


def test_sharpening_adds_fine_detail_and_keeps_the_mean(film):
    pale = film // 2 + 64  # so that nothing is cut off at black or white
    view = augment(pale, AugmentationSettings(sharpen=2), Fixed(1))
    assert roughness(view) > 1.5 * roughness(pale)
    assert view.mean() == pytest.approx(pale.mean(), abs=0.5)


def test_coarsening_loses_detail_and_keeps_the_place(film):
    view = augment(film, AugmentationSettings(coarsen=0.75), Fixed(1))
    assert roughness(view) < 0.8 * roughness(film)
    spot = dot(20, 40)
    assert centre(augment(spot, AugmentationSettings(coarsen=0.5), Fixed(1))) == pytest.approx(centre(spot), abs=0.3)


@pytest.mark.parametrize("grey", [0, 1, 90, 200, 255])
def test_a_blur_of_an_even_film_changes_nothing(grey):
    even = np.full((32, 32), grey, np.uint8)
    for seed in range(8):
        assert set(np.unique(changed(even, seed, blur_px=3))) == {grey}


def test_a_blur_smooths_and_keeps_the_mean(film):
    view = augment(film, AugmentationSettings(blur_px=2), Fixed(1))
    assert roughness(view) < 0.7 * roughness(film)
    assert view.mean() == pytest.approx(film.mean(), abs=0.3)


def test_noise_is_grain_of_that_deviation_and_darkens_nothing():
    grey = np.full((256, 256), 128, np.uint8)
    settings = AugmentationSettings(noise=10)
    deviations = [augment(grey, settings, np.random.default_rng(seed)).std() for seed in range(20)]
    assert 5 < max(deviations) < 10.5
    means = [augment(grey, settings, np.random.default_rng(seed)).mean() for seed in range(20)]
    assert np.mean(means) == pytest.approx(128, abs=0.05)


def test_noise_stays_between_black_and_white():
    for grey in (0, 255):
        even = np.full((64, 64), grey, np.uint8)
        assert abs(changed(even, 0, noise=20).astype(int) - grey).max() < 120


def test_hiding_blacks_out_one_box_of_at_most_its_share():
    white = np.full((64, 64), 255, np.uint8)
    sides = []
    for seed in range(60):
        hidden = changed(white, seed, hide=0.25) == 0
        rows, columns = np.flatnonzero(hidden.any(axis=1)), np.flatnonzero(hidden.any(axis=0))
        if len(rows):
            sides += [np.ptp(rows) + 1, np.ptp(columns) + 1]
            assert hidden.sum() == sides[-1] * sides[-2]
    assert 12 <= max(sides) <= 16


def test_hiding_leaves_the_rest_of_the_film_alone(film):
    view = changed(film, 5, hide=0.4)
    assert set(np.unique(view[view != film])) <= {0}


def test_a_border_hides_strips_of_each_edge_in_one_grey_and_nothing_further_in(film):
    widths = []
    for seed in range(40):
        hidden = changed(film, seed, border=0.125) != film
        assert not hidden[8:-8, 8:-8].any()
        for edge in (hidden, hidden[::-1], hidden.T, hidden.T[::-1]):
            widths.append(int(np.flatnonzero(edge[:, 20:44].any(axis=1)[:9]).max(initial=-1)) + 1)
    assert min(widths) == 0
    assert 6 <= max(widths) <= 8


def test_corners_are_hidden_each_by_chance_and_the_middle_of_every_edge_is_seen(film):
    touched = set()
    for seed in range(40):
        hidden = changed(film, seed, corners=0.25) != film
        assert not hidden[16:-16].any()
        assert not hidden[:, 16:-16].any()
        touched.add(tuple(bool(hidden[rows, columns].any()) for rows in HALVES for columns in HALVES))
    assert len(touched) > 8


# Texture


def test_a_random_filter_keeps_the_mean_and_the_spread_of_most_films(film):
    views = [changed(film, seed, random_filter=1) for seed in range(20)]
    assert np.mean([view.mean() for view in views]) == pytest.approx(film.mean(), abs=12)
    assert max(view.std() for view in views) < 1.3 * film.std()


def test_a_random_filter_is_as_frequent_as_it_says(film):
    filtered = [not np.array_equal(changed(film, seed, random_filter=0.25), film) for seed in range(200)]
    assert 0.15 < np.mean(filtered) < 0.35
