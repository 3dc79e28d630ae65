"""The page Evaluate where the input check rejects some of the X-rays."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.datasets.revisions.history import revisions
from cxr.evaluation.stored_evaluations import store_evaluation
from tests.support.evaluate_page import CLASSES, THRESHOLD, captions, metrics, open_page, press, run, scored, store

LEFT_OUT = "evaluate_rejected_left_out"


@pytest.fixture
def copied(home: Path, phantoms: Path, tmp_path: Path) -> Path:
    """A copy of the drawn X-rays that may be revised, known to the catalog."""
    folder = shutil.copytree(phantoms, tmp_path / "copied")
    catalog.add(folder)
    return folder


def test_rejected_films_are_counted_left_out_and_excluded_from_the_dataset(copied: Path) -> None:
    films = Dataset.open(copied)
    table = scored(films.where(films.table["split"] == "test"), role="").assign(rejected="")
    table.loc[table.index[:3], "rejected"] = ["lateral", "lateral", "inverted cropped"]
    card = store("drawn", CLASSES, table.assign(role="train"), threshold=THRESHOLD)
    store_evaluation(card, "copied", None, table)
    app = open_page()
    (expander,) = (one for one in app.expander if one.label.endswith(": 3"))
    assert "2 lateral and 1 inverted" in expander.markdown[0].value
    every = metrics(app)
    app.toggle(key=LEFT_OUT).set_value(True)
    app = run(app)
    assert metrics(app) != every
    assert "3 X-rays are left out" in captions(app)
    app.session_state["evaluate_rejected"] = True  # the section is opened, and finds its datasets then
    app = press(run(app), "evaluate_rejected_exclude_copied")
    assert len(Dataset.open(copied)) == len(films) - 3
    (revision,) = revisions(copied)
    assert {edit.subject for edit in revision.edits} == set(table["path"].iloc[:3])
    assert "lateral" in revision.why


def test_without_rejected_films_there_is_nothing_of_it(copied: Path) -> None:
    table = scored(Dataset.open(copied)).assign(rejected="")
    store("drawn", CLASSES, table, threshold=THRESHOLD)
    app = open_page()
    assert not [toggle for toggle in app.toggle if toggle.key == LEFT_OUT]


def test_another_hospitals_dataset_with_the_same_names_is_never_revised(home: Path, tmp_path: Path) -> None:
    first, second = (drawn(tmp_path / name / "xrays", shift) for name, shift in (("a", 0), ("b", 100)))
    others, own = catalog.add(first), catalog.add(second)
    films = Dataset.open(second)
    table = scored(films, role="").assign(rejected=["lateral", "lateral", *[""] * (len(films) - 2)])
    card = store("drawn", CLASSES, table.assign(role="train"), threshold=THRESHOLD)
    store_evaluation(card, "xrays", None, table)
    path = str(table["path"].iloc[1])
    (second / path).write_bytes((first / path).read_bytes())  # another X-ray now, which nobody has evaluated
    app = open_page()
    app.session_state["evaluate_rejected"] = True
    app = run(app)
    offered = [button.key for button in app.button if str(button.key).startswith("evaluate_rejected_exclude_")]
    assert offered == [f"evaluate_rejected_exclude_{own.name}"]
    app = press(app, f"evaluate_rejected_exclude_{own.name}")
    assert [edit.subject for edit in revisions(second)[0].edits] == [table["path"].iloc[0]]
    assert len(Dataset.open(first)) == len(films)
    assert not revisions(others.path)


def drawn(folder: Path, gray: int) -> Path:
    """A folder of eight images, whose names are those of any other such folder."""
    for number, label in enumerate(("normal", "viral") * 4):
        (folder / label).mkdir(parents=True, exist_ok=True)
        Image.new("L", (32, 32), gray + number).save(folder / label / f"{number}.png")
    return folder
