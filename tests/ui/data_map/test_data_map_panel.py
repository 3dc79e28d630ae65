"""The view Map on Data and `cxr map`: what separates is said, errors and roles are known, a file has every place."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cxr.core.number_format import counted
from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import display_name
from cxr.evaluation.data_map.data_map import COLUMNS, CORRECT, WRONG, make_map
from cxr.evaluation.data_map.projection import Method
from cxr.evaluation.data_map.separation import Verdict
from cxr.presentation.data_map_text import has_shortcut_risk, verdict_sentences
from cxr.ui.components.charts.data_map import color_columns, map_chart
from tests.support.command_line import Answer

PAGE = str(Path(__file__).parents[3] / "pages" / "data.py")


def quiet(done: int, total: int, what: str = "") -> None:
    """No progress."""


@pytest.fixture
def dataset(trained: Path, phantoms: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """The drawn X-rays in the list of datasets, beside a model that was trained on them."""
    monkeypatch.delenv("CXR_DATA", raising=False)
    return Dataset.open(catalog.add(phantoms).path)


def test_a_map_knows_roles_errors_and_what_separates(dataset: Dataset) -> None:
    made = make_map("first", dataset, Method.PCA, quiet)
    assert len(made.films) == made.total == len(dataset)
    roles = made.films["role"].value_counts()
    assert set(roles.index) == {"train", "val", "test"}
    scored = made.films["error"] != ""
    assert set(made.films.loc[scored, "role"]) == {"val", "test"}
    assert set(made.films.loc[scored, "error"]) <= {CORRECT, WRONG}
    wrong = made.films["error"] == WRONG
    pd.testing.assert_series_equal(
        wrong[scored], (made.films["predicted"] != made.films["label"])[scored], check_names=False
    )
    assert {one.verdict for one in made.separations} <= set(Verdict)
    assert verdict_sentences(made)
    assert isinstance(has_shortcut_risk(made), bool)
    assert {"label", "error", "role"} <= set(color_columns(made.films))
    chart = map_chart(made, "role")
    points = [row for trace in chart.figure.data for (row,) in trace.customdata]
    assert sorted(points) == list(range(len(dataset)))
    sample = make_map("first", dataset, Method.PCA, quiet, most=40)
    assert len(sample.films) == 40
    paths = dataset.table["path"].to_numpy()[sample.films["row"]]
    assert (paths == sample.films["path"].to_numpy()).all()


def test_the_page_makes_a_map_and_colors_it(dataset: Dataset) -> None:
    app = AppTest.from_file(PAGE, default_timeout=120).run()
    app.segmented_control(key="data_view").set_value("Map")
    app.run()
    assert not app.exception
    app.selectbox(key="map_features").set_value("first")
    app.number_input(key="map_most").set_value(60)
    app.button(key="map_make").click().run()
    assert not app.exception
    assert not app.error
    _, made = app.session_state["data_map"]
    assert len(made.films) == 60
    shown = " ".join(element.value for element in (*app.info, *app.warning))
    assert verdict_sentences(made)[0].split(".")[0] in shown
    group = made.films["label"].map(display_name).iat[0]
    app.selectbox(key="map_group_label").set_value(group).run()  # who has no mouse has no lasso
    assert not app.exception
    count = int((made.films["label"].map(display_name) == group).sum())
    assert f"Selected: {counted(count, 'X-ray')}" in [heading.value for heading in app.subheader]


def test_the_command_line_says_it_too_and_writes_every_place(
    dataset: Dataset, phantoms: Path, tmp_path: Path, answer: Answer
) -> None:
    file = tmp_path / "map.csv"
    found = answer("map", "--data", phantoms, "--features", "first", "--method", "tsne", "--csv", file, "--most", 50)
    assert (found["films"], found["of"], found["method"], found["explained"]) == (50, len(dataset), "tsne", None)
    assert found["sentences"]
    table = pd.read_csv(file)
    assert list(table.columns) == [*COLUMNS, "x", "y"]
    assert len(table) == 50
