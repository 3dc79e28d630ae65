from dataclasses import replace

import pandas as pd
import pytest

from cxr import DISCLAIMER
from cxr.datasets.dataset import COLUMNS, Dataset
from cxr.datasets.quality.audit import Audit
from cxr.ui.components.charts import data
from cxr.ui.components.charts.palette import NEUTRAL

AUDIT = Audit(7, 7, {"viral": 3, "normal": 3, "no label": 1}, {}, {}, {}, ())


def films(**columns: list[str]) -> Dataset:
    """A table of films with these columns, all others blank."""
    count = len(next(iter(columns.values())))
    table = pd.DataFrame({name: columns.get(name, [""] * count) for name in COLUMNS})
    table["path"] = [f"{i}.png" for i in range(count)]
    return Dataset("set", table.assign(dataset="set", root="/nowhere"))


def bars(chart) -> dict[str, dict[str, int]]:
    return {bar.name: dict(zip(bar.x, bar.y, strict=True)) for bar in chart.figure.data}


def test_films_are_stacked_by_split_with_the_unplaced_ones_grey():
    dataset = films(
        label=["viral", "normal", "normal", "viral", ""],
        split=["train", "train", "test", "", "train"],
    )
    chart = data.by_split(dataset)
    assert bars(chart) == {
        "train": {"normal": 1, "viral": 1, "no label": 1},
        "test": {"normal": 1, "viral": 0, "no label": 0},
        "not placed": {"normal": 0, "viral": 1, "no label": 0},
    }
    assert [bar.marker.color == NEUTRAL for bar in chart.figure.data] == [False, False, True]


def test_the_words_and_the_table_tell_what_the_figure_shows():
    chart = data.by_split(films(label=["viral", "normal", "normal"], split=["train", "train", "test"]))
    assert chart.alt == "Films by class and split: normal 2 (1 train, 1 test); viral 1 (1 train)."
    assert chart.table.to_dict("list") == {"class": ["normal", "viral"], "train": [1, 1], "test": [1, 0]}
    assert chart.csv() == f"# {DISCLAIMER}\nclass,train,test\nnormal,1,1\nviral,1,0\n"


def test_a_class_has_one_colour_in_all_charts():
    dataset = films(label=["viral", "normal"], source=["b", "a"], age=["7", "70"], sex=["M", "F"])
    charts = [data.by_source(dataset), data.by_age(dataset), data.by_sex(dataset)]
    charts.append(data.by_size(replace(AUDIT, by_size={"below 128": {"viral": 2}, "128 to 255": {"normal": 1}})))
    assert len({bar.marker.color for chart in charts for bar in chart.figure.data if bar.name == "viral"}) == 1
    assert len({bar.marker.color for chart in charts for bar in chart.figure.data if bar.name == "normal"}) == 1


def test_sources_come_largest_first():
    chart = data.by_source(films(label=["a", "a", "b"], source=["", "one", "one"]))
    assert bars(chart) == {"a": {"one": 1, "not known": 1}, "b": {"one": 1, "not known": 0}}


def test_sizes_come_in_their_order_with_all_classes():
    by_size = {"below 128": {"viral": 2}, "128 to 255": {"normal": 3, "no label": 1}}
    chart = data.by_size(replace(AUDIT, by_size=by_size))
    assert bars(chart) == {
        "normal": {"below 128": 0, "128 to 255": 3},
        "viral": {"below 128": 2, "128 to 255": 0},
        "no label": {"below 128": 0, "128 to 255": 1},
    }
    assert chart.figure.data[2].marker.color == NEUTRAL


def test_an_audit_that_could_read_no_film_is_an_empty_chart():
    assert data.by_size(AUDIT).alt == "Films by shorter side in pixels and class: none."


def test_ages_are_counted_in_tens_of_years_in_their_order():
    chart = data.by_age(films(label=["a"] * 6, age=["101", "9", "10", "019Y", "3 weeks", ""]))
    assert bars(chart) == {"a": {"0 to 9": 1, "10 to 19": 2, "100 to 109": 1, "not known": 2}}


@pytest.mark.parametrize("chart", [data.by_age, data.by_sex])
def test_what_is_known_of_nobody_is_no_chart(chart):
    assert chart(films(label=["a", "b"])) is None


def test_sex_that_is_not_known_comes_last():
    assert bars(data.by_sex(films(label=["a"] * 3, sex=["M", "", "F"]))) == {"a": {"F": 1, "M": 1, "not known": 1}}
