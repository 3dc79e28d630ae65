"""Captions: the image stays as it is, and every word is there, whatever its size."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFont

from cxr.presentation.caption import BACKGROUND, MIN_WIDTH_PX, TEXT_COLOR, captioned, png
from cxr.presentation.caption import _wrapped as wrapped

WORDS = ["Grad-CAM: evidence for viral pneumonia. Model first, version 0123456789ab.", "Not a medical device."]


def noise(width, height):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (64, 48), (320, 200), (1500, 1200), (4000, 3000)])
def test_the_image_is_unchanged_over_a_slim_strip_with_text(width, height):
    picture = noise(width, height)
    sheet = captioned(picture, WORDS)
    assert sheet.width == max(width, MIN_WIDTH_PX)
    assert (np.asarray(sheet)[:height, :width] == np.asarray(picture)).all()
    strip = np.asarray(sheet)[height:]
    assert 10 < len(strip) < 0.25 * sheet.width
    assert (strip[0] == BACKGROUND).all()
    assert (strip[-1] == BACKGROUND).all()
    assert (strip[:, :2] == BACKGROUND).all()
    assert (strip == TEXT_COLOR).all(axis=2).any()


def test_lines_are_as_wide_as_the_strip_and_hold_every_word():
    font, text = ImageFont.load_default(11), " ".join(WORDS)
    lines = wrapped(text, font, 150)
    assert len(lines) > 2
    assert " ".join(lines) == text
    assert all(font.getlength(line) <= 150 for line in lines)


def test_a_word_that_is_wider_than_the_picture_makes_the_strip_wider():
    sheet = captioned(noise(64, 48), ["x" * 200])
    assert sheet.width > 1000
    assert (np.asarray(sheet)[48:, -4:] == BACKGROUND).all()


def test_a_file_holds_the_words_in_any_script():
    words = {"Description": "肺炎", "Disclaimer": "Not a medical device."}
    with Image.open(io.BytesIO(png(noise(4, 4), words))) as image:
        assert image.info == words
