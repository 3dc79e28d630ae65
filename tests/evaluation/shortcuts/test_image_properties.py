"""Each image property tells what it is named after, whatever the image shows."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cxr.evaluation.shortcuts.image_properties import image_properties
from cxr.evaluation.shortcuts.lungs import Mask, lung_box
from cxr.evaluation.shortcuts.probes import MACRO, ProbeTarget, auc_intervals, cross_validated_probabilities
from cxr.evaluation.shortcuts.report import COMPRESSION, FILE, GRAY_LEVELS, MARKS, NOISE, PROPERTIES, RESOLUTION
from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom

Pixels = NDArray[np.uint8]
FILMS, SIDE_PX = 24, 160
LUNGS = np.zeros((SIDE_PX, SIDE_PX), bool)
LUNGS[30:130, 35:75] = LUNGS[30:130, 85:125] = True
rng = np.random.default_rng(0)


def encoded(pixels: Pixels, format_name: str = "PNG", **options: int) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, format_name, **options)
    return stream.getvalue()


def recompressed(quality: int) -> Callable[[Pixels], Pixels]:
    return lambda pixels: np.array(Image.open(BytesIO(encoded(pixels, "JPEG", quality=quality))))


def with_token(pixels: Pixels) -> Pixels:
    image = Image.fromarray(pixels)
    ImageDraw.Draw(image).text((18, 30), "AP", fill=255, font=ImageFont.load_default(10))
    return np.asarray(image)


def noisy(pixels: Pixels) -> Pixels:
    return np.clip(pixels + rng.normal(0, 5, pixels.shape), 0, 255).astype(np.uint8)


def coarser(pixels: Pixels) -> Pixels:
    small = Image.fromarray(pixels).resize((SIDE_PX * 2 // 3,) * 2, Image.Resampling.BILINEAR)
    return np.asarray(small.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR))


def other_gray_curve(pixels: Pixels) -> Pixels:
    return np.rint(255 * (pixels / 255) ** 0.85).astype(np.uint8)


def unchanged(pixels: Pixels) -> Pixels:
    return pixels


@pytest.fixture(scope="module")
def drawn() -> list[Pixels]:
    return [draw_phantom("normal", seed, SIDE_PX).pixels for seed in range(FILMS)]


def area(drawn: list[Pixels], name: str, first: Callable[[Pixels], Pixels], other: Callable[[Pixels], Pixels]) -> float:
    """The AUC at which the property separates every second image, changed in one way, from those changed in another."""
    images = [(other if i % 2 else first)(pixels) for i, pixels in enumerate(drawn)]
    features = np.stack([properties_of(pixels)[name] for pixels in images])
    target = ProbeTarget.from_values([str(i % 2) for i in range(FILMS)], np.arange(FILMS), ["0", "1"])
    return auc_intervals(cross_validated_probabilities(features, target), target, 50)[MACRO].value


def properties_of(pixels: Pixels, lungs: Mask = LUNGS, data: bytes | None = None):
    return image_properties(Film.from_pixels(pixels), encoded(pixels) if data is None else data, lungs)


@pytest.mark.parametrize(
    ("name", "first", "other"),
    [
        (MARKS, unchanged, with_token),
        (COMPRESSION, recompressed(92), recompressed(35)),
        (NOISE, unchanged, noisy),
        (RESOLUTION, unchanged, coarser),
        (GRAY_LEVELS, unchanged, other_gray_curve),
    ],
)
def test_a_property_separates_images_that_differ_in_it(
    drawn: list[Pixels], name: str, first: Callable[[Pixels], Pixels], other: Callable[[Pixels], Pixels]
) -> None:
    assert area(drawn, name, first, other) > 0.9


@pytest.mark.parametrize("name", [MARKS, COMPRESSION, NOISE, GRAY_LEVELS])
def test_a_property_does_not_depend_on_what_lies_in_the_lungs(drawn: list[Pixels], name: str) -> None:
    def clouded(pixels: Pixels) -> Pixels:
        y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
        cloud = 60 * np.exp(-((y - 80) ** 2 + (x - 55) ** 2) / (2 * 9.0**2)) * LUNGS
        return np.clip(pixels + cloud, 0, 255).astype(np.uint8)

    assert area(drawn, name, unchanged, clouded) < 0.75


def test_the_header_of_a_jpeg_tells_its_compression_and_the_file_its_format(drawn: list[Pixels]) -> None:
    pixels = drawn[0]
    fine, coarse, png = (
        image_properties(Film.read(data), data, LUNGS)
        for data in (encoded(pixels, "JPEG", quality=92), encoded(pixels, "JPEG", quality=35), encoded(pixels))
    )
    assert coarse[COMPRESSION][-1] > fine[COMPRESSION][-1] > png[COMPRESSION][-1] == 0
    assert (fine[FILE] == coarse[FILE]).all()
    assert (fine[FILE] != png[FILE]).any()


def test_every_property_of_odd_images_is_a_finite_number() -> None:
    for shape in ((9, 9), (33, 4), (700, 90), (1500, 1100)):
        for pixels in (np.zeros(shape, np.uint8), rng.integers(0, 256, shape, np.uint8)):
            for lungs in (lung_box(64), np.ones((64, 64), bool)):
                found = properties_of(pixels, lungs, b"no image")
                assert tuple(found) == PROPERTIES
                for name, values in found.items():
                    assert np.isfinite(values).all(), (name, shape)
