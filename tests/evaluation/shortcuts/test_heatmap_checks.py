"""The checks of heatmaps: their measures by hand, and both checks on models with a known result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from scipy.stats import spearmanr

from cxr.evaluation.shortcuts.heatmap_checks import (
    SHARES,
    CheckedFilm,
    area_between,
    deletion_curve,
    mask_hottest,
    randomization_check,
    rank_correlation,
    resized,
    ssim,
)
from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom
from tests.support.score_tables import tiny_classifier

if TYPE_CHECKING:
    from cxr.inference.classifier import Classifier

LIT = np.full((32, 32), 20, np.uint8)
LIT[4:10, 20:26] = 250


class BrightSquareModel:
    """A model of one bright square: its probability is the brightness that remains of it."""

    def read_many(self, films: Iterable[Film]) -> Iterator[SimpleNamespace]:
        for film in films:
            left = (film.pixels[4:10, 20:26].mean() - 20) / 230
            yield SimpleNamespace(probability=lambda target, left=left: left)


def checked_films(classifier: Classifier, count: int = 8) -> list[CheckedFilm]:
    drawn = [draw_phantom("bacterial", seed, classifier.size_px).pixels for seed in range(count)]
    predictions = classifier.read_many(map(Film.from_pixels, drawn))
    return [
        CheckedFilm(pixels, prediction.decision, prediction.heatmap())
        for pixels, prediction in zip(drawn, predictions, strict=True)
    ]


def recorder() -> tuple[list[tuple[int, int]], Callable[[int, int], None]]:
    steps: list[tuple[int, int]] = []
    return steps, lambda done, total: steps.append((done, total))


def test_rank_correlation_is_spearmans() -> None:
    one, other = np.random.default_rng(0).random((2, 6, 6))
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic)
    assert rank_correlation(one, one**3) == pytest.approx(1)
    assert rank_correlation(one, -one) == pytest.approx(-1)


def test_a_constant_map_is_not_correlated_with_another() -> None:
    assert rank_correlation(np.zeros((4, 4)), np.random.default_rng(0).random((4, 4))) == 0


def test_structural_similarity_of_constant_maps_is_that_of_their_values() -> None:
    one, other = np.full((5, 5), 0.2), np.full((5, 5), 0.6)
    assert ssim(one, one) == pytest.approx(1)
    assert ssim(one, other) == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4))


def test_structural_similarity_of_opposite_structure_is_below_zero() -> None:
    board = np.indices((8, 8)).sum(axis=0) % 2
    assert ssim(board, 1 - board) < -0.9


def test_the_hottest_pixels_are_masked_and_no_others() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (20, 20)).astype(np.uint8)
    heat = np.zeros((20, 20))
    heat[:4, :10] = 1
    changed = mask_hottest(pixels, heat, 0.1) != pixels
    assert changed[:4, :10].mean() > 0.9
    assert not changed[4:].any()
    assert not changed[:, 10:].any()
    assert (mask_hottest(pixels, heat, 0.5) != pixels).sum() == pytest.approx(200, abs=10)


def test_the_area_between_curves_is_relative_to_the_range() -> None:
    own, other = np.array([[1, 0.5, 0.5]]), np.array([[1, 1, 1]])
    assert area_between((0, 0.2, 0.4), own, other) == pytest.approx([(0.05 + 0.1) / 0.4])


def test_weights_are_randomized_from_the_head_down_and_those_of_the_model_stay() -> None:
    classifier = tiny_classifier()
    before = [array.copy() for array in classifier.network.model.get_weights()]
    steps, progress = recorder()
    found = randomization_check(classifier, checked_films(classifier), progress)
    assert [step.block for step in found] == ["head", "block3", "block2", "block1"]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for one, other in zip(before, classifier.network.model.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_heatmaps_of_randomized_weights_differ() -> None:
    classifier = tiny_classifier()
    last = randomization_check(classifier, checked_films(classifier), lambda done, total: None)[-1]
    assert last.correlation.high < 0.8
    assert last.ssim < 0.8


def test_heatmaps_that_do_not_depend_on_the_weights_stay_the_same() -> None:
    """With equal weights in a layer, permuting them changes nothing."""
    classifier = tiny_classifier()
    for layer in classifier.network.model.layers:
        layer.set_weights([np.full_like(array, 0.02) for array in layer.get_weights()])
    found = randomization_check(classifier, checked_films(classifier), lambda done, total: None)
    assert [step.correlation.low for step in found] == pytest.approx([1] * 4)
    assert [step.ssim for step in found] == pytest.approx([1] * 4)


def test_masking_what_the_model_uses_lowers_its_score_faster_than_masking_random_regions() -> None:
    heat = np.zeros((8, 8))
    heat[1:3, 5:7] = 1
    steps, progress = recorder()
    found = deletion_curve(cast("Classifier", BrightSquareModel()), [CheckedFilm(LIT, "lamp", heat)] * 5, progress)
    assert found.shares == (0, *SHARES)
    assert found.hottest[0] == found.random[0] == 1
    assert found.hottest[2] < 0.5 < found.random[2]
    assert found.area_between.low > 0.1
    assert steps[-1] == (5, 5)


def test_masking_another_place_does_not_lower_the_score_faster() -> None:
    heat = np.zeros((8, 8))
    heat[6:, :2] = np.linspace(0.5, 1, 4).reshape(2, 2)
    assert (
        deletion_curve(
            cast("Classifier", BrightSquareModel()), [CheckedFilm(LIT, "lamp", heat)] * 5, lambda done, total: None
        ).area_between.low
        <= 0
    )


def test_a_heatmap_is_resized_smoothly() -> None:
    large = resized(np.array([[0.0, 1.0]]), 8)
    assert large.shape == (8, 8)
    assert (np.diff(large, axis=1) >= 0).all()
    assert large[0, 0] == 0
    assert large[0, -1] == 1
