"""Drawn chest films with known truth, for a machine that has no real ones and for tests.

A phantom is painted the way a film comes about: attenuations add up along the beam, then an exposure turns
them into grey. Anatomy, exposure and opacity come by lot from separate streams: for one seed, all but the
lungs is the same whatever the finding.

Lengths are in half film widths: x runs from -1 (patient's right) to 1, y from -1 (head) to 1 (feet).
"""

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from cxr.errors import DatasetError
from cxr.films.plants import must_be_known, plant_into

FINDINGS = ("normal", "bacterial", "viral", "covid19")
FEWEST_FILMS = 8
_FINEST_DETAIL_PX = 128  # smaller films are drawn at this size and reduced, or ribs and vessels would alias

Field = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Phantom:
    """A drawn film, and where on it things are."""

    pixels: NDArray[np.uint8]
    finding: str
    opacity: NDArray[np.bool_]
    lungs: NDArray[np.bool_]


def _between(low: float, high: float) -> Any:
    return field(metadata={"span": (low, high)})


@dataclass(frozen=True)
class _Anatomy:
    """What differs between two healthy people."""

    apex: float = _between(-0.80, -0.70)
    base: float = _between(0.50, 0.68)
    half_width: float = _between(0.66, 0.78)
    heart: float = _between(0.85, 1.12)
    dome: float = _between(0.12, 0.20)
    right_dome_rise: float = _between(0.02, 0.07)
    rib_spacing: float = _between(0.125, 0.155)
    rib_slope: float = _between(0.80, 1.25)
    shoulder: float = _between(-0.06, 0.05)
    build: float = _between(0.90, 1.12)
    stomach_bubble: float = _between(-0.50, 0.60)  # below zero: none is seen


@dataclass(frozen=True)
class _Exposure:
    """What differs between two films of one person."""

    shift_x: float = _between(-0.05, 0.05)
    shift_y: float = _between(-0.05, 0.05)
    zoom: float = _between(0.95, 1.10)
    tilt: float = _between(-0.045, 0.045)
    speed: float = _between(-0.30, 0.26)
    contrast: float = _between(1.45, 1.85)
    slope_x: float = _between(-0.10, 0.10)
    slope_y: float = _between(-0.10, 0.10)
    grain: float = _between(2.0, 4.5)
    left_blade: float = _between(0.93, 1.15)  # past 1 the collimator's blade is outside of the film
    right_blade: float = _between(0.93, 1.15)
    top_blade: float = _between(0.93, 1.15)
    bottom_blade: float = _between(0.93, 1.15)
    marker: float = _between(0, 3)


def _lots(kind: type[Any], rng: Generator) -> dict[str, float]:
    """Each field's value, drawn from its span."""
    return {each.name: rng.uniform(*each.metadata["span"]) for each in fields(kind)}


class _Plane:
    """The film's pixels in the patient's own coordinates, and the way back."""

    def __init__(self, anatomy: _Anatomy, exposure: _Exposure, size_px: int) -> None:
        self.size_px, self.exposure = size_px, exposure
        axis = ((np.arange(size_px) + 0.5) * 2 / size_px - 1).astype(np.float32)
        self.film_x, self.film_y = np.meshgrid(axis, axis)
        cos, sin = self.turn = math.cos(exposure.tilt), math.sin(exposure.tilt)
        right, down = self.film_x - exposure.shift_x, self.film_y - exposure.shift_y
        self.x = (cos * right + sin * down) / exposure.zoom
        self.y = (cos * down - sin * right) / exposure.zoom
        self.left = self.x > 0  # the patient's left is at the viewer's right
        self.u = np.abs(self.x)
        self.depth = (self.y - anatomy.apex) / (anatomy.base - anatomy.apex)  # 0 at the apex, 1 at the base
        above = np.clip(1 - self.depth, 0, 1)
        self.wall = anatomy.half_width * (0.40 + 0.60 * (1 - above**2.9) ** 0.62)
        self.core = 0.10 + (0.40 * anatomy.half_width - 0.10) * above**13

    def to_px(self, points: Field) -> Field:
        """Pixel places of an (n, 2) array of points."""
        shot, (cos, sin) = self.exposure, self.turn
        turned = points @ np.array([[cos, sin], [-sin, cos]]) * shot.zoom
        return (turned + (1 + shot.shift_x, 1 + shot.shift_y)) * self.size_px / 2

    def noise(self, rng: Generator, scale: float) -> Field:
        """Smooth noise of unit variance whose features are about `scale` long."""
        grains = rng.standard_normal(self.x.shape, dtype=np.float32)
        field = ndimage.gaussian_filter(grains, scale * self.size_px / 2, mode="wrap", truncate=2.5)
        return field / field.std()


