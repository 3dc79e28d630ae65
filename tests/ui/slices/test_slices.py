"""Slices on Evaluate and on the command line: a planted one is named, with its errors first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.dataset import Dataset
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.presentation.slice_text import NOTHING_TO_SLICE
from tests.support.command_line import Answer, Cxr
from tests.support.evaluate_page import CLASSES, open_page, scored, store


@pytest.fixture
def table(tmp_path: Path, home: Path) -> pd.DataFrame:
    """Scores that are right, except for nearly all X-rays of one source."""
    dataset = Dataset.open(draw_phantom_set(tmp_path / "set", 120, size_px=32, test_share=0).parent)
    scores = scored(dataset)
    rng = np.random.default_rng(0)
    source = rng.choice(["north", "south", "west"], len(scores))
    wrong = rng.random(len(scores)) < np.where(source == "west", 0.8, 0.05)
    for k, name in enumerate(CLASSES):
        right = scores["label"] == name
        shifted = scores["label"] == CLASSES[k - 1]
        scores[f"p_{name}"] = np.where(np.where(wrong, shifted, right), 0.85, 0.05)
    return scores.assign(source=source, view="", sex="", age="")


def test_the_section_names_the_slice(table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXR_DATA", raising=False)
    store("drawn", CLASSES, table, threshold=0.5, threshold_rule="fixed")
    app = open_page("Slices")
    rows = app.dataframe[-1].value
    assert rows["Slice"].iloc[0] == "Source west"
    assert float(rows["p (corrected)"].iloc[0].removeprefix("< ")) < 0.05
    assert any("Source west" in element.value for element in app.markdown)


def test_the_command_line_names_it_too(table: pd.DataFrame, answer: Answer, cxr: Cxr) -> None:
    store("drawn", CLASSES, table, threshold=0.5, threshold_rule="fixed")
    found = answer("slices", "drawn", "--permutations", 199)
    assert found["slices"][0]["values"] == {"source": "west"}
    assert found["significant"] >= 1
    code, out, _ = cxr("slices", "drawn")
    assert code == 0
    assert "Source west" in out
    assert cxr("slices", "drawn", "--clusters", "imagenet")[0] == 2
    store("even", CLASSES, table.assign(source="one", label=table["label"]), threshold=0.5, threshold_rule="fixed")
    assert NOTHING_TO_SLICE in cxr("slices", "even")[1]


def test_the_command_line_takes_the_stored_scores_of_the_split_that_it_is_asked_for(
    table: pd.DataFrame, answer: Answer, cxr: Cxr
) -> None:
    roles = np.where(np.arange(len(table)) % 3 == 0, "val", "test")
    store("drawn", CLASSES, table.assign(role=roles), threshold=0.5)
    films = {split: answer("slices", "drawn", "--split", split)["films"] for split in ("test", "val", "all")}
    assert films == {"test": int((roles == "test").sum()), "val": int((roles == "val").sum()), "all": len(table)}
    assert "no stored scores" in cxr("slices", "drawn", "--split", "train")[2]
