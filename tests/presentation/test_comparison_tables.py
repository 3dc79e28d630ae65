"""Two models beside each other, in a table, in words and in curves."""

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.comparison import ModelScores, compare_scores
from cxr.presentation.comparison_tables import (
    comparison_table,
    comparison_words,
    differing_table,
    differing_words,
    figures_words,
    shared_questions,
    words_on_tests,
)
from cxr.presentation.evaluation_tables import MEANING

TWO = LabelSpace(("normal", "covid19"))


def contender(name, threshold, films=range(40), seed=0):
    rng = np.random.default_rng(seed)
    ill = np.array([i % 2 for i in films], bool)
    p = np.clip(rng.normal(0.35 + 0.3 * ill, 0.2), 0, 1)
    table = pd.DataFrame({"film": [f"{i:016x}" for i in films], "dataset": "a", "path": [str(i) for i in films]})
    table = table.assign(patient=list(films), label=np.where(ill, "covid19", "normal"), p_normal=1 - p, p_covid19=p)
    return ModelScores(name, table, TWO, threshold)


@pytest.fixture(scope="module")
def pair():
    return contender("one", 0.5), contender("other", 0.9, range(10, 50), seed=1)


def test_the_table_has_either_model_and_their_difference_with_intervals(pair):
    found = compare_scores(*pair, resamples=100)
    table = comparison_table(found)
    assert list(table) == ["", "one", "other", "Difference"]
    assert table["one"][0].startswith(f"{found.accuracy[0].value:.3f} (")
    assert table["Difference"][1].startswith(f"{found.auc_difference.value:.3f} (")


def test_the_words_say_of_which_films_and_what_the_tests_say(pair):
    found = compare_scores(*pair, resamples=100)
    words = comparison_words(found)
    assert words.startswith("On 30 films of 30 patients that neither was trained on.")
    assert f"one alone is right on {found.only_first_right}" in words
    assert "McNemar p" in words and "(DeLong)" in words


def test_the_words_say_what_the_tests_ask_and_the_figures_mean(pair):
    found = compare_scores(*pair, resamples=10)
    assert MEANING["McNemar"] in words_on_tests(found) and MEANING["DeLong"] in words_on_tests(found)
    assert "DeLong" not in words_on_tests(compare_scores(pair[0], pair[0], resamples=10))  # there is nothing to test
    assert figures_words(found) == f"Accuracy: {MEANING['Right class']} AUC: {MEANING['AUC']}"


def test_the_films_they_differ_on_are_counted_by_which_of_them_is_right(pair):
    found = compare_scores(*pair, resamples=10)
    table = differing_table(found)
    assert list(table) == ["Label", "one", "other", "Right", "Score, one", "Score, other", "Dataset"]  # no file name
    assert (table["one"] != table["other"]).all()
    assert (table["Right"] == np.where(table["one"] == table["Label"], "one", "other")).all()
    assert differing_words(found) == (
        f"They decide differently on {len(table)} of 30 films: one is right on {found.only_first_right} of them, "
        f"other on {found.only_second_right}, neither on 0."
    )


def test_models_that_decide_alike_differ_on_no_film(pair):
    found = compare_scores(pair[0], pair[0], resamples=10)
    assert differing_words(found) == "They decide alike on all 40 films."


def test_without_a_negative_class_the_films_they_differ_on_have_no_scores(pair):
    three = LabelSpace(("a", "b", "c"))
    tables = [one.scores.assign(label="a", p_a=p, p_b=1 - p, p_c=0.0) for one, p in zip(pair, (0.9, 0.2), strict=True)]
    found = compare_scores(*(ModelScores(n, t, three, None) for n, t in zip("xy", tables, strict=True)), resamples=10)
    assert list(differing_table(found)) == ["Label", "x", "y", "Right", "Dataset"]
    assert "x is right on 30 of them, y on 0, neither on 0" in differing_words(found)


def test_both_are_asked_of_the_same_films(pair):
    first, second = shared_questions(*pair)
    assert (first.name, second.name) == ("one: covid19", "other: covid19")
    assert len(first.reference) == 30
    assert (first.reference == second.reference).all()


def test_without_a_negative_class_there_is_no_question_to_both(pair):
    three = LabelSpace(("a", "b", "c"))
    assert shared_questions(pair[0], ModelScores("third", pair[1].scores, three, None)) == []