def _step(inside: Field, softness: float | Field) -> Field:
    """1 where `inside` is well above zero, 0 well below, soft between."""
    return 0.5 + 0.5 * np.tanh(inside / softness)


def _ellipse(plane: _Plane, x: float, y: float, across: float, along: float, lean: float = 0.0) -> Field:
    """Signed distance, roughly: positive inside an ellipse leaning to the patient's left."""
    right, down = plane.x - x, plane.y - y
    cos, sin = math.cos(lean), math.sin(lean)
    radius = np.hypot((cos * right + sin * down) / across, (cos * down - sin * right) / along)
    return (1 - radius) * min(across, along)


def _curve(along: Field, knots: list[float], values: list[float]) -> Field:
    """A value for each place `along` a line, smooth through the knots."""
    fine = np.linspace(-1.5, 1.5, 301)
    smooth = ndimage.gaussian_filter1d(np.interp(fine, knots, values), 5.0)
    return np.interp(along, fine, smooth).astype(np.float32)


def _domes(anatomy: _Anatomy, plane: _Plane) -> Field:
    """The height of the diaphragm above or below each pixel."""
    rise = np.where(plane.left, 0.0, anatomy.right_dome_rise)
    place = np.minimum(plane.u / anatomy.half_width - 0.42, 0.60) / 0.58
    return anatomy.base - rise - anatomy.dome * (1 - place**2)


def _heart(anatomy: _Anatomy, plane: _Plane) -> Field:
    """The shadow of heart and great vessels between the lungs, 0..1."""
    depths = [-0.6, 0.05, 0.20, 0.29, 0.38, 0.46, 0.60, 0.74, 0.88, 1.00, 1.15]
    left = _curve(plane.depth, depths, [0.09, 0.11, 0.13, 0.19, 0.13, 0.165, 0.26, 0.38, 0.43, 0.42, 0.36])
    right = _curve(plane.depth, depths, [0.09, 0.10, 0.11, 0.115, 0.105, 0.11, 0.17, 0.20, 0.19, 0.15, 0.13])
    size = 1 + (anatomy.heart - 1) * _step(plane.depth - 0.58, 0.12)
    return _step(np.where(plane.left, left, right) * size - plane.u, 0.016)


def _lungs(anatomy: _Anatomy, plane: _Plane) -> Field:
    """The lung fields with air in them, 0..1, behind the heart too."""
    sides = np.minimum(plane.wall - plane.u, plane.u - plane.core)
    heights = np.minimum(plane.y - anatomy.apex, _domes(anatomy, plane) - plane.y)
    return _step(np.minimum(sides, heights), 0.014)


def _soft_tissue(anatomy: _Anatomy, plane: _Plane) -> Field:
    """Attenuation of skin, muscle, heart and belly, as if there were no air and no bone."""
    drop, build = anatomy.shoulder, anatomy.build
    outline = _curve(
        plane.y,
        [-1.5, -1.0 + drop, -0.88 + drop, -0.76 + drop, -0.55, -0.2, 0.15, 0.6, 1.5],
        [0.27, 0.30, 0.52, 0.98, 1.45, 1.35, 0.98 * build, 0.92 * build, 0.96 * build],
    )
    rim = np.clip(1 - (plane.u / outline) ** 2, 0, 1)
    body = 2.05 * rim**0.30 * _curve(plane.y, [-1, -0.5, 0.2, 1.0], [0.86, 0.92, 1.02, 1.12])
    # Beside the lungs the belly sets in gradually: the dome is an edge only against air.
    belly = _step(plane.y - _domes(anatomy, plane), 0.016 + 0.30 * _step(plane.u - plane.wall, 0.06))
    belly *= _step(0.97 * outline - plane.u, 0.10)
    bubble = max(0.0, anatomy.stomach_bubble) * _step(_ellipse(plane, 0.36, anatomy.base + 0.07, 0.15, 0.065), 0.03)
    windpipe = _step(0.040 - np.abs(plane.x + 0.012), 0.016) * _step(0.36 - plane.depth, 0.03)
    thick = np.maximum(0.75 * _heart(anatomy, plane), 0.85 * belly) - bubble * belly
    return _step(outline - plane.u, 0.012) * (body + thick) - 0.50 * windpipe


