"""Text drawn into an X-ray is detected, a side marker is not."""

from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from cxr.films.burned_in_text import contains_text
from cxr.films.film import Film
from cxr.films.film_warning import FilmWarning
from cxr.films.synthetic.phantom import FINDINGS, draw_phantom
from tests.support.file_seeds import saved

NAMES = ("DOE^JANE", "SMITH JOHN 12.03.1947", "ID 4711-0815 KLEIN")


@cache
def film(seed: int, side_px: int = 512) -> np.ndarray:
    """The pixels of a drawn X-ray."""
    drawn = draw_phantom(FINDINGS[seed % len(FINDINGS)], seed, min(side_px, 512)).pixels
    return np.asarray(Image.fromarray(drawn).resize((side_px, side_px), Image.Resampling.BICUBIC))


def with_text(pixels: np.ndarray, text: str, share: float = 0.035) -> np.ndarray:
    """The X-ray with a line of text in white on black near its upper edge."""
    image, height = Image.fromarray(pixels), round(share * len(pixels))
    pen, font, place = ImageDraw.Draw(image), ImageFont.load_default(height), (height, height)
    pen.rectangle(pen.textbbox(place, text, font=font), fill=0)
    pen.text(place, text, 255, font=font)
    return np.asarray(image)


@pytest.mark.parametrize("side_px", [256, 512, 1024])
def test_a_line_with_a_name_is_detected(side_px: int) -> None:
    detected = [contains_text(with_text(film(seed, side_px), NAMES[seed % 3])) for seed in range(9)]
    assert sum(detected) >= 8


def test_nothing_is_detected_in_drawn_x_rays_with_side_markers() -> None:
    for seed in range(12):
        assert not contains_text(film(seed))
        assert not contains_text(with_text(film(seed), "L" if seed % 2 else "R", 0.08))


def test_text_gives_a_warning() -> None:
    assert Film.read(saved(with_text(film(1), NAMES[1]), "PNG")).warnings == (FilmWarning.TEXT,)
    assert Film.read(saved(film(1), "PNG")).warnings == ()
