"""Text that is painted into a film is noticed, a marker of its side is not."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from cxr.films.burned_in_text import holds_text
from cxr.films.film import Film
from cxr.films.synthetic.phantom import FINDINGS, draw_phantom
from tests.support.file_seeds import saved

NAMES = ("DOE^JANE", "SMITH JOHN 12.03.1947", "ID 4711-0815 KLEIN")


def film(seed: int, side_px: int = 512) -> np.ndarray:
    return draw_phantom(FINDINGS[seed % len(FINDINGS)], seed, side_px).pixels


def painted(pixels: np.ndarray, words: str, share: float = 0.035) -> np.ndarray:
    """The film with a line of words in white on black near its upper edge."""
    image, height = Image.fromarray(pixels), round(share * len(pixels))
    pen, font, place = ImageDraw.Draw(image), ImageFont.load_default(height), (height, height)
    pen.rectangle(pen.textbbox(place, words, font=font), fill=0)
    pen.text(place, words, 255, font=font)
    return np.asarray(image)


@pytest.mark.parametrize("side_px", [256, 512, 1024])
def test_a_name_line_is_noticed(side_px: int) -> None:
    found = [holds_text(painted(film(seed, side_px), NAMES[seed % 3])) for seed in range(9)]
    assert sum(found) >= 8


def test_drawn_films_and_their_markers_hold_no_text() -> None:
    for seed in range(12):
        assert not holds_text(film(seed))
        assert not holds_text(painted(film(seed), "L" if seed % 2 else "R", 0.08))


def test_a_film_says_so() -> None:
    said = Film.read(saved(painted(film(1), NAMES[1]), "PNG")).warnings
    assert ["text" in sentence for sentence in said] == [True]
    assert Film.read(saved(film(1), "PNG")).warnings == ()
