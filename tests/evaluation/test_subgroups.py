"""Groups of films, and which of them is named the worst."""

import json

import numpy as np
import pandas as pd
import pytest

from cxr.core.errors import DatasetError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.evaluation import evaluate
from cxr.evaluation.grouping import age_band, grouping_columns
from cxr.evaluation.metric_intervals import metric_intervals
from cxr.evaluation.subgroups import Partition, subgroup_metrics, worst_gap

TWO = LabelSpace(("normal", "covid19"))


def grouped(sizes):
    """Films of groups, so many of each called rightly: {"AP": (films, right)}."""
    rows = []
    for name, (films, right) in sizes.items():
        for i in range(films):
            covid = i % 2 == 1
            p = 0.9 if covid != (i < right) else 0.1
            rows.append((name, "covid19" if covid else "normal", p))
    table = pd.DataFrame(rows, columns=["view", "label", "p_normal"])
    return table.assign(p_covid19=1 - table["p_normal"], patient=range(len(table)))


def worst_of(sizes, **how):
    return subgroup_metrics(labeled_cases(grouped(sizes), TWO, 0.5), "view", resamples=400, **how)


def test_each_group_has_the_figures_of_its_own_films():
    table = grouped({"AP": (60, 40), "PA": (80, 75)})
    found = subgroup_metrics(labeled_cases(table, TWO, 0.5), "view", resamples=50)
    for group in found.groups:
        alone = table[table["view"] == group.name]
        assert (group.n, group.patients) == (len(alone), len(alone))
        assert group.metrics == metric_intervals(labeled_cases(alone, TWO, 0.5), 50)
        assert group.metrics["accuracy"].value == pytest.approx(evaluate(labeled_cases(alone, TWO, 0.5)).accuracy)


def test_the_certainly_worst_subgroup_is_named_not_the_smallest():
    found = worst_of({"AP": (24, 16), "PA": (400, 280), "LL": (300, 290)})
    assert found.groups[0].metrics["accuracy"].value < found.groups[2].metrics["accuracy"].value  # AP 0.67, PA 0.70
    assert found.worst == "PA"
    assert found.gap.high < 0
    assert "view PA" in found.sentence
    assert "0.700" in found.sentence


def test_a_group_of_few_patients_is_shown_and_never_named():
    found = worst_of({"AP": (19, 0), "PA": (100, 90), "LL": (100, 95)})
    assert [group.name for group in found.groups] == ["AP", "LL", "PA"]
    assert found.worst == "PA"
    many_films = grouped({"AP": (100, 10), "PA": (100, 90), "LL": (100, 95)})
    many_films.loc[many_films["view"] == "AP", "patient"] = 0
    assert subgroup_metrics(labeled_cases(many_films, TWO, 0.5), "view", resamples=100).worst == "PA"


def test_with_one_group_that_counts_none_is_the_worst():
    found = worst_of({"AP": (100, 90)})
    assert found.worst == ""
    assert found.sentence
    assert np.isnan(found.gap.value)


def test_a_group_that_is_always_right_is_not_named_the_worst():
    found = worst_of({"AP": (40, 40), "PA": (60, 60)})
    assert found.worst == ""
    assert np.isnan(found.gap.value)
    assert "1.000" in found.sentence
    assert worst_of({"AP": (40, 40), "PA": (24, 23)}).worst == "PA"  # the intervals of both end at 1


def test_groups_that_do_alike_have_no_worst():
    assert worst_of({"AP": (40, 30), "PA": (80, 60), "LL": (19, 3)}).worst == ""


def test_a_figure_of_a_side_with_a_handful_of_films_names_no_group():
    table = grouped({"AP": (100, 60), "PA": (100, 90), "LL": (100, 80)})
    few = table[(table["view"] != "AP") | (table["label"] == "covid19")]
    few = pd.concat([few, table[(table["view"] == "AP") & (table["label"] == "normal")][:9]], ignore_index=True)
    found = subgroup_metrics(labeled_cases(few, TWO, 0.5), "view", "binary.auc", resamples=100)
    (group,) = (group for group in found.groups if group.name == "AP")
    assert (group.positive, group.negative) == (50, 9)
    assert found.worst == "LL"
    assert [group.too_few(f"binary.{name}") for name in ("auc", "sensitivity", "specificity", "ppv")] == [
        True, False, True, True,
    ]  # fmt: skip
    assert found.as_dict()["groups"][0]["negative"] == 9


