"""Images that are not chest X-rays: noise, clouds, pages of text, figures, clutter, CT slices.

They train the input check to reject, so they are many and varied rather than realistic; gray, square, of any size.
"""

from __future__ import annotations

import string
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy import ndimage

Rng = np.random.Generator
Plane = NDArray[np.floating]
Pixels = NDArray[np.uint8]


def draw_non_xray(seed: int, size_px: int) -> Pixels:
    """An image that is not a chest X-ray; its kind goes by the seed, and one seed gives one image."""
    draw = list(GENERATORS.values())[seed % len(GENERATORS)]
    rng = np.random.default_rng([seed, 5])
    pixels = draw(rng, size_px)
    return np.asarray(255 - pixels if rng.random() < 0.15 else pixels)


def _noise(rng: Rng, size_px: int) -> Pixels:
    """Grain without a pattern."""
    return _gray(rng.uniform(40, 215) + rng.uniform(15, 90) * rng.standard_normal((size_px, size_px)))


def _clouds(rng: Rng, size_px: int) -> Pixels:
    """Fractal noise, as of skies, walls and skin."""
    plane = _fractal(rng, size_px, rng.uniform(0.6, 2.4))
    low, high = np.sort(rng.uniform(0, 255, 2))
    return _gray(low + (high - low) * _unit(plane))


def _shades(rng: Rng, size_px: int) -> Pixels:
    """A gradient to one side or outwards, with almost nothing on it."""
    x, y = _axes(size_px)
    along = np.cos(turn := rng.uniform(0, 2 * np.pi)) * x + np.sin(turn) * y
    outwards = np.hypot(x - rng.uniform(-1, 1), y - rng.uniform(-1, 1))
    plane = _unit(along if rng.random() < 0.5 else outwards) ** rng.uniform(0.5, 2)
    low, high = np.sort(rng.uniform(0, 255, 2))
    return _gray(low + (high - low) * plane + rng.uniform(0, 4) * rng.standard_normal(plane.shape))


def _waves(rng: Rng, size_px: int) -> Pixels:
    """Stripes, checks and weaves."""
    x, y = _axes(size_px)
    turn, pitch = rng.uniform(0, np.pi), rng.uniform(4, 60)
    plane = np.sin(pitch * (np.cos(turn) * x + np.sin(turn) * y))
    if rng.random() < 0.6:
        plane = plane * np.sin(rng.uniform(4, 60) * (np.cos(turn) * y - np.sin(turn) * x))
    if rng.random() < 0.5:
        plane = np.sign(plane)
    return _gray(127 + rng.uniform(20, 120) * plane + rng.uniform(0, 15) * rng.standard_normal(plane.shape))


def _page(rng: Rng, size_px: int) -> Pixels:
    """A page of text in one or two columns, with headings and perhaps a table's lines."""
    paper, ink = int(rng.uniform(215, 256)), int(rng.uniform(0, 70))
    image = Image.new("L", (size_px, size_px), paper)
    pen = ImageDraw.Draw(image)
    letters = np.array(list(string.ascii_letters + string.digits + "      .,;"))
    columns, margin = int(rng.integers(1, 3)), size_px * rng.uniform(0.03, 0.12)
    width = (size_px - margin * (columns + 1)) / columns
    height = size_px * rng.uniform(0.025, 0.08)
    for column in range(columns):
        left, top = margin + column * (width + margin), margin
        while top < size_px - margin:
            large = height * (1.7 if rng.random() < 0.08 else 1)
            if rng.random() > 0.1:  # else a blank line
                words = "".join(rng.choice(letters, int(rng.uniform(0.5, 1) * width / (0.5 * large)) + 1))
                pen.text((left, top), words, ink, font=_font(large))
            if rng.random() < 0.03:
                pen.line((left, top, left + width, top), ink)
            top += 1.35 * large
    return np.asarray(image)


