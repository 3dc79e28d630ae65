"""Small pictures keep the film's proportions, and can be read."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image

from cxr.films.film import Film
from cxr.films.thumbnail import data_url, jpeg_thumbnail


def pixels(data):
    with Image.open(BytesIO(data)) as picture:
        return np.asarray(picture, int)


def film(height, width, grey=200):
    return Film(np.full((height, width), grey, np.uint8), "PNG", 8)


def test_a_film_is_made_small_in_its_own_proportions_and_never_blown_up():
    assert pixels(jpeg_thumbnail(film(400, 200), 96)).shape == (96, 48)
    assert pixels(jpeg_thumbnail(film(40, 20), 96)).shape == (40, 20)


def test_a_square_is_filled_in_proportion_on_black():
    for tall in (film(400, 200), film(40, 20)):
        square = pixels(jpeg_thumbnail(tall, 96, square=True))
        assert square.shape == (96, 96)
        assert abs(square[:, 48] - 200).max() < 8
        assert square[:, :20].max() < 8


def test_an_address_holds_the_picture():
    kind, data = data_url(jpeg_thumbnail(film(48, 48), 96)).split(",")
    assert kind == "data:image/jpeg;base64"
    assert np.abs(pixels(base64.b64decode(data)) - 200).max() < 8
