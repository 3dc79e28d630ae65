"""An X-ray packed for a browser."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr.films.deep_image import DeepImage
from cxr.films.synthetic.phantom import draw_phantom
from cxr.presentation import film_payload
from cxr.presentation.film_payload import content_key, pack, unpack

RNG = np.random.default_rng(0)
IMAGES: dict[str, NDArray[Any]] = {
    "phantom": draw_phantom("viral", 1, 200).pixels,
    "noise of 16 bits": RNG.integers(0, 1 << 16, (80, 61)).astype(np.uint16),
    "noise of 8 bits": RNG.integers(0, 256, (80, 61)).astype(np.uint8),
    "one pixel": np.array([[65_535]], np.uint16),
}


def deep(samples: NDArray[Any]) -> DeepImage:
    return DeepImage.of_gray(samples) if samples.dtype == np.uint8 else DeepImage.of_samples(samples, 1.0)


@pytest.mark.parametrize("name", IMAGES)
def test_every_sample_arrives(name: str) -> None:
    image = deep(IMAGES[name])
    rendering, samples = unpack(pack(image, "k"))
    assert np.array_equal(samples, image.samples)
    assert np.array_equal(rendering, image.rendering)


def test_a_phantom_takes_less_than_its_samples() -> None:
    samples = draw_phantom("normal", 2, 400).pixels.astype(np.uint16) * 200
    assert len(pack(deep(samples), "k")) < 0.8 * samples.nbytes


def test_the_key_is_that_of_the_content() -> None:
    first, second = deep(IMAGES["noise of 8 bits"]), deep(IMAGES["noise of 8 bits"].copy())
    assert content_key(first) == content_key(second) != content_key(deep(IMAGES["noise of 16 bits"]))
    assert content_key(first) != content_key(deep(255 - IMAGES["noise of 8 bits"]))


def test_what_is_sent_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_payload, "MAX_SENT_PX", 2000)
    data = pack(deep(IMAGES["noise of 16 bits"]), "k")
    header = json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")])
    assert header["reduced"] == 2
    assert header["width"] * header["height"] <= 2000
    assert unpack(data)[1].shape == (header["height"], header["width"])
