"""Two models on the same films: joined, tested, and their difference with its interval."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from cxr.core.errors import DatasetError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.comparison import ModelScores, compare_scores
from cxr.evaluation.evaluation import evaluate
from tests.support.score_tables import binary_metrics

TWO = LabelSpace(("normal", "covid19"))
FOUR = LabelSpace(("normal", "bacterial", "viral", "covid19"), {"pneumonia": ("bacterial", "viral", "covid19")})


def other_scores(table, labels, seed=9, noise=0.6):
    """The same films with other probabilities."""
    columns = [f"p_{name}" for name in labels.classes]
    p = table[columns].to_numpy() * np.random.default_rng(seed).lognormal(0, noise, (len(table), len(columns)))
    return table.assign(**dict(zip(columns, (p / p.sum(axis=1, keepdims=True)).round(6).T, strict=True)))


def pair(drawn, labels=TWO, **how):
    table = drawn(labels, films=300, patients=120, **how)
    return (
        ModelScores("old", table, labels, 0.5),
        ModelScores("new", other_scores(table, labels), labels, 0.5),
    )


def test_values_are_those_of_each_evaluation(drawn):
    for labels in (TWO, FOUR):
        old, new = pair(drawn, labels)
        found = compare_scores(old, new, 100)
        for k, one in enumerate((old, new)):
            alone = evaluate(labeled_cases(one.scores, labels, 0.5))
            assert found.accuracy[k].value == pytest.approx(alone.accuracy)
            assert found.auc[k].value == pytest.approx(binary_metrics(alone).auc)
        assert found.accuracy_difference.value == pytest.approx(found.accuracy[0].value - found.accuracy[1].value)
        assert (found.n, found.patients, found.left_out, found.question) == (300, 120 - missing(old), 0, "class")


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_two_classes_without_normal_are_compared_whatever_their_order(drawn, threshold):
    one, other = LabelSpace(("bacterial", "viral")), LabelSpace(("viral", "bacterial"))
    old, new = pair(drawn, one)
    turned = ModelScores("new", new.scores, other, round(1 - threshold, 6))
    alike = compare_scores(old, ModelScores("new", new.scores, one, threshold), 100)
    found = compare_scores(old, turned, 100)
    assert found.delong_p == pytest.approx(alike.delong_p)
    assert found.auc[1].value == pytest.approx(alike.auc[1].value)
    assert (found.accuracy, found.mcnemar_p) == (alike.accuracy, alike.mcnemar_p)
    assert found.differing["p_second"].tolist() == pytest.approx(alike.differing["p_second"].tolist())
    assert found.differing["second"].tolist() == alike.differing["second"].tolist()


def missing(one):
    return 120 - one.scores["patient"].nunique()


def test_the_difference_of_paired_films_is_surer_than_each_of_them(drawn):
    table = drawn(TWO, films=400, decimals=6)
    new = other_scores(table, TWO, noise=0.1)
    found = compare_scores(ModelScores("old", table, TWO, 0.5), ModelScores("new", new, TWO, 0.5), 500)

    def width(interval):
        return interval.high - interval.low

    assert width(found.auc_difference) < 0.5 * width(found.auc[0])


def test_the_order_of_the_models_turns_every_sign(drawn):
    old, new = pair(drawn)
    one, other = compare_scores(old, new, 400), compare_scores(new, old, 400)
    assert one.auc_difference.value == pytest.approx(-other.auc_difference.value)
    assert one.auc_difference.low == pytest.approx(-other.auc_difference.high, abs=0.003)
    assert (one.only_first_right, one.only_second_right) == (other.only_second_right, other.only_first_right)
    assert (one.mcnemar_p, one.delong_p) == (pytest.approx(other.mcnemar_p), pytest.approx(other.delong_p))


def test_of_one_film_a_patient_the_bootstrap_agrees_with_delong(drawn):
    table = drawn(TWO, films=400, decimals=6)
    new = other_scores(table, TWO)
    found = compare_scores(ModelScores("old", table, TWO, 0.5), ModelScores("new", new, TWO, 0.5))
    from scipy.stats import norm

    error = abs(found.auc_difference.value) / norm.isf(found.delong_p / 2)
    assert (found.auc_difference.high - found.auc_difference.low) / (2 * 1.96) == pytest.approx(error, rel=0.1)


def test_a_model_against_itself_differs_in_nothing(drawn):
    old, _ = pair(drawn)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare_scores(old, old, 50)
    assert vars(found.auc_difference) == {"value": 0, "low": 0, "high": 0}
    assert found.mcnemar_p == 1
    assert np.isnan(found.delong_p)
    assert found.differing.empty


def test_films_are_the_same_by_their_bytes_in_any_order_and_place(drawn):
    old, new = pair(drawn)
    shuffled = new.scores.sample(frac=1, random_state=0).assign(path="elsewhere.png", dataset="moved", patient=0)
    assert same(compare_scores(old, ModelScores("new", shuffled, TWO, 0.5), 50), compare_scores(old, new, 50))


def test_without_bytes_films_are_the_same_by_dataset_and_path(drawn):
    old, new = pair(drawn)
    bare = ModelScores("new", new.scores.drop(columns="film").iloc[::-1], TWO, 0.5)
    assert same(compare_scores(old, bare, 50), compare_scores(old, new, 50))


def same(one, other):
    return one.accuracy_difference == other.accuracy_difference and one.auc_difference == other.auc_difference


def test_films_of_one_model_only_or_of_another_label_are_left_out_and_counted(drawn):
    old, new = pair(drawn)
    fewer = new.scores.iloc[20:].reset_index(drop=True)
    fewer.loc[0, "label"] = "covid19" if fewer.loc[0, "label"] == "normal" else "normal"
    found = compare_scores(old, ModelScores("new", fewer, TWO, 0.5), 50)
    assert (found.n, found.left_out) == (279, 21)
    twice = ModelScores("new", pd.concat([new.scores, new.scores.iloc[:5]]), TWO, 0.5)
    assert compare_scores(old, twice, 50).n == 300


def test_models_of_other_classes_are_compared_by_what_they_share(drawn):
    table = drawn(FOUR, films=200)
    covid = table.assign(p_covid19=1 - table["p_normal"])[
        ["dataset", "path", "film", "patient", "label", "p_normal", "p_covid19"]
    ]
    found = compare_scores(ModelScores("four", table, FOUR, 0.5), ModelScores("two", covid, TWO, 0.5), 50)
    assert found.question == "normal or not"
    assert found.n == int(table["label"].isin(["normal", "covid19"]).sum())
    assert found.left_out == 200 - found.n
    assert found.differing.empty
    assert found.accuracy_difference.value == 0
    with pytest.raises(DatasetError) as refused:
        compare_scores(
            ModelScores("a", table, LabelSpace(("bacterial", "viral", "covid19")), None),
            ModelScores("b", table, TWO, 0.5),
        )
    assert refused.value.code == "dataset.different-questions"


def test_without_a_negative_class_the_classes_mean_auc_is_compared(drawn):
    labels = LabelSpace(("bacterial", "viral", "covid19"))
    old, new = pair(drawn, labels)
    found = compare_scores(old, new, 50)
    assert found.auc[0].value == pytest.approx(evaluate(labeled_cases(old.scores, labels, 0.5)).macro_auc)
    assert np.isnan(found.delong_p)
    assert "p_first" not in found.differing


def test_models_without_a_film_in_common_are_refused(drawn):
    old, new = pair(drawn)
    with pytest.raises(DatasetError) as refused:
        compare_scores(old, ModelScores("new", new.scores.assign(film="x"), TWO, 0.5))
    assert refused.value.code == "dataset.nothing-shared"


def test_the_films_they_differ_on_are_listed_with_both_answers_and_no_patient(drawn):
    old, new = pair(drawn)
    found = compare_scores(old, new, 50)
    listed = found.differing
    assert len(listed) == found.only_first_right + found.only_second_right > 0  # of two classes
    assert (listed["first"] != listed["second"]).all()
    row = listed.iloc[0]
    score = 1 - old.scores.set_index("path")["p_normal"][row["path"]]
    assert row["p_first"] == pytest.approx(score)
    assert row["first"] == ("covid19" if score >= 0.5 else "normal")
    assert row["film"] == old.scores.set_index("path")["film"][row["path"]]
    assert "patient" not in listed


def test_of_every_film_they_differ_on_the_correct_model_is_named(drawn):
    table = pd.DataFrame({"label": ["viral", "viral", "normal", "pneumonia"], "path": list("abcd"), "dataset": "drawn"})
    p = np.array([[0.1, 0.1, 0.8, 0.0], [0.9, 0.0, 0.1, 0.0], [0.1, 0.9, 0.0, 0.0], [0.1, 0.8, 0.1, 0.0]])
    q = np.array([[0.9, 0.0, 0.1, 0.0], [0.1, 0.1, 0.8, 0.0], [0.1, 0.0, 0.9, 0.0], [0.1, 0.1, 0.8, 0.0]])
    one, other = (table.assign(**{f"p_{name}": s[:, k] for k, name in enumerate(FOUR.classes)}) for s in (p, q))
    found = compare_scores(ModelScores("one", one, FOUR, 0.5), ModelScores("other", other, FOUR, 0.5), 10)
    assert found.differing["right"].tolist() == ["first", "second", "neither", "both"]
    assert (found.only_first_right, found.only_second_right) == (1, 1)
    assert "film" not in found.differing  # the scores came without


def test_a_comparison_is_strict_json_even_of_one_patient(drawn):
    old, new = pair(drawn)
    assert json.loads(json.dumps(compare_scores(old, new, 50).as_dict(), allow_nan=False))["n"] == 300
    first, second = (ModelScores(model.name, model.scores.iloc[:1], TWO, 0.5) for model in (old, new))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = json.loads(json.dumps(compare_scores(first, second, 50).as_dict(), allow_nan=False))
    assert said["n"] == 1
    assert said["auc"][0]["value"] is None
