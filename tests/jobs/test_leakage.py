"""Leakage of training images into validation and test is reported and stored on the card."""

import shutil

import pandas as pd

from cxr.evaluation.scores import read_films
from cxr.jobs.leakage import Leakage, LeakageWarning, leakage_warnings
from cxr.jobs.run import SCORES
from cxr.jobs.training_plan import MERGED_COPIES
from cxr.registry import registry
from tests.support.notes import recorded_notes
from tests.support.training import WITHOUT_INPUT_CHECK, carry_out, tiny_recipe


def test_copies_that_the_manifest_puts_into_training_and_test_are_reported_on_the_card(
    home, phantoms, tmp_path, monkeypatch
):
    notes = recorded_notes(monkeypatch)
    folder = shutil.copytree(phantoms, tmp_path / "copies")
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    source = table["path"][table["split"] == "test"].iloc[0]
    for copy in table["path"][table["split"] == "train"].iloc[:40]:
        shutil.copy(folder / source, folder / copy)
    run = carry_out(tiny_recipe(training={"epochs": 1}), [folder], stages=WITHOUT_INPUT_CHECK)
    warning = LeakageWarning(Leakage.DUPLICATES, 40)
    assert registry.get_card("tiny").warnings == (warning.sentence,)
    assert warning.sentence in run.status.sentence
    assert MERGED_COPIES.format("41 images") in notes


def test_a_model_that_starts_from_a_model_trained_on_its_test_films_is_reported(trained, phantoms):
    other = tiny_recipe(training={"epochs": 1, "seed": 1}, trunk={"weights": "shelf:first"})
    run = carry_out(other, [phantoms], "child", WITHOUT_INPUT_CHECK)
    (warning,) = leakage_warnings(other, read_films(run.folder / SCORES))
    assert (warning.code, warning.parent) == (Leakage.PARENT_MODEL, "first")
    assert warning.count > 0
    assert registry.get_card("child").warnings == (warning.sentence,)
    assert warning.sentence in run.status.sentence
