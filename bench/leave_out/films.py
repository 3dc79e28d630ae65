"""The X-rays of all sources as one table and one array of pixels."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

SIZE_PX = 224
EXPERIMENTS = Path(__file__).with_name("experiments.json")
FEWEST = 15  # films of a kind below which there is no figure
DATASETS = ("kermany", "covid-chestxray", "nih-adult", "radiography", "covid-cxnet", "tuberculosis")
CLASSES = ("normal", "bacterial", "viral", "covid19", "tuberculosis")
GROUPS = {"pneumonia": (1, 2, 3), "other": (1, 2, 3, 4)}  # the classes that a coarser label may be
OTHER_VIEWS = ("L", "CT")
VALIDATION = 0.15  # share of the patients


@dataclass(frozen=True, eq=False)
class Films:
    """X-rays with their labels; a film with two or more targets may be of any of these classes."""

    pixels: NDArray[np.uint8]  # (films, 224, 224)
    path: NDArray[np.str_]
    label: NDArray[np.str_]
    source: NDArray[np.str_]
    targets: NDArray[np.float32]  # (films, classes)
    validation: NDArray[np.bool_]
    official_test: NDArray[np.bool_]

    @property
    def normal(self) -> NDArray[np.bool_]:
        """Whether a film is of a healthy chest."""
        return self.label == "normal"

    @property
    def ill(self) -> NDArray[np.bool_]:
        """Whether a film shows a finding."""
        return ~self.normal & (self.targets.sum(axis=1) > 0)

    def of(self, *sources: str) -> NDArray[np.bool_]:
        """Whether a film is of one of these sources."""
        return np.isin(self.source, sources)


def read_films(data: Path, boxes: NDArray[np.float32] | None = None, pixels: bool = True) -> Films:
    """All frontal X-rays below this folder that have a label, read by every processor of the machine.

    `boxes` has a part of each X-ray to read alone: top, bottom, left, right, as shares of its sides; NaN: all of it.
    Without `pixels`, what is known of them alone.
    """
    table = pd.concat([_manifest(data / name) for name in DATASETS], ignore_index=True)
    table = table[~table["view"].isin(OTHER_VIEWS) & (table["label"] != "not-a-chest-xray")].reset_index(drop=True)
    paths = [str(data / path) for path in table["path"]] if pixels else []
    parts = np.full((len(table), 4), np.nan, np.float32) if boxes is None else boxes
    with ProcessPoolExecutor() as pool:
        rows = [
            np.zeros((0, SIZE_PX, SIZE_PX), np.uint8),
            *(row[None] for row in pool.map(_read, paths, parts, chunksize=64)),
        ]
    targets = np.zeros((len(table), len(CLASSES)), np.float32)
    for row, label in enumerate(table["label"]):
        targets[row, list(GROUPS.get(label, (CLASSES.index(label),) if label in CLASSES else ()))] = 1
    test = (table["split"] == "test").to_numpy()
    shares = np.array(
        [_share(patient or path) for patient, path in zip(table["patient_id"], table["path"], strict=True)]
    )
    label, source, path = (table[name].to_numpy(str) for name in ("label", "source", "path"))
    return Films(np.concatenate(rows), path, label, source, targets, (shares < VALIDATION) & ~test, test)


def _manifest(folder: Path) -> pd.DataFrame:
    """The manifest with paths that begin with the dataset's name; a second reading replaces the label."""
    table = pd.read_csv(folder / "manifest.csv", dtype=str).fillna("")
    second = folder / "second-reading.csv"
    if second.exists():
        readings = pd.read_csv(second, dtype=str)
        read_normal = set(readings["path"][readings["readers"] == "Normal"])
        table.loc[table["path"].isin(read_normal), "label"] = "normal"
    table["path"] = folder.name + "/" + table["path"]
    return table


def _share(name: str) -> float:
    """A number from 0 to 1 that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32


def _read(path: str, box: NDArray[np.float32]) -> NDArray[np.uint8]:
    with Image.open(os.fspath(path)) as image:
        gray = image.convert("RGB").convert("L") if image.mode != "L" else image.copy()
    if np.isfinite(box).all():
        top, bottom, left, right = (box * np.repeat(gray.size[::-1], 2)).round().astype(int)
        gray = gray.crop((left, top, right, bottom))
    return np.asarray(gray.resize((SIZE_PX, SIZE_PX), Image.Resampling.BILINEAR), np.uint8)
