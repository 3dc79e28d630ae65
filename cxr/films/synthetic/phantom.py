"""Synthetic chest X-rays with known ground truth, for machines without real ones and for tests.

A phantom is drawn the way an X-ray is formed: attenuations add up along the beam, and an exposure converts them to
gray levels. Anatomy, exposure and opacity are drawn from separate random streams: for one seed, everything but the
lungs is the same whatever the finding.

Lengths are in half image widths: x runs from -1 (patient's right) to 1, y from -1 (head) to 1 (feet).
"""

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from cxr.core.errors import DatasetError
from cxr.films.synthetic import anatomy
from cxr.films.synthetic.anatomy import Anatomy, Field, Plane, Pose, draw_fields, step, uniform_field
from cxr.films.synthetic.flaws import NO_FLAWS, Flaws, Row, add_flaws

FINDINGS = ("normal", "bacterial", "viral", "covid19")
MINIMUM_FILMS = 8
_MINIMUM_DRAWN_PX = 128  # smaller images are drawn at this size and reduced, or ribs and vessels would alias


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic X-ray and its ground truth: masks of opacity and lungs."""

    pixels: NDArray[np.uint8]
    finding: str
    opacity: NDArray[np.bool_]
    lungs: NDArray[np.bool_]


@dataclass(frozen=True)
class _Exposure:
    """What differs between two X-rays of one person in one pose."""

    speed: float = uniform_field(-0.30, 0.26)
    contrast: float = uniform_field(1.45, 1.85)
    slope_x: float = uniform_field(-0.10, 0.10)
    slope_y: float = uniform_field(-0.10, 0.10)
    grain: float = uniform_field(2.0, 4.5)
    left_blade: float = uniform_field(0.93, 1.15)  # past 1 the collimator's blade is outside the image
    right_blade: float = uniform_field(0.93, 1.15)
    top_blade: float = uniform_field(0.93, 1.15)
    bottom_blade: float = uniform_field(0.93, 1.15)
    marker: float = uniform_field(0, 3)


_VISIBLE_FROM = {"bacterial": 0.35, "viral": 0.16, "covid19": 0.18}


def _expose(attenuation: Field, plane: Plane, shot: _Exposure, rng: Generator) -> NDArray[np.uint8]:
    """Gray pixels: exposure curve, grain, collimator blades and side marker."""
    slope = shot.slope_x * plane.film_x + shot.slope_y * plane.film_y
    gray = 250 / (1 + np.exp(-shot.contrast * (attenuation + slope + shot.speed - 1.75)))
    fine, coarse = rng.standard_normal((2, *gray.shape), dtype=np.float32)
    gray += shot.grain * (0.6 * fine + ndimage.gaussian_filter(coarse, 0.8))
    across = np.minimum(plane.film_x + shot.left_blade, shot.right_blade - plane.film_x)
    along = np.minimum(plane.film_y + shot.top_blade, shot.bottom_blade - plane.film_y)
    gray *= step(np.minimum(across, along), 0.006)
    image, unit_px = Image.fromarray(np.clip(gray, 0, 255).astype(np.uint8)), 0.06 * plane.size_px
    marker, place = (("", 0.0), ("R", 0.07), ("L", 0.88))[int(shot.marker)]
    corner, font = (place * plane.size_px, unit_px), ImageFont.load_default(unit_px)
    ImageDraw.Draw(image).text(corner, marker, fill=235, font=font)
    return np.asarray(image)


def draw_phantom(finding: str, seed: int, size_px: int = 256, exposure: int = 0) -> Phantom:
    """The X-ray of one synthetic person; another `exposure` number is another X-ray of the same person."""
    if finding not in FINDINGS:
        raise ValueError(f"Unknown finding {finding!r}: choose one of {', '.join(FINDINGS)}.")
    person = Anatomy(**draw_fields(Anatomy, np.random.default_rng([seed, 1])))
    pose_rng = np.random.default_rng([seed, 2, exposure])
    plane = Plane(person, Pose(**draw_fields(Pose, pose_rng)), max(size_px, _MINIMUM_DRAWN_PX))
    shot = _Exposure(**draw_fields(_Exposure, pose_rng))
    lungs = anatomy.lungs(person, plane)
    visible = lungs * (1 - anatomy.heart(person, plane))
    filled = np.zeros_like(lungs)
    if finding != "normal":
        filled = anatomy.OPACITIES[finding](person, plane, np.random.default_rng([seed, 3])) * visible
    air = (lungs - 0.8 * (lungs - visible)) * (1 - filled)
    # Without uneven tissue the search for copies takes two people for one.
    uneven = 1 + 0.06 * plane.noise(np.random.default_rng([seed, 5]), 0.035)
    tissue = uneven * anatomy.soft_tissue(person, plane) + anatomy.bones(person, plane)
    vessels = anatomy.vessels(person, plane, np.random.default_rng([seed, 4])) * air * (1 + 0.5 * filled)
    pixels = _reduced(_expose(tissue + vessels - 1.12 * air, plane, shot, pose_rng), size_px)
    opacity = _reduced(255 * (filled > _VISIBLE_FROM.get(finding, 1.0)), size_px) > 127
    return Phantom(pixels, finding, opacity, _reduced(255 * (visible > 0.5), size_px) > 127)


def _reduced(gray: NDArray[np.integer], size_px: int) -> NDArray[np.uint8]:
    """The image resized to this side."""
    return np.asarray(Image.fromarray(gray.astype(np.uint8)).resize((size_px, size_px), Image.Resampling.BOX))


def _patient_of(film: int, test_share: float) -> tuple[int, int, str]:
    """Patient, exposure and split of a film: every fourth round of findings repeats the third's patients."""
    rounds, finding = divmod(film, len(FINDINGS))
    visit = rounds - (rounds + 1) // 4
    for_test = math.ceil((visit + 1) * test_share) > math.ceil(visit * test_share)
    return visit * len(FINDINGS) + finding, int(rounds % 4 == 3), "test" if for_test else "train"


