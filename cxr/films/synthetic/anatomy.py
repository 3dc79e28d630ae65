"""The anatomy of a synthetic person: how much ribs, heart, vessels and findings attenuate the beam at each pixel.

Two people differ in their anatomy, two X-rays of one person in the pose; both are drawn at random.

Lengths are in half image widths: x runs from -1 (patient's right) to 1, y from -1 (head) to 1 (feet).
"""

import math
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Field = NDArray[np.floating]


def uniform_field(low: float, high: float) -> Any:
    """A dataclass field whose value is drawn uniformly from this range."""
    return field(metadata={"range": (low, high)})


@dataclass(frozen=True)
class Anatomy:
    """What differs between two healthy people."""

    apex: float = uniform_field(-0.80, -0.70)
    base: float = uniform_field(0.50, 0.68)
    half_width: float = uniform_field(0.66, 0.78)
    heart: float = uniform_field(0.85, 1.12)
    dome: float = uniform_field(0.12, 0.20)
    right_dome_rise: float = uniform_field(0.02, 0.07)
    rib_spacing: float = uniform_field(0.125, 0.155)
    rib_slope: float = uniform_field(0.80, 1.25)
    shoulder: float = uniform_field(-0.06, 0.05)
    build: float = uniform_field(0.90, 1.12)
    stomach_bubble: float = uniform_field(-0.50, 0.60)  # below zero: not visible


@dataclass(frozen=True)
class Pose:
    """How a person stands in front of the detector."""

    shift_x: float = uniform_field(-0.05, 0.05)
    shift_y: float = uniform_field(-0.05, 0.05)
    zoom: float = uniform_field(0.95, 1.10)
    tilt: float = uniform_field(-0.045, 0.045)


def draw_fields(kind: type[Any], rng: Generator) -> dict[str, float]:
    """A random value for each field of the dataclass, by name."""
    return {field.name: rng.uniform(*field.metadata["range"]) for field in fields(kind)}


class Plane:
    """The image's pixels in the patient's own coordinates."""

    def __init__(self, anatomy: Anatomy, pose: Pose, size_px: int) -> None:
        self.size_px, self.pose = size_px, pose
        axis = ((np.arange(size_px) + 0.5) * 2 / size_px - 1).astype(np.float32)
        self.film_x, self.film_y = np.meshgrid(axis, axis)
        cos, sin = self.rotation = math.cos(pose.tilt), math.sin(pose.tilt)
        right, down = self.film_x - pose.shift_x, self.film_y - pose.shift_y
        self.x = (cos * right + sin * down) / pose.zoom
        self.y = (cos * down - sin * right) / pose.zoom
        self.left = self.x > 0  # the patient's left is on the viewer's right
        self.u = np.abs(self.x)
        self.depth = (self.y - anatomy.apex) / (anatomy.base - anatomy.apex)  # 0 at the apex, 1 at the base
        above = np.clip(1 - self.depth, 0, 1)
        self.wall = anatomy.half_width * (0.40 + 0.60 * (1 - above**2.9) ** 0.62)
        self.core = 0.10 + (0.40 * anatomy.half_width - 0.10) * above**13

    def to_px(self, points: Field) -> Field:
        """Pixel coordinates of an (n, 2) array of points."""
        pose, (cos, sin) = self.pose, self.rotation
        rotated = points @ np.array([[cos, sin], [-sin, cos]]) * pose.zoom
        return (rotated + (1 + pose.shift_x, 1 + pose.shift_y)) * self.size_px / 2

    def noise(self, rng: Generator, scale: float) -> Field:
        """Smooth noise of unit variance with features of about the length `scale`."""
        grain = rng.standard_normal(self.x.shape, dtype=np.float32)
        field = ndimage.gaussian_filter(grain, scale * self.size_px / 2, mode="wrap", truncate=2.5)
        return field / field.std()


def step(inside: Field, softness: float | Field) -> Field:
    """1 where `inside` is well above zero, 0 where well below, with a soft transition."""
    return 0.5 + 0.5 * np.tanh(inside / softness)


