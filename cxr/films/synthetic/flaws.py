"""What is wrong with a synthetic dataset on purpose, so that its owner can learn to find it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from cxr.core.errors import DatasetError
from cxr.films.synthetic.planted_shortcuts import check_shortcut_name, plant_in_files

MOST_WRONG = 0.4  # of the labels; with half of them wrong there is nothing to learn
NORMAL, TRAINING = "normal", "train"
Row = dict[str, str | int]


@dataclass(frozen=True)
class Flaws:
    """What is wrong with a synthetic dataset; nothing is, by default."""

    shortcut: str | None = None  # an artifact on every X-ray with a finding
    wrong_labels: float = 0.0  # the share of training patients whose label is wrong; the column `finding` stays right
    machine: str = "first"  # the X-ray machine, by which gray levels and sharpness differ

    def __post_init__(self) -> None:
        check_shortcut_name(self.shortcut)
        if not 0 <= self.wrong_labels <= MOST_WRONG:
            raise DatasetError(
                f"The share of wrong labels must be 0 to {MOST_WRONG}, not {self.wrong_labels}.", code="share"
            )
        if self.machine not in MACHINES:
            raise DatasetError(
                f"Unknown machine '{self.machine}': choose one of {', '.join(MACHINES)}.", code="unknown-machine"
            )


@dataclass(frozen=True)
class Machine:
    """How a machine turns exposure into pixels, against the first one."""

    gamma: float = 1.0
    darkest: int = 0
    brightest: int = 255
    blur: float = 0.0  # standard deviation, as a share of the image's side

    def __call__(self, path: Path) -> None:
        """Rewrite an image as this machine would have made it."""
        with Image.open(path) as image:
            gray = np.asarray(image, np.float32) / 255
        gray = ndimage.gaussian_filter(gray, self.blur * len(gray)) ** self.gamma
        levels = self.darkest + gray * (self.brightest - self.darkest)
        Image.fromarray(levels.round().astype(np.uint8)).save(path)


MACHINES: Mapping[str, Machine | None] = {"first": None, "second": Machine(0.55, 25, 235, 0.004)}
NO_FLAWS = Flaws()


def add_flaws(folder: Path, rows: list[Row], flaws: Flaws, seed: int) -> None:
    """Add the flaws to the images in this folder and to the rows of their manifest."""
    plant_in_files([folder / str(row["path"]) for row in rows if row["finding"] != NORMAL], flaws.shortcut)
    if machine := MACHINES[flaws.machine]:
        for row in rows:
            machine(folder / str(row["path"]))
            row["source"] = f"{row['source']}-{flaws.machine}"
    if flaws.wrong_labels:
        _mislabel(rows, flaws.wrong_labels, np.random.default_rng([seed, 6]))


def _mislabel(rows: list[Row], share: float, rng: np.random.Generator) -> None:
    """Give this share of the training patients a wrong label: normal instead of a finding, or the other way round."""
    findings = sorted({str(row["finding"]) for row in rows} - {NORMAL})
    people = sorted({str(row["patient_id"]) for row in rows if row["split"] == TRAINING})
    chosen = rng.permutation(people)[: round(share * len(people))]
    wrong = {str(person): str(rng.choice(findings)) for person in chosen}
    for row in rows:
        if (instead := wrong.get(str(row["patient_id"]))) and findings:
            row["label"] = instead if row["finding"] == NORMAL else NORMAL
