"""Drawn chest films with known truth, for a machine that has no real ones and for tests.

A phantom is painted the way a film comes about: attenuations add up along the beam, then an exposure turns
them into grey. Anatomy, exposure and opacity come by lot from separate streams: for one seed, all but the
lungs is the same whatever the finding.

Lengths are in half film widths: x runs from -1 (patient's right) to 1, y from -1 (head) to 1 (feet).
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
from cxr.films.synthetic.planted_shortcuts import check_known, plant_in_files

FINDINGS = ("normal", "bacterial", "viral", "covid19")
FEWEST_FILMS = 8
_FINEST_DETAIL_PX = 128  # smaller films are drawn at this size and reduced, or ribs and vessels would alias


@dataclass(frozen=True, eq=False)
class Phantom:
    """A drawn film, and where on it things are."""

    pixels: NDArray[np.uint8]
    finding: str
    opacity: NDArray[np.bool_]
    lungs: NDArray[np.bool_]


@dataclass(frozen=True)
class _Exposure:
    """What makes two films of one person in one pose differ."""

    speed: float = uniform_field(-0.30, 0.26)
    contrast: float = uniform_field(1.45, 1.85)
    slope_x: float = uniform_field(-0.10, 0.10)
    slope_y: float = uniform_field(-0.10, 0.10)
    grain: float = uniform_field(2.0, 4.5)
    left_blade: float = uniform_field(0.93, 1.15)  # past 1 the collimator's blade is outside of the film
    right_blade: float = uniform_field(0.93, 1.15)
    top_blade: float = uniform_field(0.93, 1.15)
    bottom_blade: float = uniform_field(0.93, 1.15)
    marker: float = uniform_field(0, 3)


_SEEN_FROM = {"bacterial": 0.35, "viral": 0.16, "covid19": 0.18}


def _expose(attenuation: Field, plane: Plane, shot: _Exposure, rng: Generator) -> NDArray[np.uint8]:
    """Grey pixels: the film's curve, its grain, the collimator's blades and the side marker."""
    slope = shot.slope_x * plane.film_x + shot.slope_y * plane.film_y
    grey = 250 / (1 + np.exp(-shot.contrast * (attenuation + slope + shot.speed - 1.75)))
    fine, coarse = rng.standard_normal((2, *grey.shape), dtype=np.float32)
    grey += shot.grain * (0.6 * fine + ndimage.gaussian_filter(coarse, 0.8))
    across = np.minimum(plane.film_x + shot.left_blade, shot.right_blade - plane.film_x)
    along = np.minimum(plane.film_y + shot.top_blade, shot.bottom_blade - plane.film_y)
    grey *= step(np.minimum(across, along), 0.006)
    image, unit_px = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)), 0.06 * plane.size_px
    marker, place = (("", 0.0), ("R", 0.07), ("L", 0.88))[int(shot.marker)]
    corner, font = (place * plane.size_px, unit_px), ImageFont.load_default(unit_px)
    ImageDraw.Draw(image).text(corner, marker, fill=235, font=font)
    return np.asarray(image)


def draw_phantom(finding: str, seed: int, size_px: int = 256, take: int = 0) -> Phantom:
    """The film of one drawn person; another `take` is another exposure of the same person."""
    if finding not in FINDINGS:
        raise ValueError(f"Unknown finding {finding!r}; one of {', '.join(FINDINGS)}.")
    person = Anatomy(**draw_fields(Anatomy, np.random.default_rng([seed, 1])))
    grains = np.random.default_rng([seed, 2, take])
    plane = Plane(person, Pose(**draw_fields(Pose, grains)), max(size_px, _FINEST_DETAIL_PX))
    shot = _Exposure(**draw_fields(_Exposure, grains))
    lungs = anatomy.lungs(person, plane)
    seen = lungs * (1 - anatomy.heart(person, plane))
    filled = np.zeros_like(lungs)
    if finding != "normal":
        filled = anatomy.OPACITIES[finding](person, plane, np.random.default_rng([seed, 3])) * seen
    air = (lungs - 0.8 * (lungs - seen)) * (1 - filled)
    uneven = 1 + 0.06 * plane.noise(np.random.default_rng([seed, 5]), 0.035)  # or a search for copies confuses people
    tissue = uneven * anatomy.soft_tissue(person, plane) + anatomy.bones(person, plane)
    vessels = anatomy.vessels(person, plane, np.random.default_rng([seed, 4])) * air * (1 + 0.5 * filled)
    pixels = _reduced(_expose(tissue + vessels - 1.12 * air, plane, shot, grains), size_px)
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
    check_known(plant)
    _make_room(folder)
    rows = []
    for film in range(films):
        rows.append(_draw_row(folder, film, seed, size_px, test_share))
        if progress:
            progress(film + 1, films)
    plant_in_files([folder / str(row["path"]) for row in rows if row["finding"] != "normal"], plant)
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