def _ellipse(plane: Plane, x: float, y: float, across: float, along: float, lean: float = 0.0) -> Field:
    """The approximate signed distance to an ellipse, positive inside; it may lean to the patient's left."""
    right, down = plane.x - x, plane.y - y
    cos, sin = math.cos(lean), math.sin(lean)
    radius = np.hypot((cos * right + sin * down) / across, (cos * down - sin * right) / along)
    return (1 - radius) * min(across, along)


def _curve(along: Field, knots: list[float], values: list[float]) -> Field:
    """A value for each position `along` a line, smooth through the knots."""
    fine = np.linspace(-1.5, 1.5, 301)
    smooth = ndimage.gaussian_filter1d(np.interp(fine, knots, values), 5.0)
    return np.interp(along, fine, smooth).astype(np.float32)


def _domes(anatomy: Anatomy, plane: Plane) -> Field:
    """The height of the diaphragm at each pixel's column."""
    rise = np.where(plane.left, 0.0, anatomy.right_dome_rise)
    position = np.minimum(plane.u / anatomy.half_width - 0.42, 0.60) / 0.58
    return anatomy.base - rise - anatomy.dome * (1 - position**2)


def heart(anatomy: Anatomy, plane: Plane) -> Field:
    """The shadow of the heart and great vessels, 0 to 1."""
    depths = [-0.6, 0.05, 0.20, 0.29, 0.38, 0.46, 0.60, 0.74, 0.88, 1.00, 1.15]
    left = _curve(plane.depth, depths, [0.09, 0.11, 0.13, 0.19, 0.13, 0.165, 0.26, 0.38, 0.43, 0.42, 0.36])
    right = _curve(plane.depth, depths, [0.09, 0.10, 0.11, 0.115, 0.105, 0.11, 0.17, 0.20, 0.19, 0.15, 0.13])
    size = 1 + (anatomy.heart - 1) * step(plane.depth - 0.58, 0.12)
    return step(np.where(plane.left, left, right) * size - plane.u, 0.016)


def lungs(anatomy: Anatomy, plane: Plane) -> Field:
    """The aerated lung fields, 0 to 1, also behind the heart."""
    sides = np.minimum(plane.wall - plane.u, plane.u - plane.core)
    heights = np.minimum(plane.y - anatomy.apex, _domes(anatomy, plane) - plane.y)
    return step(np.minimum(sides, heights), 0.014)


def soft_tissue(anatomy: Anatomy, plane: Plane) -> Field:
    """The attenuation of skin, muscle, heart and abdomen, without air and bone."""
    drop, build = anatomy.shoulder, anatomy.build
    outline = _curve(
        plane.y,
        [-1.5, -1.0 + drop, -0.88 + drop, -0.76 + drop, -0.55, -0.2, 0.15, 0.6, 1.5],
        [0.27, 0.30, 0.52, 0.98, 1.45, 1.35, 0.98 * build, 0.92 * build, 0.96 * build],
    )
    rim = np.clip(1 - (plane.u / outline) ** 2, 0, 1)
    body = 2.05 * rim**0.30 * _curve(plane.y, [-1, -0.5, 0.2, 1.0], [0.86, 0.92, 1.02, 1.12])
    # Beside the lungs the abdomen begins gradually: the dome is an edge only against air.
    abdomen = step(plane.y - _domes(anatomy, plane), 0.016 + 0.30 * step(plane.u - plane.wall, 0.06))
    abdomen *= step(0.97 * outline - plane.u, 0.10)
    bubble = max(0.0, anatomy.stomach_bubble) * step(_ellipse(plane, 0.36, anatomy.base + 0.07, 0.15, 0.065), 0.03)
    windpipe = step(0.040 - np.abs(plane.x + 0.012), 0.016) * step(0.36 - plane.depth, 0.03)
    thick = np.maximum(0.75 * heart(anatomy, plane), 0.85 * abdomen) - bubble * abdomen
    return step(outline - plane.u, 0.012) * (body + thick) - 0.50 * windpipe


def _band(offset: Field, half_width: float) -> Field:
    """A bone in projection: a plate with denser edges."""
    edge = np.exp(-(((np.abs(offset) - half_width) / (0.35 * half_width)) ** 2))
    return 0.62 * step(half_width - np.abs(offset), 0.3 * half_width) + 0.38 * edge