def test_the_gap_is_against_all_other_films_and_says_when_it_may_be_chance():
    found = worst_of({"AP": (100, 60), "PA": (50, 50), "LL": (50, 40)})
    assert found.gap.value == pytest.approx(0.6 - 0.9)
    assert found.gap.high < 0
    close = worst_of({"AP": (40, 36), "PA": (40, 37)})
    assert close.gap.low < 0 < close.gap.high
    assert close.gap.high >= 0
    assert "chance" in close.sentence


def test_a_source_of_one_class_has_no_auc_and_is_judged_by_what_it_has():
    table = grouped({"AP": (200, 149), "PA": (200, 190)})
    table["source"] = np.where(table["label"] == "normal", "nih", "covid-chestxray")
    found = subgroup_metrics(labeled_cases(table, TWO, 0.5), "source", resamples=50)
    assert all(np.isnan(group.metrics["binary.auc"].value) for group in found.groups)
    assert found.worst == "covid-chestxray"
    assert subgroup_metrics(labeled_cases(table, TWO, 0.5), "source", "binary.auc", resamples=50).worst == ""


@pytest.mark.parametrize(
    ("age", "band"),
    [("61", "40 to 64"), ("061Y", "40 to 64"), ("061", "40 to 64"), ("17", "0 to 17"), ("18", "18 to 39")]
    + [("65.0", "65 and older"), ("006M", "0 to 17"), ("012D", "0 to 17"), ("0", "0 to 17"), ("120", "65 and older")]
    + [("413", "not stated"), ("", "not stated"), ("old", "not stated"), ("-3", "not stated")],
)
def test_ages_go_into_bands(age, band):
    assert age_band(age) == band


def test_a_sex_is_one_group_however_it_is_written():
    table = grouped({"AP": (100, 80)})
    sexes = ["F", "female", "Male", "m", ""]
    found = subgroup_metrics(
        labeled_cases(table.assign(sex=[sexes[i % 5] for i in range(100)]), TWO, 0.5), "sex", resamples=20
    )
    assert [(group.name, group.n) for group in found.groups] == [("F", 40), ("M", 40), ("not stated", 20)]


def test_bands_of_age_rise_and_what_is_not_stated_comes_last():
    table = grouped({"AP": (100, 80)})
    ages = ["", "70", "5", "044Y", "30"]
    found = subgroup_metrics(
        labeled_cases(table.assign(age=[ages[i % 5] for i in range(100)]), TWO, 0.5), "age", resamples=20
    )
    assert [group.name for group in found.groups] == ["0 to 17", "18 to 39", "40 to 64", "65 and older", "not stated"]


def test_films_that_the_model_knows_no_label_for_make_no_group():
    table = grouped({"AP": (50, 40), "PA": (50, 40), "LL": (30, 30)})
    table.loc[table["view"] == "LL", "label"] = "tuberculosis"
    assert [group.name for group in subgroup_metrics(labeled_cases(table, TWO, 0.5), "view", resamples=20).groups] == [
        "AP",
        "PA",
    ]


def test_what_cannot_be_grouped_is_refused():
    table = grouped({"AP": (50, 40), "PA": (50, 40)})
    with pytest.raises(DatasetError) as refused:
        subgroup_metrics(labeled_cases(table, TWO, 0.5), "sex")
    assert refused.value.code == "dataset.no-column"
    with pytest.raises(DatasetError) as refused:
        subgroup_metrics(labeled_cases(table.assign(source=range(100)), TWO, 0.5), "source")
    assert refused.value.code == "dataset.too-many-groups"
    with pytest.raises(DatasetError) as refused:
        subgroup_metrics(labeled_cases(table, TWO, 0.5), "view", "beauty", resamples=5)
    assert refused.value.code == "dataset.unknown-metric"
    with pytest.raises(DatasetError) as refused:
        subgroup_metrics(labeled_cases(table, TWO, 0.5), "view", "brier")
    assert refused.value.code == "dataset.unusable-metric"
    with pytest.raises(DatasetError) as refused:
        subgroup_metrics(labeled_cases(table, TWO, 0.5), "patient")
    assert refused.value.code == "dataset.no-column"