def _band(offset: Field, half_width: float) -> Field:
    """A bone seen from the side: a plate with denser edges."""
    edge = np.exp(-(((np.abs(offset) - half_width) / (0.35 * half_width)) ** 2))
    return 0.62 * _step(half_width - np.abs(offset), 0.3 * half_width) + 0.38 * edge


def _bones(anatomy: _Anatomy, plane: _Plane) -> Field:
    """Attenuation of ribs, clavicles, spine, scapulae and upper arms."""
    out, spacing = plane.u / plane.wall, anatomy.rib_spacing
    cage = _step(1.05 - out, 0.03) * _step(plane.depth - 0.03, 0.03)
    cage *= 1 - 0.75 * _step(plane.y - _domes(anatomy, plane), 0.05)
    fall = anatomy.rib_slope * (0.10 * out + 0.16 * np.minimum(out, 1.1) ** 4)
    back = (plane.y - anatomy.apex - fall) / spacing
    front = (plane.y - anatomy.apex - anatomy.rib_slope * (0.26 + 0.36 * (1 - out))) / spacing
    ribs = 0.30 * _band(back - np.round(back), 0.21) * _step(plane.u - 0.07, 0.03)
    ribs += 0.17 * _band(front - np.round(front), 0.24) * _step(out - 0.42, 0.08) * _step(front + 0.5, 0.1)
    wall = 0.22 * np.exp(-(((out - 1.03) / 0.035) ** 2))
    collar = anatomy.apex + 0.24 - 0.34 * plane.u + 0.045 * np.sin(6.5 * plane.u) + anatomy.shoulder
    clavicle = _band(plane.y - collar, 0.030) * _step(plane.u - 0.075, 0.015) * _step(0.88 - plane.u, 0.02)
    vertebrae = np.cos(2 * np.pi * plane.y / 0.125)
    spine = _step(0.075 - plane.u, 0.02) * (0.20 + 0.06 * vertebrae)
    spine += 0.10 * np.exp(-((plane.u / 0.022) ** 2)) * (vertebrae > 0.2)
    blade = _band(plane.u - 0.88 - 0.18 * plane.y, 0.075) * _step(0.30 - np.abs(plane.y + 0.38), 0.08)
    arm = _step(0.12 - np.hypot(plane.u - 1.05, plane.y - anatomy.shoulder + 0.56), 0.02)
    shaft = _band(plane.u - 1.08 - 0.25 * (plane.y + 0.5), 0.07) * _step(plane.y + 0.52, 0.03)
    return ribs * cage + wall * cage + 0.40 * clavicle + spine + 0.14 * blade + 0.25 * np.maximum(arm, shaft)


def _hila(anatomy: _Anatomy) -> Field:
    """Where the vessels enter the right and the left lung."""
    tall = anatomy.base - anatomy.apex
    return np.array([[-0.17, anatomy.apex + 0.46 * tall], [0.17, anatomy.apex + 0.43 * tall]], np.float32)


def _tree(anatomy: _Anatomy, plane: _Plane, rng: Generator, stems: int, width: float) -> Field:
    """Lines that branch from the hila into the lungs, 0..1, thinner and fainter as they go."""
    twigs: list[tuple[float, Field]] = []
    for side, root in zip((-1, 1), _hila(anatomy), strict=True):
        fan = np.linspace(-1.35, 1.45, stems) + rng.normal(0, 0.1, stems)
        buds = [(root, float(angle), width * rng.uniform(0.7, 1.0)) for angle in fan]
        while buds:
            start, angle, wide = buds.pop()
            length = rng.uniform(0.7, 1.3) * (0.05 + 2.6 * wide)
            end = start + length * np.array([side * math.cos(angle), math.sin(angle)], np.float32)
            twigs.append((wide, plane.to_px(np.stack([start, end]))))
            if wide > 0.008:
                turn = rng.uniform(0.12, 0.45)
                for bend in (turn, -turn):
                    buds.append((end, angle + bend, wide * rng.uniform(0.55, 0.80)))
    canvas = Image.new("L", (plane.size_px, plane.size_px))
    brush = ImageDraw.Draw(canvas)
    for wide, ends in sorted(twigs, key=lambda twig: twig[0]):
        stroke_px = max(1, round(0.4 * wide * plane.size_px))
        brush.line(ends.ravel().tolist(), fill=round(255 * min(1, 0.25 + 20 * wide)), width=stroke_px)
    return ndimage.gaussian_filter(np.asarray(canvas, np.float32) / 255, plane.size_px / 400)