def _figure(rng: Rng, size_px: int) -> Pixels:
    """Shapes, curves and a few words on a uniform background, as in a drawing, a chart or a logo."""
    image = Image.new("L", (size_px, size_px), int(rng.integers(0, 256)))
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 14))):
        ink, wide = int(rng.integers(0, 256)), int(rng.uniform(1, 1 + size_px / 40))
        corners = rng.uniform(0, size_px, (int(rng.integers(3, 7)), 2))
        box = [*corners.min(axis=0), *corners.max(axis=0)]
        shape = rng.integers(0, 5)
        if shape == 0:
            pen.polygon([tuple(corner) for corner in corners], fill=ink)
        elif shape == 1:
            pen.ellipse(box, fill=ink if rng.random() < 0.6 else None, outline=ink, width=wide)
        elif shape == 2:
            pen.rectangle(box, fill=ink if rng.random() < 0.6 else None, outline=ink, width=wide)
        elif shape == 3:
            pen.line([tuple(corner) for corner in corners], fill=ink, width=wide)
        else:
            pen.text(
                (box[0], box[1]), "".join(rng.choice(list(string.ascii_letters), 8)), ink, font=_font(size_px / 10)
            )
    return np.asarray(image)


def _clutter(rng: Rng, size_px: int) -> Pixels:
    """Overlapping objects of all sizes and textures, with the statistics of photographs (Lee 2001)."""
    image = Image.fromarray(_clouds(rng, size_px))
    surfaces = [Image.fromarray(_clouds(rng, size_px)) for _ in range(4)]
    for _ in range(int(rng.integers(30, 250))):
        radius = size_px * min(0.4, 0.02 * rng.random() ** -0.5)
        x, y = rng.uniform(-0.1, 1.1, 2) * size_px
        turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
        rim = [(x + radius * np.cos(turn), y + radius * np.sin(turn)) for turn in turns]
        mask = Image.new("1", image.size)
        pen = ImageDraw.Draw(mask)
        if rng.random() < 0.5:
            pen.ellipse((x - radius, y - radius * rng.uniform(0.4, 1), x + radius, y + radius), fill=1)
        else:
            pen.polygon(rim, fill=1)
        surface = surfaces[int(rng.integers(0, 4))]
        if rng.random() < 0.7:
            slope, lift = rng.uniform(0.1, 0.6), rng.uniform(0, 200)
            surface = surface.point([int(min(255, lift + slope * gray)) for gray in range(256)])
        image.paste(surface, mask=mask)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2))))


def _slice(rng: Rng, size_px: int) -> Pixels:
    """A CT slice: an oval body, two dark lungs with vessels, bones, the table, black background."""
    x, y = _axes(size_px)
    scale = rng.uniform(0.75, 1.25)
    x, y = (x - rng.uniform(-0.08, 0.08)) / scale, (y - rng.uniform(-0.12, 0.12)) / scale
    flat = rng.uniform(0.6, 0.95)
    ragged = 0.04 * _unit(_fractal(rng, size_px, 1.8))
    body = (np.hypot(x / 0.95, y / flat) + ragged) < 1
    tissue, air = rng.uniform(90, 230), rng.uniform(0, 60)
    plane = np.where(body, tissue, rng.choice([0.0, rng.uniform(0, 25)]))
    rim = body & ((np.hypot(x / 0.95, y / flat) + ragged) > rng.uniform(0.88, 0.95))
    plane[rim] = tissue * rng.uniform(0.5, 0.9)  # fat
    for side in (-1, 1):
        across, along = rng.uniform(0.26, 0.36), flat * rng.uniform(0.5, 0.72)
        lung = (
            np.hypot((x - side * rng.uniform(0.42, 0.5)) / across, (y + rng.uniform(-0.05, 0.1)) / along) + 2 * ragged
        )
        inside = (lung < 1) & body
        plane[inside] = air
        vessels = inside & (_unit(_fractal(rng, size_px, 1.0)) > rng.uniform(0.62, 0.75))
        plane[vessels] = tissue * rng.uniform(0.6, 1)
        if rng.random() < 0.6:
            hazy = inside & (_unit(_fractal(rng, size_px, 2.2)) > rng.uniform(0.5, 0.8))
            plane[hazy] = np.maximum(plane[hazy], rng.uniform(70, 170))
    for (bone_x, bone_y), radius in _bones(rng, flat):
        plane[np.hypot(x - bone_x, y - bone_y) < radius] = rng.uniform(200, 255)
    if rng.random() < 0.6:
        plane[(np.abs(y - flat - 0.12 + 0.15 * x**2) < 0.012) & ~body] = tissue * 0.7  # the table
    softened = ndimage.gaussian_filter(plane, rng.uniform(0.0015, 0.006) * size_px)
    return _gray(softened + rng.uniform(2, 14) * rng.standard_normal(plane.shape))


