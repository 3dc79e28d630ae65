"""The report of a comparison: one file, everything escaped, no file names, and a verdict that follows the intervals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxr import DISCLAIMER
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.comparison import Comparison, ModelScores, compare_scores
from cxr.presentation.comparison_report import comparison_html, verdict
from cxr.registry.card import Card
from tests.support.command_line import Answer
from tests.support.predictions import TWO, card_of

COUNT = 300


def scores(name: str, wrong: float, seed: int) -> ModelScores:
    """A model that errs on this share of the X-rays."""
    rng = np.random.default_rng(seed)
    ill = np.arange(COUNT) % 2 == 1
    positive = ill ^ (rng.random(COUNT) < wrong)
    p = np.where(positive, 0.9, 0.1) + rng.uniform(-0.05, 0.05, COUNT)
    table = pd.DataFrame({"film": [f"{i:016x}" for i in range(COUNT)], "dataset": "Doe^Jane", "source": "a"})
    table = table.assign(path=[f"Doe-{i}.png" for i in range(COUNT)], patient=range(COUNT))
    table = table.assign(label=np.where(ill, "covid19", "normal"), p_normal=1 - p, p_covid19=p)
    return ModelScores(name, table, LabelSpace(TWO.classes), 0.5)


def compared(first: float, second: float) -> Comparison:
    return compare_scores(scores("<b>one</b>", first, 1), scores("other", second, 2), resamples=200)


@pytest.fixture(scope="module")
def cards() -> list[Card]:
    return [card_of(TWO), card_of(TWO)]


def test_the_report_is_one_escaped_file_without_names_of_files(cards: list[Card]) -> None:
    asked = list[str]()

    def thumbnail(dataset: str, path: str, film: str) -> str:
        asked.append(path)
        return "data:image/jpeg;base64,AAAA"

    text = comparison_html(compared(0.1, 0.2), cards, thumbnail)
    assert text.startswith("<!doctype html>")
    assert DISCLAIMER in text
    assert "&lt;b&gt;one&lt;/b&gt;" in text
    assert "<b>one</b>" not in text
    assert "Doe" not in text
    assert asked
    assert text.count("<img ") == len(asked)
    assert "http" not in text  # nothing is loaded from elsewhere


def test_the_report_has_the_thresholds_that_predictions_were_made_at(cards: list[Card]) -> None:
    moved = replace(scores("moved", 0.1, 1), threshold=0.95)
    text = comparison_html(compare_scores(moved, scores("other", 0.2, 2), resamples=20), cards, lambda *_: "")
    assert "Threshold of moved: 0.950" in text
    assert "Threshold of other: 0.500" in text
    without = replace(moved, threshold=None)
    assert "moved predicts the most likely class" in comparison_html(
        compare_scores(without, without, resamples=20), cards, lambda *_: ""
    )


def test_the_verdict_follows_the_intervals() -> None:
    better = compared(0.05, 0.35)
    assert better.accuracy_difference.low > 0
    assert "higher accuracy" in verdict(better)[0]
    assert verdict(better)[0].startswith("<b>one</b>")
    worse = compared(0.35, 0.05)
    assert verdict(worse)[0].startswith("other")
    assert "-" not in verdict(worse)[0]  # the winner's lead is a positive number
    alike = compared(0.2, 0.2)
    assert alike.accuracy_difference.low < 0 < alike.accuracy_difference.high
    assert "includes 0" in verdict(alike)[0]
    few = compared(0.01, 0.01)
    assert len(verdict(few)) == 3


def test_the_command_line_writes_it(trained: Path, phantoms: Path, tmp_path: Path, answer: Answer) -> None:
    out = tmp_path / "reports" / "comparison.html"
    answer("compare", "first", "first", "--data", phantoms, "--report", out)
    assert out.read_text("utf-8").startswith("<!doctype html>")
