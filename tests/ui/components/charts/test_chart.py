"""The table below a chart is for people, its file for programs: names that are read, keys that stay."""

import pandas as pd

from cxr.ui.components.charts.chart import displayed_table


def test_keys_become_the_names_that_people_read() -> None:
    table = pd.DataFrame({"class": ["covid19", "all"], "bacterial": [1, 2], "row_share": [0.5, 0.5], "low": [0.1, 0.2]})
    shown = displayed_table(table)
    assert list(shown) == ["Class", "Bacterial pneumonia", "Row share", "95% CI, low"]
    assert shown["Class"].tolist() == ["COVID-19", "All"]
    assert list(table) == ["class", "bacterial", "row_share", "low"]


def test_the_title_of_a_run_is_shown_as_it_is() -> None:
    title = "vgg16-default, Jan 2, 03:04 UTC (ab12)"
    assert list(displayed_table(pd.DataFrame({"epoch": [1], title: [0.5]}))) == ["Epoch", title]


def test_names_that_would_be_alike_stay_as_they_are() -> None:
    assert list(displayed_table(pd.DataFrame({"covid19": [1], "COVID-19": [2]}))) == ["covid19", "COVID-19"]