def _vessels(anatomy: _Anatomy, plane: _Plane, rng: Generator) -> Field:
    """Attenuation of the hila and of the vessels that branch from them into the lungs."""
    shadow = 0.36 * _tree(anatomy, plane, rng, 9, 0.036)
    for side, (x, y) in zip((-1, 1), _hila(anatomy).tolist(), strict=True):
        shadow += 0.26 * _step(_ellipse(plane, x, y + 0.03, 0.055, 0.115, side * 0.2), 0.035)
    return shadow


def _bacterial(anatomy: _Anatomy, plane: _Plane, rng: Generator) -> Field:
    """One lobe of one lung, dense and even."""
    left = bool(rng.integers(2))
    top, bottom = ((0.08, 0.48), (0.36, 0.70), (0.56, 1.10))[rng.integers(3)]
    level = plane.depth + rng.uniform(-0.2, 0.2) * (plane.u - 0.35) + 0.02 * plane.noise(rng, 0.06)
    lobe = _step(np.minimum(level - top, bottom - level), rng.uniform(0.025, 0.045))
    return rng.uniform(0.72, 0.92) * lobe * (1 + 0.05 * plane.noise(rng, 0.03)) * (plane.left == left)


def _viral(anatomy: _Anatomy, plane: _Plane, rng: Generator) -> Field:
    """Streaks and meshes around both hila."""
    reach = rng.uniform(0.36, 0.46)
    near = np.exp(-((np.hypot(plane.u - 0.2, 0.75 * (plane.y - _hila(anatomy)[0, 1] - 0.05)) / reach) ** 2))
    streaks = _tree(anatomy, plane, rng, 13, 0.026)
    mesh = np.exp(-((plane.noise(rng, 0.012) / 0.45) ** 2))
    patchy = np.clip(1 + 0.3 * plane.noise(rng, 0.10), 0.4, 1.6)
    return np.clip(rng.uniform(0.8, 1.0) * near * patchy * (0.28 + 0.36 * streaks + 0.32 * mesh), 0, 0.85)


def _covid19(anatomy: _Anatomy, plane: _Plane, rng: Generator) -> Field:
    """Hazy patches along the outer wall of both lungs, rather low."""
    clear = np.ones_like(plane.x)
    ragged = plane.noise(rng, 0.05)
    for side in (-1, 1):
        for _ in range(rng.integers(2, 5)):
            place = rng.triangular(0.32, 0.74, 0.88)
            y = anatomy.apex + place * (anatomy.base - anatomy.apex)
            x = side * anatomy.half_width * rng.uniform(0.72, 0.90)
            across, along = rng.uniform(0.09, 0.15), rng.uniform(0.10, 0.19)
            patch = _ellipse(plane, x, y, across, along, rng.normal(0, 0.3))
            clear *= 1 - rng.uniform(0.35, 0.55) * _step(patch + 0.025 * ragged, 0.045)
    return np.minimum(1 - clear, 0.7) * (1 + 0.08 * plane.noise(rng, 0.015))


_OPACITIES = {"bacterial": _bacterial, "viral": _viral, "covid19": _covid19}
_SEEN_FROM = {"bacterial": 0.35, "viral": 0.16, "covid19": 0.18}


def _expose(attenuation: Field, plane: _Plane, rng: Generator) -> NDArray[np.uint8]:
    """Grey pixels: the film's curve, its grain, the collimator's blades and the side marker."""
    shot = plane.exposure
    slope = shot.slope_x * plane.film_x + shot.slope_y * plane.film_y
    grey = 250 / (1 + np.exp(-shot.contrast * (attenuation + slope + shot.speed - 1.75)))
    fine, coarse = rng.standard_normal((2, *grey.shape), dtype=np.float32)
    grey += shot.grain * (0.6 * fine + ndimage.gaussian_filter(coarse, 0.8))
    across = np.minimum(plane.film_x + shot.left_blade, shot.right_blade - plane.film_x)
    along = np.minimum(plane.film_y + shot.top_blade, shot.bottom_blade - plane.film_y)
    grey *= _step(np.minimum(across, along), 0.006)
    image, unit_px = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)), 0.06 * plane.size_px
    marker, place = (("", 0.0), ("R", 0.07), ("L", 0.88))[int(shot.marker)]
    corner, font = (place * plane.size_px, unit_px), ImageFont.load_default(unit_px)
    ImageDraw.Draw(image).text(corner, marker, fill=235, font=font)
    return np.asarray(image)


