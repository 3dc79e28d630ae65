"""Small pictures keep the film's proportions, and can be read."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image

from cxr.showing.thumbnail import data_url, shrunk


def test_a_film_is_made_small_in_its_own_proportions():
    film = np.zeros((400, 200), np.uint8)
    film[:200] = 255
    small = shrunk(film, 96)
    assert small.shape == (96, 48)
    assert (small[:40] == 255).all()
    assert (small[56:] == 0).all()


def test_a_small_film_is_not_blown_up():
    assert shrunk(np.zeros((40, 20), np.uint8), 96).shape == (40, 20)


def test_an_address_holds_the_picture():
    film = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (48, 1))
    kind, data = data_url(film).split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(BytesIO(base64.b64decode(data))) as picture:
        assert np.abs(np.asarray(picture, int) - film).max() < 8