def _bones(rng: Rng, flat: float) -> list[tuple[tuple[float, float], float]]:
    """Position and radius of vertebra, sternum and ribs."""
    turns = rng.uniform(0, 2 * np.pi, int(rng.integers(6, 14)))
    ribs = [((0.88 * np.cos(turn), 0.88 * flat * np.sin(turn)), rng.uniform(0.02, 0.04)) for turn in turns]
    return [((0.0, 0.62 * flat), rng.uniform(0.09, 0.14)), ((0.0, -0.85 * flat), rng.uniform(0.03, 0.06)), *ribs]


def _limb(rng: Rng, size_px: int) -> Pixels:
    """Bright shafts on a dark background, as in X-rays of hands, arms and legs."""
    x, y = _axes(size_px)
    plane = rng.uniform(0, 30) + 20 * _unit(_fractal(rng, size_px, 2))
    for _ in range(int(rng.integers(1, 7))):
        turn, offset, half = rng.uniform(-0.5, 0.5), rng.uniform(-0.8, 0.8), rng.uniform(0.05, 0.22)
        across = (np.cos(turn) * x + np.sin(turn) * y - offset) / half
        across = across / (1 + 0.4 * np.cos(rng.uniform(2, 5) * y + rng.uniform(0, 6)))
        plane = plane + rng.uniform(30, 70) * np.exp(-((across / 2.2) ** 4))
        plane = plane + rng.uniform(50, 110) * (np.abs(across) < 1) * (0.4 + 0.6 * np.abs(across) ** 3)
    softened = ndimage.gaussian_filter(plane, rng.uniform(0.002, 0.008) * size_px)
    return _gray(softened + rng.uniform(0, 6) * rng.standard_normal(plane.shape))


GENERATORS: dict[str, Callable[[Rng, int], Pixels]] = {
    "clutter": _clutter,
    "slice": _slice,
    "figure": _figure,
    "page": _page,
    "clouds": _clouds,
    "bones": _limb,
    "waves": _waves,
    "shades": _shades,
    "noise": _noise,
}


def _fractal(rng: Rng, size_px: int, steepness: float) -> Plane:
    """Noise whose amplitude falls with the frequency to the power of `steepness`."""
    rows, columns = np.fft.fftfreq(size_px)[:, None], np.fft.rfftfreq(size_px)[None, :]
    frequency = np.maximum(np.hypot(rows, columns), 1 / size_px)
    spectrum = np.fft.rfft2(rng.standard_normal((size_px, size_px))) / frequency**steepness
    return np.fft.irfft2(spectrum, (size_px, size_px))


def _axes(size_px: int) -> tuple[Plane, Plane]:
    """The coordinates of each pixel, x and y, from -1 to 1."""
    axis = np.linspace(-1, 1, size_px)
    return axis[None, :] + np.zeros((size_px, 1)), axis[:, None] + np.zeros((1, size_px))


def _unit(plane: Plane) -> Plane:
    """The values scaled from 0 to 1."""
    low, high = plane.min(), plane.max()
    return (plane - low) / max(high - low, 1e-9)


def _font(height_px: float) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Pillow's own font at this size."""
    return ImageFont.load_default(max(4, round(height_px)))


def _gray(plane: Plane) -> Pixels:
    """The values as gray levels of 8 bits."""
    return np.clip(np.rint(plane), 0, 255).astype(np.uint8)
