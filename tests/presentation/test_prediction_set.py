"""The prediction set of an X-ray in words, for the page, the report and the command line."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.fitting.conformal import sets
from cxr.presentation.prediction_set import answers_in_set, prediction_set_sentence, with_prediction_set
from cxr.presentation.reading_summary import without_prediction
from cxr.presentation.report import batch_csv
from cxr.registry.local_fit import FINDING
from tests.support.predictions import FOUR, TWO, card_of, fitted, predicted, set_limits

BEGINS = "Prediction set (target coverage 90%): "


@pytest.mark.parametrize(
    ("p", "lowest", "sentence"),
    [
        ([0.7, 0.1, 0.1, 0.1], {"normal": 0.4, FINDING: 0.6}, f"{BEGINS}normal alone."),
        ([0.3, 0.4, 0.2, 0.1], {"normal": 0.4, FINDING: 0.6}, f"{BEGINS}a finding alone."),
        (
            [0.5, 0.3, 0.1, 0.1],
            {"normal": 0.4, FINDING: 0},
            f"{BEGINS}normal or a finding. The model cannot tell which.",
        ),
        (
            [0.5, 0.3, 0.1, 0.1],
            {"normal": 0.6, FINDING: 0.7},
            f"{BEGINS}empty. Every answer is less probable than on nearly all X-rays of the fit with that label.",
        ),
        (
            [0.3, 0.4, 0.2, 0.1],
            {"normal": 0.3, "bacterial": 0.3, "viral": 0.2, "covid19": 0.5},
            f"{BEGINS}normal, bacterial pneumonia or viral pneumonia. The model cannot tell which.",
        ),
    ],
)
def test_the_sentence_names_the_answers_that_are_not_ruled_out(
    p: list[float], lowest: dict[str, float], sentence: str
) -> None:
    assert prediction_set_sentence(predicted(FOUR, p, 0.4), fitted(FOUR, lowest)) == sentence


def test_without_a_fit_that_gives_sets_there_is_no_sentence() -> None:
    prediction = predicted(TWO, [0.3, 0.7], 0.5)
    assert prediction_set_sentence(prediction, card_of(TWO)) == ""
    assert prediction_set_sentence(prediction, fitted(TWO, None)) == ""


def test_a_withheld_reading_has_no_set() -> None:
    reading = {"gate": {"refused": True}, "decision": "normal", "prediction_set": ["normal"]}
    assert without_prediction(reading)["prediction_set"] is None
    assert "prediction_set" not in without_prediction({"gate": {"refused": True}, "decision": "normal"})


def test_a_class_that_is_called_finding_is_not_taken_for_all_findings() -> None:
    labels = LabelSpace(("normal", FINDING, "covid19"))
    prediction = predicted(labels, [0.1, 0.2, 0.7], 0.4)
    row = with_prediction_set({}, prediction, fitted(labels, {"normal": 0.4, FINDING: 0.6}))
    assert row["prediction_set"] == [FINDING]
    row = with_prediction_set({}, prediction, fitted(labels, {"normal": 0.4, FINDING: 0.6, "covid19": 0.5}))
    assert row["prediction_set"] == ["covid19"]


def test_the_table_of_readings_has_a_column_of_sets_where_a_model_gives_them() -> None:
    rows: list[dict[str, Any]] = [
        {"file": "a"},
        {"file": "b", "prediction_set": ["normal", FINDING]},
        {"file": "c", "prediction_set": []},
    ]
    read = list(csv.DictReader(io.StringIO(batch_csv(rows, ["normal"]))))
    assert [row["prediction_set"] for row in read] == ["", f"normal; {FINDING}", "(empty)"]
    assert "prediction_set" not in batch_csv(rows[:1], ["normal"])


@pytest.mark.parametrize("by_class", [False, True])
def test_the_answers_are_those_of_the_fit(by_class: bool) -> None:
    """The same sets as `conformal.sets`, whose coverage is tested; probabilities at a limit included."""
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.ones(4), 200).astype(np.float32).astype(float)
    asked = probabilities if by_class else np.stack([probabilities[:, 0], 1 - probabilities[:, 0]], axis=1)
    lowest = np.array([np.quantile(asked[:, k], 0.3, method="nearest") for k in range(asked.shape[1])])
    names = FOUR.classes if by_class else ("normal", FINDING)
    stored = set_limits(dict(zip(names, lowest.tolist(), strict=True)))
    expected = [[name for name, has in zip(names, row, strict=True) if has] for row in sets(asked, lowest)]
    assert [answers_in_set(predicted(FOUR, p.tolist()), stored) for p in probabilities] == expected
