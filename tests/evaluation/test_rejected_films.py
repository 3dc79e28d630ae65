"""X-rays of an evaluation that the input check rejects: known by their codes, counted, left out, excluded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxr.datasets.dataset import Dataset
from cxr.datasets.revisions.edits import EditKind
from cxr.evaluation.model_evaluation import evaluate_model
from cxr.evaluation.rejected_films import RejectedFilms, codes_text, rejection_of, without_rejected
from cxr.evaluation.stored_evaluations import store_evaluation
from cxr.inference.input_check.findings import InputCheckCode, InputCheckReason, InputCheckResult
from cxr.registry import registry


def test_the_codes_are_those_that_withhold_a_prediction() -> None:
    codes = (InputCheckCode.LATERAL, InputCheckCode.AGE)
    reasons = tuple(InputCheckReason(code, "A sentence.") for code in codes)
    assert rejection_of(InputCheckResult(True, reasons)) == "lateral"
    assert rejection_of(InputCheckResult(False, reasons)) == ""
    assert rejection_of(None) == ""
    assert codes_text(["unlike-training"]) == "unlike-training"
    assert codes_text([]) == "rejected"


@pytest.fixture(scope="module")
def with_a_blank_one(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawn X-rays in folders of their classes, one of them blank."""
    root = tmp_path_factory.mktemp("rejected") / "films"
    films = Dataset.open(phantoms)
    for i in range(12):
        folder = root / films.labels[i]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.png").write_bytes(films.read_bytes(i))
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(folder / "blank.png")
    return root


def test_an_evaluation_stores_which_x_rays_are_rejected_and_counts_them_all_the_same(
    trained: Path, with_a_blank_one: Path
) -> None:
    result = evaluate_model("first", [str(with_a_blank_one)], "all", lambda *_: None)
    assert result.evaluation.n == 13
    card = registry.get_card("first")
    scores = store_evaluation(card, "films", "all", result.scores).scores()
    rejected = RejectedFilms.among(scores)
    blank = rejected.table[rejected.table["path"].str.endswith("blank.png")]
    assert blank["rejected"].str.contains("blank").all()
    assert len(blank) == 1
    assert len(without_rejected(scores)) == 13 - len(rejected)
    dataset = Dataset.open(with_a_blank_one)
    assert rejected.are_in(dataset)
    edits, why = rejected.exclusions(dataset)
    assert {edit.kind for edit in edits} == {EditKind.EXCLUDE}
    assert [edit.subject for edit in edits] == rejected.table["path"].tolist()
    assert "blank" in why
    assert f"{len(rejected)} X-ray" in rejected.sentence


def test_scores_of_earlier_versions_have_none() -> None:
    table = pd.DataFrame({"path": ["a"], "p_normal": [0.5]})
    rejected = RejectedFilms.among(table)
    assert (len(rejected), rejected.sentence) == (0, "")
    assert without_rejected(table).equals(table)