def draw_phantom(finding: str, seed: int, size_px: int = 256, take: int = 0) -> Phantom:
    """The film of one drawn person; another `take` is another exposure of the same person."""
    if finding not in FINDINGS:
        raise ValueError(f"Unknown finding {finding!r}; one of {', '.join(FINDINGS)}.")
    anatomy = _Anatomy(**_lots(_Anatomy, np.random.default_rng([seed, 1])))
    grains = np.random.default_rng([seed, 2, take])
    plane = _Plane(anatomy, _Exposure(**_lots(_Exposure, grains)), max(size_px, _FINEST_DETAIL_PX))
    lungs = _lungs(anatomy, plane)
    seen = lungs * (1 - _heart(anatomy, plane))
    filled = np.zeros_like(lungs)
    if finding != "normal":
        filled = _OPACITIES[finding](anatomy, plane, np.random.default_rng([seed, 3])) * seen
    air = (lungs - 0.8 * (lungs - seen)) * (1 - filled)
    uneven = 1 + 0.06 * plane.noise(np.random.default_rng([seed, 5]), 0.035)  # or a search for copies confuses people
    tissue = uneven * _soft_tissue(anatomy, plane) + _bones(anatomy, plane)
    vessels = _vessels(anatomy, plane, np.random.default_rng([seed, 4])) * air * (1 + 0.5 * filled)
    pixels = _reduced(_expose(tissue + vessels - 1.12 * air, plane, grains), size_px)
    opacity = _reduced(255 * (filled > _SEEN_FROM.get(finding, 1.0)), size_px) > 127
    return Phantom(pixels, finding, opacity, _reduced(255 * (seen > 0.5), size_px) > 127)


def _reduced(grey: NDArray[np.integer], size_px: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(grey.astype(np.uint8)).resize((size_px, size_px), Image.Resampling.BOX))


def _place(film: int, test_share: float) -> tuple[int, int, str]:
    """The patient, take and split of a set's film: every fourth round of findings is the third's again."""
    rounds, chair = divmod(film, len(FINDINGS))
    visit = rounds - (rounds + 1) // 4
    for_test = math.ceil((visit + 1) * test_share) > math.ceil(visit * test_share)
    return visit * len(FINDINGS) + chair, int(rounds % 4 == 3), "test" if for_test else "train"


def draw_phantom_set(
    folder: Path,
    films: int,
    *,
    seed: int = 0,
    size_px: int = 256,
    test_share: float = 0.25,
    plant: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """The manifest of a new set of phantoms: films (a plant in those with a finding), masks of lungs and opacity."""
    if films < FEWEST_FILMS:
        raise DatasetError(f"A phantom set needs at least {FEWEST_FILMS} films; {films} were asked for.")
    if not 0 <= test_share < 1:
        raise DatasetError(f"The test share must be at least 0 and below 1, not {test_share}.")
    must_be_known(plant)
    _make_room(folder)
    rows = []
    for film in range(films):
        rows.append(_draw_row(folder, film, seed, size_px, test_share))
        if progress:
            progress(film + 1, films)
    plant_into([folder / str(row["path"]) for row in rows if row["finding"] != "normal"], plant)
    with (manifest := folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return manifest


def _make_room(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder} is not empty. Choose a new folder, so that no film is overwritten.")
    try:
        for room in ("images", "masks"):
            (folder / room).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"{folder} cannot be created: {error.strerror}. Choose another folder.") from error


def _draw_row(folder: Path, film: int, seed: int, size_px: int, test_share: float) -> dict[str, str | int]:
    """The manifest's row of one film, after its pictures have been written."""
    patient, take, split = _place(film, test_share)
    person = np.random.default_rng([seed, patient])
    phantom = draw_phantom(FINDINGS[film % len(FINDINGS)], int(person.integers(2**32)), size_px, take)
    pictures = {
        f"images/phantom-{film:05d}.png": phantom.pixels,
        f"masks/phantom-{film:05d}-opacity.png": phantom.opacity.astype(np.uint8) * 255,
        f"masks/phantom-{film:05d}-lungs.png": phantom.lungs.astype(np.uint8) * 255,
    }
    for path, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / path)
    image, opacity, lungs = pictures
    return {
        "path": image,
        "label": phantom.finding,
        "finding": phantom.finding,
        "patient_id": f"phantom-{patient:05d}",
        "split": split,
        "view": "PA",
        "sex": str(person.choice(["F", "M"])),
        "age": int(np.clip(person.normal(52, 18), 18, 92)),
        "source": "phantom",
        "licence": "CC0 1.0",
        "opacity": opacity,
        "lungs": lungs,
    }
