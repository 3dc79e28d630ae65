"""Questions, counts and cells against values worked out by hand and against scikit-learn."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import classification_report

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.decisions import ConfusionCounts, binary_questions, cell_films, class_report
from cxr.evaluation.evaluation import evaluate

THREE = LabelSpace(("normal", "bacterial", "viral"), {"pneumonia": ("bacterial", "viral")})
ROWS = [
    ("normal", 0.9, 0.05, 0.05),
    ("normal", 0.3, 0.6, 0.1),
    ("bacterial", 0.2, 0.7, 0.1),
    ("bacterial", 0.1, 0.3, 0.6),
    ("bacterial", 0.15, 0.25, 0.6),
    ("viral", 0.8, 0.1, 0.1),
    ("pneumonia", 0.1, 0.5, 0.4),
]


@pytest.fixture
def table():
    return pd.DataFrame(ROWS, columns=["label", "p_normal", "p_bacterial", "p_viral"])


def test_the_first_question_is_any_finding_and_then_comes_each_class(table):
    asked = binary_questions(labeled_cases(table, THREE, 0.5))
    assert [str(one) for one in asked] == [
        "pneumonia vs normal",
        "normal vs rest",
        "bacterial vs rest",
        "viral vs rest",
    ]
    assert len(asked[0].reference) == 7  # a film of pneumonia of either cause has an answer here
    assert len(asked[2].reference) == 6  # but none there
    assert asked[0].predicted.tolist() == [False, True, True, True, True, False, True]
    assert asked[0].scores[:2] == pytest.approx([0.1, 0.7])


def test_of_two_classes_the_positive_one_has_one_question():
    table = pd.DataFrame({"label": ["normal", "covid19"], "p_normal": [0.8, 0.1], "p_covid19": [0.2, 0.9]})
    names = [str(one) for one in binary_questions(labeled_cases(table, LabelSpace(("normal", "covid19")), 0.5))]
    assert names == ["covid19 vs normal", "normal vs rest"]


def test_without_a_negative_class_there_are_only_questions_of_classes():
    columns = {"p_a": [0.8, 0.1, 0.1], "p_b": [0.1, 0.8, 0.1], "p_c": [0.1, 0.1, 0.8]}
    asked = binary_questions(
        labeled_cases(pd.DataFrame({"label": ["a", "b", "c"], **columns}), LabelSpace(("a", "b", "c")), None)
    )
    assert [one.positive for one in asked] == ["a", "b", "c"]
    assert all((one.predicted == one.reference).all() for one in asked)


@pytest.mark.parametrize(
    ("space", "name"),
    [
        (LabelSpace(("normal", "covid19")), "covid19"),
        (THREE, "pneumonia"),
        (LabelSpace(THREE.classes, {"pneumonia": ("bacterial", "viral", "covid19")}), "pneumonia"),
        (LabelSpace(("normal", "bacterial", "nodule"), THREE.groups), "any finding"),
        (LabelSpace(("normal", "bacterial", "nodule"), {"other": ("bacterial", "nodule")}), "any finding"),
    ],
)
def test_what_is_not_normal_has_a_name(space, name):
    assert space.finding == name


def test_counts_are_those_worked_out_by_hand(table):
    counts = ConfusionCounts.from_question(binary_questions(labeled_cases(table, THREE, 0.5))[0])
    assert counts == ConfusionCounts(true_positive=4, false_negative=1, false_positive=1, true_negative=1)
    assert (counts.sensitivity, counts.specificity) == (0.8, 0.5)
    assert (counts.precision, counts.f1, counts.accuracy) == (0.8, 0.8, pytest.approx(5 / 7))
    assert counts.prevalence == pytest.approx(5 / 7)


def test_predictive_values_follow_the_prevalence():
    counts = ConfusionCounts(true_positive=90, false_negative=10, false_positive=20, true_negative=80)
    assert counts.ppv(counts.prevalence) == pytest.approx(counts.precision)
    assert counts.ppv(0.01) == pytest.approx(0.9 * 0.01 / (0.9 * 0.01 + 0.2 * 0.99))
    assert counts.npv(0.01) == pytest.approx(0.8 * 0.99 / (0.8 * 0.99 + 0.1 * 0.01))


def test_a_share_of_nothing_is_not_a_number():
    nothing = ConfusionCounts(true_positive=0, false_negative=0, false_positive=0, true_negative=3)
    assert math.isnan(nothing.sensitivity)
    assert math.isnan(nothing.ppv(0.5))
    assert nothing.specificity == 1


def test_the_report_of_classes_is_scikit_learns(table):
    table = table[table["label"] != "pneumonia"]
    evaluation = evaluate(labeled_cases(table, THREE, 0.5))
    report = class_report(evaluation).set_index("class")
    decided = THREE.decide(table[["p_normal", "p_bacterial", "p_viral"]].to_numpy(), 0.5)
    said = np.array(THREE.classes)[decided]
    theirs = classification_report(table["label"], said, output_dict=True, zero_division=0)
    for name, of in {**dict(zip(THREE.classes, THREE.classes, strict=True)), "macro average": "macro avg"}.items():
        mine = list(report.loc[name, ["precision", "recall", "F1"]])
        assert mine == pytest.approx([theirs[of][key] for key in ("precision", "recall", "f1-score")])
    weighted = list(report.loc["weighted average", ["precision", "recall", "F1"]])
    assert weighted == pytest.approx([theirs["weighted avg"][key] for key in ("precision", "recall", "f1-score")])


def test_without_a_film_of_one_class_the_averages_are_not_numbers(table):
    coarse = table[table["label"] == "pneumonia"]
    report = class_report(evaluate(labeled_cases(coarse, THREE, 0.5)))
    assert report["films"].eq(0).all()
    assert report[["precision", "recall", "F1"]].isna().all(axis=None)


def test_the_films_of_a_cell_begin_with_the_most_wrong(table):
    films = cell_films(labeled_cases(table, THREE, 0.5), "bacterial", "viral")
    assert films["p_bacterial"].tolist() == [0.25, 0.3]
    assert cell_films(labeled_cases(table, THREE, 0.5), "viral", "bacterial").empty


def test_the_films_of_all_cells_are_those_counted(table):
    evaluation = evaluate(labeled_cases(table, THREE, 0.5))
    counted = [
        [len(cell_films(labeled_cases(table, THREE, 0.5), truth, decision)) for decision in THREE.classes]
        for truth in THREE.classes
    ]
    assert counted == [list(row) for row in evaluation.confusion]


def test_the_films_of_a_label_that_names_several_classes_begin_with_the_least_of_them_together(table):
    more = [("pneumonia", 0.2, 0.6, 0.2), ("pneumonia", 0.05, 0.5, 0.45), ("pneumonia", 0.9, 0.06, 0.04)]
    table = pd.concat([table, pd.DataFrame(more, columns=table.columns)], ignore_index=True)
    films = cell_films(labeled_cases(table, THREE, 0.5), "pneumonia", "bacterial")
    assert set(films["label"]) == {"pneumonia"}
    assert films["p_normal"].tolist() == [0.2, 0.1, 0.05]
    counted = [len(cell_films(labeled_cases(table, THREE, 0.5), "pneumonia", decision)) for decision in THREE.classes]
    assert tuple(counted) == evaluate(labeled_cases(table, THREE, 0.5)).coarse["pneumonia"] == (1, 3, 0)