def bones(anatomy: Anatomy, plane: Plane) -> Field:
    """The attenuation of ribs, clavicles, spine, scapulae and upper arms."""
    out, spacing = plane.u / plane.wall, anatomy.rib_spacing
    cage = step(1.05 - out, 0.03) * step(plane.depth - 0.03, 0.03)
    cage *= 1 - 0.75 * step(plane.y - _domes(anatomy, plane), 0.05)
    fall = anatomy.rib_slope * (0.10 * out + 0.16 * np.minimum(out, 1.1) ** 4)
    back = (plane.y - anatomy.apex - fall) / spacing
    front = (plane.y - anatomy.apex - anatomy.rib_slope * (0.26 + 0.36 * (1 - out))) / spacing
    ribs = 0.30 * _band(back - np.round(back), 0.21) * step(plane.u - 0.07, 0.03)
    ribs += 0.17 * _band(front - np.round(front), 0.24) * step(out - 0.42, 0.08) * step(front + 0.5, 0.1)
    wall = 0.22 * np.exp(-(((out - 1.03) / 0.035) ** 2))
    collar = anatomy.apex + 0.24 - 0.34 * plane.u + 0.045 * np.sin(6.5 * plane.u) + anatomy.shoulder
    clavicle = _band(plane.y - collar, 0.030) * step(plane.u - 0.075, 0.015) * step(0.88 - plane.u, 0.02)
    vertebrae = np.cos(2 * np.pi * plane.y / 0.125)
    spine = step(0.075 - plane.u, 0.02) * (0.20 + 0.06 * vertebrae)
    spine += 0.10 * np.exp(-((plane.u / 0.022) ** 2)) * (vertebrae > 0.2)
    blade = _band(plane.u - 0.88 - 0.18 * plane.y, 0.075) * step(0.30 - np.abs(plane.y + 0.38), 0.08)
    arm = step(0.12 - np.hypot(plane.u - 1.05, plane.y - anatomy.shoulder + 0.56), 0.02)
    shaft = _band(plane.u - 1.08 - 0.25 * (plane.y + 0.5), 0.07) * step(plane.y + 0.52, 0.03)
    return ribs * cage + wall * cage + 0.40 * clavicle + spine + 0.14 * blade + 0.25 * np.maximum(arm, shaft)


def _hila(anatomy: Anatomy) -> Field:
    """The positions of the right and the left hilum."""
    tall = anatomy.base - anatomy.apex
    return np.array([[-0.17, anatomy.apex + 0.46 * tall], [0.17, anatomy.apex + 0.43 * tall]], np.float32)


def _tree(anatomy: Anatomy, plane: Plane, rng: Generator, stems: int, width: float) -> Field:
    """Lines that branch from the hila into the lungs, 0 to 1, ever thinner and fainter."""
    wide, lines = _twigs(anatomy, rng, stems, width)
    order = np.argsort(wide, kind="stable")
    wide, lines_px = wide[order], plane.to_px(lines[order].reshape(-1, 2)).reshape(-1, 4)
    strokes_px = np.maximum(1, np.rint(0.4 * wide * plane.size_px)).astype(int)
    grays = np.rint(255 * np.minimum(1, 0.25 + 20 * wide)).astype(int)
    canvas = Image.new("L", (plane.size_px, plane.size_px))
    brush = ImageDraw.Draw(canvas)
    for line_px, gray, stroke_px in zip(lines_px.tolist(), grays.tolist(), strokes_px.tolist(), strict=True):
        brush.line(line_px, fill=gray, width=stroke_px)
    return ndimage.gaussian_filter(np.asarray(canvas, np.float32) / 255, plane.size_px / 400)