def draw_phantom_set(
    folder: Path,
    films: int,
    *,
    seed: int = 0,
    size_px: int = 256,
    test_share: float = 0.25,
    flaws: Flaws = NO_FLAWS,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """The manifest of a new dataset of phantoms, with masks; nothing is wrong with it but the flaws asked for."""
    if films < MINIMUM_FILMS:
        raise DatasetError(
            f"A synthetic dataset needs at least {MINIMUM_FILMS} X-rays, not {films}.", code="too-few-films"
        )
    if not 0 <= test_share < 1:
        raise DatasetError(f"The test share must be at least 0 and below 1, not {test_share}.", code="share")
    _make_folders(folder)
    rows = []
    for film in range(films):
        rows.append(_draw_row(folder, film, seed, size_px, test_share))
        if progress:
            progress(film + 1, films)
    add_flaws(folder, rows, flaws, seed)
    with (manifest := folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return manifest


def _make_folders(folder: Path) -> None:
    """Create the folders of the dataset, in a new or empty folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder} is not empty. Choose a new folder.", code="not-empty")
    try:
        for name in ("images", "masks"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(
            f"{folder} cannot be created: {error.strerror}. Choose another folder.", code="not-writable"
        ) from error


def _draw_row(folder: Path, film: int, seed: int, size_px: int, test_share: float) -> Row:
    """The manifest's row of one film, after writing its image and masks."""
    patient, exposure, split = _patient_of(film, test_share)
    person = np.random.default_rng([seed, patient])
    phantom = draw_phantom(FINDINGS[film % len(FINDINGS)], int(person.integers(2**32)), size_px, exposure)
    images = {
        f"images/phantom-{film:05d}.png": phantom.pixels,
        f"masks/phantom-{film:05d}-opacity.png": phantom.opacity.astype(np.uint8) * 255,
        f"masks/phantom-{film:05d}-lungs.png": phantom.lungs.astype(np.uint8) * 255,
    }
    for path, pixels in images.items():
        Image.fromarray(pixels).save(folder / path)
    image, opacity, lungs = images
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
