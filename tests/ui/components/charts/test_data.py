from dataclasses import replace

import pandas as pd
import pytest

from cxr import DISCLAIMER
from cxr.datasets.dataset import Dataset
from cxr.datasets.film_table import COLUMNS
from cxr.datasets.quality.audit import Audit
from cxr.ui.components.charts import data
from cxr.ui.components.charts.chart import NEUTRAL, Chart

AUDIT = Audit(7, 7, {"viral": 3, "normal": 3, "no label": 1}, {}, {}, {}, ())


def films(**columns: list[str]) -> Dataset:
    """A table of films with these columns, all others blank."""
    count = len(next(iter(columns.values())))
    table = pd.DataFrame({name: columns.get(name, [""] * count) for name in COLUMNS})
    table["path"] = [f"{i}.png" for i in range(count)]
    return Dataset("set", table.assign(dataset="set", root="/nowhere"))


def known(chart: Chart | None) -> Chart:
    assert chart is not None
    return chart


def bars(chart: Chart) -> dict[str, dict[str, int]]:
    return {bar.name: dict(zip(bar.x, bar.y, strict=True)) for bar in chart.figure.data}


def test_films_are_stacked_by_split_with_unassigned_ones_in_gray():
    dataset = films(
        label=["viral", "normal", "normal", "viral", ""],
        split=["train", "train", "test", "", "train"],
    )
    chart = data.by_split(dataset)
    assert bars(chart) == {
        "Train": {"Normal": 1, "Viral pneumonia": 1, "No label": 1},
        "Test": {"Normal": 1, "Viral pneumonia": 0, "No label": 0},
        "Not assigned": {"Normal": 0, "Viral pneumonia": 1, "No label": 0},
    }
    assert [bar.marker.color == NEUTRAL for bar in chart.figure.data] == [False, False, True]


def test_the_sentence_and_the_table_have_the_numbers_of_the_figure():
    chart = data.by_split(films(label=["viral", "normal", "normal"], split=["train", "train", "test"]))
    assert (
        chart.alt == "X-rays by class and split: Normal 2 X-rays (Train 1, Test 1); Viral pneumonia 1 X-ray (Train 1)."
    )
    assert chart.table.to_dict("list") == {"class": ["normal", "viral"], "train": [1, 1], "test": [1, 0]}
    assert chart.csv() == f"# {DISCLAIMER}\nclass,train,test\nnormal,1,1\nviral,1,0\n"


def test_a_class_has_one_color_in_all_charts():
    dataset = films(label=["viral", "normal"], source=["b", "a"], age=["7", "70"], sex=["M", "F"])
    charts = [data.by_source(dataset), known(data.by_age(dataset)), known(data.by_sex(dataset))]
    charts.append(data.by_size(replace(AUDIT, by_size={"below 128": {"viral": 2}, "128 to 255": {"normal": 1}})))
    assert (
        len({bar.marker.color for chart in charts for bar in chart.figure.data if bar.name == "Viral pneumonia"}) == 1
    )
    assert len({bar.marker.color for chart in charts for bar in chart.figure.data if bar.name == "Normal"}) == 1


def test_sources_come_largest_first():
    chart = data.by_source(films(label=["a", "a", "b"], source=["", "one", "one"]))
    assert bars(chart) == {"A": {"one": 1, "Unknown": 1}, "B": {"one": 1, "Unknown": 0}}


def test_sizes_come_in_their_order_with_all_classes():
    by_size = {"below 128": {"viral": 2}, "128 to 255": {"normal": 3, "no label": 1}}
    chart = data.by_size(replace(AUDIT, by_size=by_size))
    assert bars(chart) == {
        "Normal": {"below 128": 0, "128–255": 3},
        "Viral pneumonia": {"below 128": 2, "128–255": 0},
        "No label": {"below 128": 0, "128–255": 1},
    }
    assert chart.figure.data[2].marker.color == NEUTRAL


def test_an_audit_without_readable_films_is_an_empty_chart():
    assert data.by_size(AUDIT).table.empty


def test_ages_are_counted_by_decade_in_order():
    chart = known(data.by_age(films(label=["a"] * 6, age=["101", "9", "10", "019Y", "3 weeks", ""])))
    assert bars(chart) == {"A": {"0–9": 1, "10–19": 2, "100–109": 1, "Unknown": 2}}


@pytest.mark.parametrize("chart", [data.by_age, data.by_sex])
def test_a_property_that_is_unknown_for_all_has_no_chart(chart):
    assert chart(films(label=["a", "b"])) is None


def test_unknown_sex_comes_last():
    chart = known(data.by_sex(films(label=["a"] * 3, sex=["M", "", "F"])))
    assert bars(chart) == {"A": {"Female": 1, "Male": 1, "Unknown": 1}}
