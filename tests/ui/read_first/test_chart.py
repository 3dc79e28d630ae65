"""The readers' points lie where their shares are, with their intervals; a name is never markup."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxr.evaluation.reader_study.study import reader_study
from cxr.ui.read_first.chart import readers_chart
from tests.support.readers import responses_of


def test_each_reader_has_a_point_alone_and_with_the_model_with_intervals() -> None:
    study = reader_study({name: responses_of(name, seed) for seed, name in enumerate("ab")})
    chart = readers_chart(study)
    points = {trace.name: trace for trace in chart.figure.data if trace.mode == "markers"}
    assert list(points) == ["a alone", "a with the model", "b alone", "b with the model"]
    score, point = study.readers["b"].together, points["b with the model"]
    assert (point.x[0], point.y[0]) == (1 - score.specificity.value, score.sensitivity.value)
    assert point.y[0] + point.error_y.array[0] == pytest.approx(score.sensitivity.high)
    assert point.x[0] - point.error_x.arrayminus[0] == pytest.approx(1 - score.specificity.high)
    assert len(chart.table) == 5


def test_a_name_is_never_markup() -> None:
    study = reader_study({'<a href="http://x">a</a>': [replace(one, reader="") for one in responses_of("", 1)]})
    names = [trace.name for trace in readers_chart(study).figure.data if trace.mode == "markers"]
    assert all("<" not in name for name in names)


def test_without_both_kinds_of_films_there_is_no_chart() -> None:
    normal = [one for one in responses_of("a", 1) if one.reference == "normal"]
    assert readers_chart(reader_study({"a": normal})) is None
