"""Flaws of synthetic datasets: wrong labels in training alone, another machine, and limits."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr.films.synthetic.flaws import MOST_WRONG, Flaws
from cxr.films.synthetic.phantom import draw_phantom_set
from tests.support.datasets import raises_code


def rows_of(folder: Path, flaws: Flaws, films: int = 48) -> list[dict[str, str]]:
    with draw_phantom_set(folder, films, size_px=32, flaws=flaws).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_share_of_training_patients_has_wrong_labels_on_all_their_x_rays(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "set", Flaws(wrong_labels=0.25))
    people = {row["patient_id"] for row in rows if row["split"] == "train"}
    wrong = {row["patient_id"] for row in rows if row["label"] != row["finding"]}
    assert len(wrong) == round(0.25 * len(people))
    assert wrong <= people
    for row in rows:
        if row["patient_id"] in wrong:
            assert (row["label"] == "normal") == (row["finding"] != "normal")


def test_the_other_machine_has_other_gray_levels_and_is_another_source(tmp_path: Path) -> None:
    first, second = rows_of(tmp_path / "first", Flaws(), 8), rows_of(tmp_path / "second", Flaws(machine="second"), 8)
    assert {row["source"] for row in first} == {"phantom"}
    assert {row["source"] for row in second} == {"phantom-second"}
    for before, after in zip(first, second, strict=True):
        pixels = [
            np.asarray(Image.open(tmp_path / name / row["path"]), int)
            for name, row in {"first": before, "second": after}.items()
        ]
        assert pixels[1].mean() > pixels[0].mean() + 10
        assert pixels[1].max() <= 235


@pytest.mark.parametrize(
    ("code", "flaws"),
    [
        ("share", {"wrong_labels": MOST_WRONG + 0.01}),
        ("share", {"wrong_labels": -0.1}),
        ("share", {"wrong_labels": float("nan")}),
        ("unknown-machine", {"machine": "third"}),
        ("unknown-shortcut", {"shortcut": "ivy"}),
    ],
)
def test_flaws_out_of_bounds_are_refused(code: str, flaws: dict[str, object]) -> None:
    with raises_code(f"dataset.{code}"):
        Flaws(**flaws)  # type: ignore[arg-type]
