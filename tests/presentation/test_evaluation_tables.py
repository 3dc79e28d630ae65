"""The numbers that are shown first, and the tables beside them."""

from math import inf, nan

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.curves import precision_recall_curve, roc_curve
from cxr.evaluation.decisions import ConfusionCounts, binary_questions
from cxr.evaluation.evaluation import evaluate
from cxr.evaluation.indeterminate import selective_metrics
from cxr.evaluation.intervals import Interval, metric_intervals
from cxr.evaluation.subgroups import subgroup_metrics
from cxr.presentation.evaluation_tables import (
    FIGURES,
    MEANING,
    MORE_OF_CLASSES,
    OF_CLASSES,
    OF_GROUPS,
    bounds,
    class_table,
    figures_of,
    film_table,
    group_table,
    key_numbers,
    more_figures,
    shortcut_numbers,
    sure_numbers,
    with_interval,
)
from tests.support.score_tables import about, measured

LABELS = LabelSpace(("normal", "bacterial", "viral"))
TWO = LabelSpace(("normal", "covid19"))


def scored(labels, rows):
    return pd.DataFrame(rows, columns=["label", *(f"p_{name}" for name in labels.classes)])


@pytest.fixture
def table():
    rows = [("normal", 0.9, 0.05, 0.05), ("normal", 0.3, 0.6, 0.1), ("bacterial", 0.2, 0.7, 0.1)]
    return scored(LABELS, [*rows, ("bacterial", 0.6, 0.3, 0.1), ("viral", 0.1, 0.2, 0.7)])


def test_the_numbers_of_a_question_are_its_counts_at_the_prevalence(table):
    asked, evaluation = binary_questions(labeled_cases(table, LABELS, 0.5))[0], evaluate(labeled_cases(table, LABELS, 0.5))
    counts = ConfusionCounts.from_question(asked)
    values = {number.name: number.value for number in key_numbers(evaluation, asked, 0.01)}
    assert values["Sensitivity"] == counts.sensitivity == evaluation.binary.sensitivity
    assert values["PPV"] == counts.ppv(0.01) < counts.precision
    assert values["Right class"] == evaluation.accuracy
    own = {number.name: number.value for number in key_numbers(evaluation, asked, None)}
    assert own["PPV"] == pytest.approx(counts.precision)


def test_of_two_classes_the_right_class_is_the_accuracy_and_is_said_once():
    table = scored(TWO, [("normal", 0.9, 0.1), ("covid19", 0.2, 0.8)])
    numbers = key_numbers(evaluate(labeled_cases(table, TWO, 0.5)), binary_questions(labeled_cases(table, TWO, 0.5))[0], None)
    assert "Right class" not in {number.name for number in numbers}


def test_without_a_question_the_classes_have_numbers(table):
    numbers = key_numbers(evaluate(labeled_cases(table, LABELS, 0.5)), None, None, {"Macro F1": (0.1, 0.9)})
    assert [(number.name, number.interval) for number in numbers] == [("Right class", None), ("Macro F1", (0.1, 0.9))]


def test_every_number_says_what_it_means(table):
    evaluation = evaluate(labeled_cases(table, LABELS, 0.5))
    shown = [
        *key_numbers(evaluation, binary_questions(labeled_cases(table, LABELS, 0.5))[0], None),
        *key_numbers(evaluation, None, None),
    ]
    shown += sure_numbers(selective_metrics(labeled_cases(table, LABELS, 0.5), (0.4, 0.6), resamples=10))
    shown += shortcut_numbers(measured(source=measured().probes_on_features[0], together=about(0.5)))
    more = more_figures(metric_intervals(labeled_cases(table, LABELS, 0.5), resamples=10), 3)
    tables = {*OF_CLASSES, *OF_GROUPS, "Difference", "McNemar", "DeLong"}
    assert {number.name for number in shown} | set(more["Figure"]) | tables == set(MEANING)
    assert all(meaning.endswith(".") for meaning in MEANING.values())


def test_more_figures_have_their_intervals_and_what_they_mean(table):
    found = metric_intervals(labeled_cases(pd.concat([table] * 20, ignore_index=True), LABELS, 0.5), resamples=100)
    more = more_figures(found, 3).set_index("Figure")
    assert more.loc["MCC", "Value"] == f"{found['mcc'].value:.3f}"
    assert more.loc["MCC", "95 % interval"] == f"{found['mcc'].low:.3f} to {found['mcc'].high:.3f}"
    assert more.loc["LR-", "What it means"] == MEANING["LR-"]
    assert more.loc["ECE", "95 % interval"] == "–"
    assert {"Macro AUC", "Micro AUC", "Brier score, classes"} <= set(more.index)


def test_of_two_classes_no_figure_is_said_twice():
    found = metric_intervals(labeled_cases(scored(TWO, [("normal", 0.9, 0.1), ("covid19", 0.2, 0.8)]), TWO, 0.5), resamples=10)
    assert not set(MORE_OF_CLASSES) & set(more_figures(found, 2)["Figure"])


def test_a_ratio_without_end_is_said_in_words():
    ratios = {"binary.lr_positive": Interval(inf, nan, nan), "binary.lr_negative": Interval(0.5, 0.2, inf)}
    assert more_figures(ratios, 2)[["Value", "95 % interval"]].to_numpy().tolist() == [
        ["infinite", "–"],
        ["0.500", "0.200 or more"],
    ]


