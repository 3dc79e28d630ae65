"""The view Map on Data and `cxr map`: what separates is said, errors and roles are known, a file has every place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cxr.core.number_format import counted
from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import display_name
from cxr.evaluation.data_map.data_map import COLUMNS, CORRECT, WRONG, DataMap, MapSettings, make_map
from cxr.evaluation.data_map.separation import Verdict
from cxr.jobs import run_store
from cxr.jobs.data_map import ABOUT, map_job, stored_map
from cxr.jobs.kinds import execute
from cxr.jobs.parameters import JobKind
from cxr.presentation.data_map_text import extent_sentence, has_shortcut_risk, verdict_sentences
from cxr.ui.components.charts.data_map import color_columns, map_chart
from cxr.ui.components.jobs.titles import task_of
from cxr.ui.data_map.panel import DAMAGED, OUTDATED
from tests.support.command_line import Answer, Cxr

PAGE = str(Path(__file__).parents[3] / "pages" / "data.py")


def quiet(done: int, total: int, what: str = "") -> None:
    """No progress."""


@pytest.fixture
def dataset(trained: Path, phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """The drawn X-rays in the list of datasets, beside a model that was trained on them."""
    monkeypatch.delenv("CXR_DATA", raising=False)
    return Dataset.open(catalog.add(shutil.copytree(phantoms, tmp_path / "phantoms")).path)


def test_a_map_knows_roles_errors_and_what_separates(dataset: Dataset) -> None:
    made = make_map("first", dataset, MapSettings(), quiet)
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
    sample = make_map("first", dataset, MapSettings(most=40), quiet)
    assert len(sample.films) == 40
    paths = dataset.table["path"].to_numpy()[sample.films["row"]]
    assert (paths == sample.films["path"].to_numpy()).all()


@pytest.mark.usefixtures("no_process")
def test_the_page_makes_a_map_by_a_job_and_colors_it(dataset: Dataset, tmp_path: Path) -> None:
    app = AppTest.from_file(PAGE, default_timeout=120).run()
    app.segmented_control(key="data_view").set_value("Map")
    app.run()
    assert not app.exception
    app.selectbox(key="map_features").set_value("first")
    app.number_input(key="map_most").set_value(60)
    app.button(key="map_make").click().run()
    assert not app.exception
    assert not app.error
    (started,) = run_store.of_kind(JobKind.MAP)
    (entry,) = (entry for entry in catalog.entries() if entry.added)
    assert started.job == map_job([entry.path], "first", MapSettings(most=60))
    assert task_of(started) == f"Map of {Path(entry.path).name} by features of first"
    assert not app.get("plotly_chart")
    execute(started)
    app.run()
    assert not app.exception
    stored = stored_map(started)
    assert stored is not None
    assert stored.dataset == dataset.digest
    made = stored.map
    assert len(made.films) == 60
    assert DataMap.from_dict(made.as_dict(), made.films).as_dict() == made.as_dict()
    assert started.status.sentence == " ".join([extent_sentence(made), *verdict_sentences(made)])
    shown = " ".join(element.value for element in (*app.info, *app.warning))
    assert verdict_sentences(made)[0].split(".")[0] in shown
    group = made.films["label"].map(display_name).iat[0]
    app.selectbox(key="map_group_label").set_value(group).run()  # who has no mouse has no lasso
    assert not app.exception
    count = int((made.films["label"].map(display_name) == group).sum())
    assert f"Selected: {counted(count, 'X-ray')}" in [heading.value for heading in app.header]
    other = catalog.add(shutil.copytree(entry.path, tmp_path / "others"))
    elsewhere = AppTest.from_file(PAGE, default_timeout=120)
    elsewhere.query_params.update({"dataset": other.name, "show": "Map"})
    assert not elsewhere.run().get("plotly_chart")  # a map is of its own dataset, though the other has the same X-rays
    assert elsewhere.button(key="map_make")
    manifest = Path(entry.path) / "manifest.csv"
    head, *lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([head, *reversed(lines)]))
    app.run()
    assert OUTDATED in [element.value for element in app.info]  # its points would open other X-rays
    assert not app.get("plotly_chart")
    (started.result_folder / ABOUT).write_text("{}")
    assert stored_map(started) is None
    again = AppTest.from_file(PAGE, default_timeout=120)
    again.query_params.update({"dataset": entry.name, "show": "Map"})
    assert DAMAGED in [element.value for element in again.run().warning]


@pytest.mark.usefixtures("no_process")
def test_the_command_line_says_it_too_and_writes_every_place(
    dataset: Dataset, phantoms: Path, tmp_path: Path, answer: Answer, cxr: Cxr
) -> None:
    file = tmp_path / "map.csv"
    found = answer("map", "--data", phantoms, "--features", "first", "--method", "tsne", "--csv", file, "--most", 50)
    assert (found["films"], found["of"], found["method"], found["explained"]) == (50, len(dataset), "tsne", None)
    assert found["sentences"]
    table = pd.read_csv(file)
    assert list(table.columns) == [*COLUMNS, "x", "y"]
    assert len(table) == 50
    waiting = answer("map", "--data", phantoms, "--most", 50, "--detach")
    assert run_store.find(waiting["run"]).job == map_job([str(phantoms)], settings=MapSettings(most=50))
    assert cxr("map", "--data", phantoms, "--csv", file, "--detach")[0] != 0
