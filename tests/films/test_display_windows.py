"""The windows that a viewer offers for an X-ray."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cxr.films.deep_image import DeepImage
from cxr.films.display_windows import display_windows
from cxr.films.film import Film
from tests.support.file_seeds import dataset_of, ramp, written

SAMPLES = np.tile(np.arange(1000, 3000, dtype=np.uint16), (2000, 1))  # every gray level as often as any other


def by_code(deep: DeepImage) -> dict[str, tuple[float, float]]:
    return {window.code: (window.center, window.width) for window in display_windows(deep)}


def test_windows_are_parts_of_the_images_own_range() -> None:
    windows = by_code(DeepImage.of_samples(SAMPLES, 1.0))
    low, high = 1100, 2899  # without the margin
    assert windows["full"] == pytest.approx(((low + high) / 2, high - low), rel=0.001)
    assert windows["auto"] == pytest.approx((2000, 1782), rel=0.01)
    assert windows["lung"][0] < windows["auto"][0] < windows["bone"][0]
    assert windows["default"] == pytest.approx(windows["auto"], rel=0.01)


def test_in_an_inverted_image_dark_is_where_values_are_high() -> None:
    upright, inverted = (by_code(DeepImage.of_samples(SAMPLES, sign)) for sign in (1.0, -1.0))
    assert inverted["lung"][0] == pytest.approx(4000 - upright["lung"][0], abs=3)
    assert inverted["lung"][1] == pytest.approx(upright["lung"][1], abs=3)
    falling = replace(DeepImage.of_samples(SAMPLES, -1.0), slope=-1.0, is_inverted=False)
    assert by_code(falling)["lung"][0] == pytest.approx(-inverted["lung"][0], abs=3)


def test_the_header_comes_first_and_padding_does_not_count() -> None:
    stored = ramp()
    stored[:, :40] = 0
    header: dict[str, Any] = {"WindowCenter": ["600", "2000"], "WindowWidth": ["300", "4000"], "PixelPaddingValue": 0}
    deep = Film.read(written(dataset_of(stored, **header)), deep=True).deep
    assert deep is not None
    windows = by_code(deep)
    assert list(windows) == ["default", "auto", "lung", "bone", "full", "header-2"]
    assert (windows["default"], windows["header-2"]) == ((600, 300), (2000, 4000))
    center, width = windows["full"]
    assert center - width / 2 > 0


@pytest.mark.parametrize("gray", [0, 255])
def test_a_blank_image_has_windows_of_some_width(gray: int) -> None:
    assert all(width > 0 for _, width in by_code(DeepImage.of_gray(np.full((50, 50), gray, np.uint8))).values())


def test_eight_bits_are_shown_from_black_to_white_by_default() -> None:
    dim = np.tile(np.arange(60, 180, dtype=np.uint8), (120, 1))
    assert by_code(DeepImage.of_gray(dim))["default"] == pytest.approx((127.5, 255), abs=2)