def test_the_table_of_classes_has_the_mean_areas(table):
    evaluation = evaluate(labeled_cases(table, LABELS, 0.5))
    found = class_table(evaluation, {})["AUC"].tolist()
    areas = list(evaluation.auc.values())
    means = [np.mean(areas), np.average(areas, weights=[2, 2, 1])]
    assert found == [f"{area:.3f}" for area in (*areas, *means)]


def test_the_table_of_classes_has_intervals_which_hold_what_they_stand_beside(table):
    table = pd.concat([table] * 20, ignore_index=True)
    figures = metric_intervals(labeled_cases(table, LABELS, 0.5), resamples=200)
    shown = class_table(evaluate(labeled_cases(table, LABELS, 0.5)), figures).set_index("Class")
    assert list(shown) == ["Precision", "Recall", "F1", "AUC", "Films"]
    for column, (figure, mean) in OF_CLASSES.items():
        assert shown.loc["bacterial", column] == with_interval(figures[f"{figure}.bacterial"])
        if mean:
            assert shown.loc["mean of classes", column] == with_interval(figures[mean])
    assert shown.loc["bacterial", "F1"].endswith(")") and "(" not in shown.loc["mean of films", "F1"]


def test_a_class_that_has_no_area_is_no_part_of_the_means(table):
    only_normal = evaluate(labeled_cases(table[table["label"] == "normal"], LABELS, 0.5))
    assert (class_table(only_normal, {})["AUC"] == "-").all()


def test_the_table_of_films_has_no_file_names(table):
    films = table.assign(dataset="a", patient=range(5), path="Jane-Doe.png")
    shown = film_table(films, LABELS.classes)
    assert list(shown) == ["normal", "bacterial", "viral", "Dataset", "Patient"]


def test_bounds_go_by_the_names_that_are_shown_and_only_where_there_are_any(table):
    figures = metric_intervals(labeled_cases(table, LABELS, 0.5), resamples=50)
    shown = bounds(figures | {"binary.npv": Interval(0.5, nan, nan), "macro_f1": Interval(0.5, 0.4, 0.6)})
    assert shown["Macro F1"] == (0.4, 0.6)
    assert "NPV" not in shown
    assert set(shown) <= set(MEANING)


def test_every_figure_that_is_shown_is_one_of_the_judging_rooms(table):
    figures = metric_intervals(labeled_cases(table, LABELS, 0.5), resamples=1)
    evaluation, asked = evaluate(labeled_cases(table, LABELS, 0.5)), binary_questions(labeled_cases(table, LABELS, 0.5))
    for number in (*key_numbers(evaluation, asked[0], 0.3), *key_numbers(evaluation, None, None)):
        if number.name in FIGURES:
            at = metric_intervals(labeled_cases(table, LABELS, 0.5), resamples=1, prevalence=0.3)[FIGURES[number.name]]
            assert number.value == pytest.approx(at.value)
    for one in asked:
        assert figures[figures_of(asked, "auc")[one.positive]].value == pytest.approx(roc_curve(one).auc)
        area = figures[figures_of(asked, "average_precision")[one.positive]].value
        assert area == pytest.approx(precision_recall_curve(one).average_precision)


def test_of_the_films_outside_of_the_band_it_is_said_how_many_and_how_many_are_right():
    table = scored(TWO, [("normal", 0.9, 0.1), ("covid19", 0.2, 0.8), ("covid19", 0.55, 0.45), ("normal", 0.1, 0.9)])
    share, right = sure_numbers(selective_metrics(labeled_cases(table, TWO, 0.5), (0.4, 0.6), resamples=50))
    assert (share.value, right.value) == (0.75, pytest.approx(2 / 3))
    none = sure_numbers(selective_metrics(labeled_cases(table, TWO, 0.5), (0.0, 1.0)))
    assert none[0].value == 0 and np.isnan(none[1].value) and none[1].interval is None


def test_a_group_is_a_row_with_its_intervals(table):
    found = subgroup_metrics(labeled_cases(table.assign(source=list("aabba")), LABELS, 0.5), "source", resamples=50)
    rows = group_table(found)
    figures = ["Right class", "AUC", "Sensitivity", "Specificity"]
    assert list(rows) == ["Source", "Films", "With finding", "Without", "Patients", *figures]
    assert rows[["Films", "With finding", "Without"]].to_numpy().tolist() == [[3, 1, 2], [2, 2, 0]]
    assert rows["Right class"][0] == with_interval(found.groups[0].metrics["accuracy"])


def test_a_figure_of_a_side_with_a_handful_of_films_is_not_told_of_a_group(table):
    films = pd.concat([table[:2]] * 2 + [table[2:]] * 10)  # 4 without the finding, 30 with it
    rows = group_table(subgroup_metrics(labeled_cases(films.assign(source="a"), LABELS, 0.5), "source", resamples=50))
    assert rows["AUC"][0] == rows["Specificity"][0] == "too few"
    assert rows["Sensitivity"][0].startswith("0.667 (")
    without = LabelSpace(("bacterial", "viral", "covid19"))
    films = scored(without, [("viral", 0.1, 0.8, 0.1)] * 4).assign(source="a")
    assert list(group_table(subgroup_metrics(labeled_cases(films, without, None), "source", resamples=5))) == [
        "Source", "Films", "Patients", "Right class",
    ]  # fmt: skip


def test_a_figure_is_told_with_the_bounds_that_it_has():
    assert with_interval(Interval(0.5, 0.4, 0.6)) == "0.500 (0.400 to 0.600)"
    assert with_interval(Interval(0.5, nan, nan)) == "0.500"