def _twigs(anatomy: Anatomy, rng: Generator, stems: int, width: float) -> tuple[Field, Field]:
    """The width of each twig of such a tree, and its start and end (twigs, 2, 2)."""
    wides: list[float] = []
    reaches: list[tuple[float, float, float]] = []  # length, cosine and sine
    parents: list[int] = []
    roots = _hila(anatomy)
    for root, side in enumerate((-1, 1)):
        fan = np.linspace(-1.35, 1.45, stems) + rng.normal(0, 0.1, stems)
        buds = [(root - 2, angle, width * _between(rng, 0.7, 1.0)) for angle in fan.tolist()]
        while buds:
            parent, angle, wide = buds.pop()
            length = _between(rng, 0.7, 1.3) * (0.05 + 2.6 * wide)
            twig = len(wides)
            wides.append(wide)
            parents.append(parent)
            reaches.append((length, side * math.cos(angle), math.sin(angle)))
            if wide > 0.008:
                turn = _between(rng, 0.12, 0.45)
                for bend in (turn, -turn):
                    buds.append((twig, angle + bend, wide * _between(rng, 0.55, 0.80)))
    steps = np.array(reaches, np.float32)
    steps = steps[:, :1] * steps[:, 1:]
    points = np.concatenate([np.empty_like(steps), roots])  # ends of twigs; the roots are the last two, -2 and -1
    for twig, parent in enumerate(parents):
        points[twig] = points[parent] + steps[twig]
    return np.array(wides), np.stack([points[parents], points[:-2]], axis=1)


def _between(rng: Generator, low: float, high: float) -> float:
    """A value between the two, as `rng.uniform` draws it, which takes ten times longer for a single one."""
    return low + (high - low) * rng.random()


def vessels(anatomy: Anatomy, plane: Plane, rng: Generator) -> Field:
    """The attenuation of the hila and of the vessels that branch from them into the lungs."""
    shadow = 0.36 * _tree(anatomy, plane, rng, 9, 0.036)
    for side, (x, y) in zip((-1, 1), _hila(anatomy).tolist(), strict=True):
        shadow += 0.26 * step(_ellipse(plane, x, y + 0.03, 0.055, 0.115, side * 0.2), 0.035)
    return shadow


def _bacterial(anatomy: Anatomy, plane: Plane, rng: Generator) -> Field:
    """Lobar consolidation: one lobe of one lung, dense and even."""
    left = bool(rng.integers(2))
    top, bottom = ((0.08, 0.48), (0.36, 0.70), (0.56, 1.10))[rng.integers(3)]
    level = plane.depth + rng.uniform(-0.2, 0.2) * (plane.u - 0.35) + 0.02 * plane.noise(rng, 0.06)
    lobe = step(np.minimum(level - top, bottom - level), rng.uniform(0.025, 0.045))
    return rng.uniform(0.72, 0.92) * lobe * (1 + 0.05 * plane.noise(rng, 0.03)) * (plane.left == left)


def _viral(anatomy: Anatomy, plane: Plane, rng: Generator) -> Field:
    """Interstitial markings: streaks and meshes around both hila."""
    reach = rng.uniform(0.36, 0.46)
    near = np.exp(-((np.hypot(plane.u - 0.2, 0.75 * (plane.y - _hila(anatomy)[0, 1] - 0.05)) / reach) ** 2))
    streaks = _tree(anatomy, plane, rng, 13, 0.026)
    mesh = np.exp(-((plane.noise(rng, 0.012) / 0.45) ** 2))
    patchy = np.clip(1 + 0.3 * plane.noise(rng, 0.10), 0.4, 1.6)
    return np.clip(rng.uniform(0.8, 1.0) * near * patchy * (0.28 + 0.36 * streaks + 0.32 * mesh), 0, 0.85)


def _covid19(anatomy: Anatomy, plane: Plane, rng: Generator) -> Field:
    """Ground-glass opacities: hazy peripheral patches in both lungs, mostly in the lower zones."""
    clear = np.ones_like(plane.x)
    ragged = plane.noise(rng, 0.05)
    for side in (-1, 1):
        for _ in range(rng.integers(2, 5)):
            depth = rng.triangular(0.32, 0.74, 0.88)
            y = anatomy.apex + depth * (anatomy.base - anatomy.apex)
            x = side * anatomy.half_width * rng.uniform(0.72, 0.90)
            across, along = rng.uniform(0.09, 0.15), rng.uniform(0.10, 0.19)
            patch = _ellipse(plane, x, y, across, along, rng.normal(0, 0.3))
            clear *= 1 - rng.uniform(0.35, 0.55) * step(patch + 0.025 * ragged, 0.045)
    return np.minimum(1 - clear, 0.7) * (1 + 0.08 * plane.noise(rng, 0.015))


OPACITIES = {"bacterial": _bacterial, "viral": _viral, "covid19": _covid19}
