"""The unsure band: what holds outside of it, and when there is none."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from cxr.core.errors import DatasetError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.indeterminate import MIN_PATIENTS, choose_band, coverage_curve, selective_metrics
from cxr.evaluation.operating_point import choose_threshold

TWO = LabelSpace(("normal", "covid19"))
FOUR = LabelSpace(("normal", "bacterial", "viral", "covid19"), {"pneumonia": ("bacterial", "viral", "covid19")})


def sides(table, labels, threshold, band):
    """Share of right answers, and patients, below and above the band."""
    score, truth = 1 - table["p_normal"], labels.positive(table["label"]) == 1
    low, high = score < band[0], score >= band[1]
    return [
        (float((truth[side] == answer).mean()), table["patient"][side].nunique())
        for side, answer in ((low, False), (high, True))
    ]


def band_of(table: pd.DataFrame, labels: LabelSpace, threshold: float | None, accuracy: float) -> tuple[float, float]:
    """The chosen band, which there is."""
    band = choose_band(table, labels, threshold, accuracy).range
    assert band is not None
    return band


@pytest.mark.parametrize("labels", [TWO, FOUR], ids=["two", "four"])
@pytest.mark.parametrize("seed", range(8))
def test_outside_of_the_band_the_accuracy_holds_on_either_side(drawn, labels, seed):
    table = drawn(labels, films=600, patients=300, seed=seed, help=0.8)
    threshold = choose_threshold(table, labels)
    low, high = band_of(table, labels, threshold, 0.95)
    assert threshold is not None
    assert 0 < low <= threshold <= high < 1
    for share, patients in sides(table, labels, threshold, (low, high)):
        assert share >= 0.95
        assert patients >= MIN_PATIENTS


def test_no_narrower_band_would_do(drawn):
    table = drawn(TWO, films=400, help=0.6, seed=3)
    threshold = choose_threshold(table, TWO)
    low, high = band_of(table, TWO, threshold, 0.9)
    score = np.unique(1 - table["p_normal"])
    for cut in score[(score > low) & (score < threshold)]:
        assert sides(table, TWO, threshold, (cut + 1e-9, high))[0][0] < 0.9
    for cut in score[(score < high) & (score >= threshold)]:
        assert sides(table, TWO, threshold, (low, cut))[1][0] < 0.9


def test_a_model_without_errors_has_an_empty_band():
    table = pd.DataFrame({"label": ["normal", "covid19"] * 25, "p_normal": [0.9, 0.2] * 25})
    table = table.assign(p_covid19=1 - table["p_normal"])
    assert choose_band(table, TWO, 0.5).range == (0.5, 0.5)
    assert not TWO.indeterminate(table[["p_normal", "p_covid19"]].to_numpy(), (0.5, 0.5)).any()


def test_the_band_covers_where_the_threshold_itself_might_lie(drawn):
    table = drawn(TWO, films=600, help=2.0, seed=1)
    threshold = choose_threshold(table, TWO)
    assert threshold is not None
    low, high = band_of(table, TWO, threshold, 0.95)
    spread = (threshold - 0.2, threshold + 0.2)
    wider = choose_band(table, TWO, threshold, 0.95, spread).range
    assert wider == (min(low, spread[0]), max(high, spread[1]))
    assert wider[0] < threshold < wider[1]
    assert choose_band(table, TWO, threshold, 0.95, (threshold, threshold)).range == (low, high)


def test_an_accuracy_that_cannot_be_reached_leaves_no_band(drawn):
    guess = choose_band(drawn(TWO, films=400, help=0.0), TWO, 0.5)
    assert guess.range is None
    assert guess.rule
    few = drawn(TWO, films=400, patients=MIN_PATIENTS - 1, help=2.0)
    assert choose_band(few, TWO, choose_threshold(few, TWO)).range is None


def test_one_bad_side_is_not_excused_by_the_other():
    normal = pd.DataFrame({"label": "normal", "p_normal": np.linspace(1, 0.6, 500)})
    called = pd.DataFrame({"label": ["covid19", "normal"] * 15, "p_normal": np.linspace(0.4, 0, 30)})
    table = pd.concat([normal, called])
    table["p_covid19"] = 1 - table["p_normal"]
    band = choose_band(table, TWO, 0.5)
    assert band.range is None
    assert "positive" in band.rule


def test_without_a_threshold_there_is_no_band(drawn):
    assert choose_band(drawn(TWO), TWO, None).range is None
    no_normal = LabelSpace(("bacterial", "viral", "covid19"))
    assert "no threshold" in choose_band(drawn(no_normal), no_normal, 0.5).rule


def test_the_upper_end_is_sure_and_the_lower_is_not():
    p = np.array([[0.8, 0.2], [0.7, 0.3], [0.4, 0.6], [0.3, 0.7]])
    assert TWO.indeterminate(p, (0.3, 0.6)).tolist() == [False, True, False, False]
    assert bool(TWO.indeterminate(np.array([0.5, 0.5]), (0.3, 0.6)))


def test_coverage_starts_with_the_surest_and_ends_with_all(drawn):
    table = drawn(TWO, films=500, help=0.5)
    curve = coverage_curve(labeled_cases(table, TWO, 0.5))
    right = (1 - table["p_normal"] >= 0.5) == (table["label"] == "covid19")
    assert curve.coverage[-1] == 1
    assert curve.accuracy[-1] == pytest.approx(right.mean())
    assert (np.diff(curve.coverage) > 0).all()
    assert (np.diff(curve.margin) < 0).all()
    assert curve.accuracy[: len(curve.coverage) // 4].mean() > curve.accuracy[-1]
    half = int(np.searchsorted(curve.coverage, 0.5))
    distance = np.abs(np.log((1 - table["p_normal"]).clip(5e-7, 1 - 5e-7) / table["p_normal"].clip(5e-7, 1 - 5e-7)))
    far = distance >= curve.margin[half] - 1e-9
    assert curve.accuracy[half] == pytest.approx(right[far].mean())
    assert far.mean() == pytest.approx(curve.coverage[half])


def test_scores_of_0_and_1_are_at_the_ends_of_the_curve():
    table = pd.DataFrame({"label": ["normal", "covid19", "normal"], "p_normal": [1.0, 0.0, 0.6]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve = coverage_curve(labeled_cases(table.assign(p_covid19=1 - table["p_normal"]), TWO, 0.5))
    assert curve.accuracy.tolist() == [1, 1]
    assert curve.coverage == pytest.approx([2 / 3, 1])


def test_what_holds_outside_is_given_with_intervals(drawn):
    table = drawn(TWO, films=600, help=0.7)
    threshold = choose_threshold(table, TWO)
    band = band_of(table, TWO, threshold, 0.95)
    found = selective_metrics(labeled_cases(table, TWO, threshold), band)
    (npv, _), (ppv, _) = sides(table, TWO, threshold, band)
    assert (found.npv.value, found.ppv.value) == (pytest.approx(npv), pytest.approx(ppv))
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high
    assert found.n == round(found.coverage * 600) < 600

    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["accuracy"]["value"] == found.accuracy.value


def test_a_model_that_is_never_sure_has_no_figures_there(drawn):
    found = selective_metrics(labeled_cases(drawn(TWO), TWO, 0.5), (0.0, 1.1))
    assert (found.n, found.coverage) == (0, 0)
    assert np.isnan(found.accuracy.value)
    json.dumps(found.as_dict(), allow_nan=False)


def test_films_whose_label_says_nothing_have_no_curve(drawn):
    with pytest.raises(DatasetError) as refused:
        coverage_curve(labeled_cases(drawn(TWO).assign(label="tuberculosis"), TWO, 0.5))
    assert refused.value.code == "dataset.no-labels"
    either = LabelSpace(("normal", "viral", "covid19"), {"clear-or-viral": ("normal", "viral")})
    with pytest.raises(DatasetError) as refused:
        coverage_curve(labeled_cases(drawn(either).assign(label="clear-or-viral"), either, 0.5))
    assert refused.value.code == "dataset.no-labels"
