"""The comparison of two models in tables, sentences and questions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest

from cxr.core.number_format import counted
from cxr.datasets.labels import LabelSpace, display_name
from cxr.evaluation.comparison import ModelScores, compare_scores
from cxr.presentation.comparison_tables import (
    DIFFERENCE,
    SAME_PREDICTIONS,
    comparison_definitions,
    comparison_sentence,
    comparison_table,
    disagreement_sentence,
    disagreement_table,
    shared_questions,
    significance_definitions,
)
from cxr.presentation.metric_definitions import DEFINITIONS

TWO = LabelSpace(("normal", "covid19"))
THREE = LabelSpace(("a", "b", "c"))
Pair = tuple[ModelScores, ModelScores]


def model_scores(name: str, threshold: float, films: Iterable[int] = range(40), seed: int = 0) -> ModelScores:
    rng = np.random.default_rng(seed)
    films = list(films)
    ill = np.array([i % 2 for i in films], bool)
    p = np.clip(rng.normal(0.35 + 0.3 * ill, 0.2), 0, 1)
    table = pd.DataFrame({"film": [f"{i:016x}" for i in films], "dataset": "a", "path": [str(i) for i in films]})
    table = table.assign(patient=films, label=np.where(ill, "covid19", "normal"), p_normal=1 - p, p_covid19=p)
    return ModelScores(name, table, TWO, threshold)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return model_scores("one", 0.5), model_scores("other", 0.9, range(10, 50), seed=1)


def test_the_table_has_both_models_and_their_difference_with_intervals(pair: Pair) -> None:
    comparison = compare_scores(*pair, resamples=100)
    table = comparison_table(comparison)
    assert list(table) == ["Metric", "one", "other", DIFFERENCE]
    assert table["one"][0] == comparison.accuracy[0].text()
    assert table[DIFFERENCE][1] == comparison.auc_difference.text()


def test_the_sentence_has_the_counts_and_the_tests(pair: Pair) -> None:
    comparison = compare_scores(*pair, resamples=100)
    sentence = comparison_sentence(comparison)
    assert sentence.startswith("30 X-rays from 30 patients")
    assert f"one is correct on {comparison.only_first_right}" in sentence
    assert sentence.count("p = ") + sentence.count("p < ") == 2


def test_only_tests_that_were_made_are_defined(pair: Pair) -> None:
    comparison = compare_scores(*pair, resamples=10)
    assert DEFINITIONS["McNemar"] in significance_definitions(comparison)
    assert DEFINITIONS["DeLong"] in significance_definitions(comparison)
    same = compare_scores(pair[0], pair[0], resamples=10)
    assert DEFINITIONS["DeLong"] not in significance_definitions(same)
    assert DEFINITIONS["Multiclass accuracy"] in comparison_definitions(comparison)
    assert DEFINITIONS["AUC"] in comparison_definitions(comparison)


def test_disagreements_are_listed_and_counted_by_which_model_is_correct(pair: Pair) -> None:
    comparison = compare_scores(*pair, resamples=10)
    table = disagreement_table(comparison)
    columns = ["Reference", "one", "other", "Correct", "Score, one", "Score, other", "Dataset"]
    assert list(table) == columns  # no file name
    assert (table["one"] != table["other"]).all()
    assert (table["Correct"] == np.where(table["one"] == table["Reference"], "one", "other")).all()
    assert set(table["Reference"]) <= {display_name(name) for name in TWO.classes}
    counts = [len(table), 30, comparison.only_first_right, comparison.only_second_right, 0]
    words = disagreement_sentence(comparison).replace(":", "").replace(",", "").replace(".", "").split()
    assert [int(word) for word in words if word.isdecimal()] == counts


def test_models_with_the_same_predictions_have_no_disagreements(pair: Pair) -> None:
    comparison = compare_scores(pair[0], pair[0], resamples=10)
    assert disagreement_sentence(comparison) == SAME_PREDICTIONS.format(count=counted(40, "X-ray"))


def test_without_a_negative_class_disagreements_have_no_scores(pair: Pair) -> None:
    tables = [
        model.scores.assign(label="a", p_a=p, p_b=1 - p, p_c=0.0) for model, p in zip(pair, (0.9, 0.2), strict=True)
    ]
    first, second = (ModelScores(name, table, THREE, None) for name, table in zip("xy", tables, strict=True))
    table = disagreement_table(compare_scores(first, second, resamples=10))
    assert list(table) == ["Reference", "x", "y", "Correct", "Dataset"]
    assert table["Correct"].tolist() == ["x"] * 30


def test_both_models_answer_the_question_on_the_same_films(pair: Pair) -> None:
    questions = shared_questions(*pair)
    first, second = questions.values()
    assert list(questions) == ["one: COVID-19 vs normal", "other: COVID-19 vs normal"]
    assert (first.positive, second.positive) == ("one", "other")
    assert len(first.reference) == 30
    assert (first.reference == second.reference).all()


def test_without_a_negative_class_there_is_no_shared_question(pair: Pair) -> None:
    assert shared_questions(pair[0], ModelScores("third", pair[1].scores, THREE, None)) == {}