def test_groups_are_strict_json():
    said = json.loads(json.dumps(worst_of({"AP": (3, 3)}).as_dict(), allow_nan=False))
    assert said["groups"][0]["name"] == "AP"
    assert said["gap"]["value"] is None


def test_films_are_grouped_by_what_tells_them_apart():
    films = pd.DataFrame({"source": ["a"] * 40, "sex": ["F", ""] * 20, "age": ["20", "30"] * 20})
    assert grouping_columns(films) == ["sex"]  # one source, one band of ages, no views
    assert grouping_columns(films.assign(age=["20", "70"] * 20)) == ["sex", "age"]
    assert grouping_columns(films.assign(source=[f"{i}" for i in range(40)])) == ["sex"]  # too many to be groups


def null_groups(rng, groups, patients, films=1):
    """Sources with the same share of films predicted right."""
    patient = np.repeat(np.arange(groups * patients), films)
    p = np.where(rng.random(groups * patients)[patient] + rng.random(len(patient)) < 1.4, 0.9, 0.1)
    table = pd.DataFrame({"label": "normal", "patient": patient, "source": [f"{i % groups}" for i in patient]})
    return labeled_cases(table.assign(p_normal=p, p_covid19=1 - p), TWO, 0.5)


def test_of_many_equally_good_groups_one_is_rarely_called_worse():
    rng, gaps = np.random.default_rng(0), []
    for seed in range(200):
        cases = null_groups(rng, 12, 25)
        source = cases.films["source"].to_numpy()
        groups = [source == name for name in sorted(set(source))]
        lowest = int(np.argmin([cases.correct[own].mean() for own in groups]))
        alone = worst_gap(cases, [groups[lowest]], 0, "accuracy", 200, seed)
        gaps.append((alone, worst_gap(cases, groups, lowest, "accuracy", 200, seed)))
    not_corrected, corrected = np.mean([[gap.high < 0 for gap in pair] for pair in gaps], axis=0)
    assert corrected < 0.1  # 5% and three standard errors
    assert not_corrected > 0.2


def test_the_gap_of_two_groups_is_corrected_for_little_and_that_of_many_for_more():
    rng = np.random.default_rng(1)
    two, many = (subgroup_metrics(null_groups(rng, count, 40), "source", resamples=400) for count in (2, 12))
    error = 0.5 * (two.gap.high - two.gap.low)
    accuracy = [group.metrics["accuracy"].value for group in two.groups]
    assert error == pytest.approx(1.96 * np.sqrt(sum(x * (1 - x) / 40 for x in accuracy)), rel=0.15)
    inside = next(group for group in many.groups if group.name == many.worst).metrics["accuracy"].value
    alone = 1.96 * np.sqrt(inside * (1 - inside) / 40)
    assert 0.5 * (many.gap.high - many.gap.low) > 1.25 * alone


def test_values_without_intervals_are_those_with_them(drawn):
    table = drawn(TWO, films=200, patients=80).assign(source=["a", "b", "b", "c"] * 50)
    cases = labeled_cases(table, TWO, 0.5, (0.4, 0.6))
    values = Partition.of(cases, "source").values(cases, prevalence=0.1)
    full = subgroup_metrics(cases, "source", resamples=20, prevalence=0.1).groups
    for short, whole in zip(values, full, strict=True):
        assert (short.name, short.n, short.patients, short.positive) == (
            whole.name, whole.n, whole.patients, whole.positive,
        )  # fmt: skip
        assert {key: metric.value for key, metric in short.metrics.items()} == pytest.approx(
            {key: metric.value for key, metric in whole.metrics.items()}, nan_ok=True
        )
        assert short.as_dict()["binary.ppv"]["low"] is None
