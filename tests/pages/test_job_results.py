"""What jobs have found is shown where they were started and on the page Jobs: cross-validations, rankings, curves."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cxr.datasets import catalog
from cxr.evaluation.dataset_curve import DatasetCurve
from cxr.evaluation.intervals import Interval
from cxr.evaluation.label_review.review import ReviewSize, all_reviews
from cxr.evaluation.look_alikes.build import build_index
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.jobs import run_store
from cxr.jobs.crossval import crossval_job
from cxr.jobs.crossval_result import CrossvalResult, LeftOutSource, store_result
from cxr.jobs.kinds import execute
from cxr.jobs.learning_curve import CURVE, learning_curve_job, stored_curve
from cxr.jobs.look_alikes import CHECK, IndexCheck, look_alikes_job, stored_check
from cxr.jobs.parameters import JobKind
from cxr.jobs.rank import rank_job
from cxr.jobs.run import Run, Status
from cxr.presentation.learning_curve_text import gain_sentence
from cxr.registry import registry
from cxr.registry.recipe import Recipe
from cxr.ui.components.jobs.crossval import folds_table
from cxr.ui.components.jobs.titles import progress_text, share_done, task_of
from cxr.ui.jobs.ranking_result import TITLE
from cxr.ui.models.look_alikes_panel import THERE_IS_ONE
from cxr.ui.train.cross_validation import CROSS_VALIDATE, ONE_SOURCE, SOURCES, TASK
from tests.support.broken_jobs import CURVE_FILMS

PAGES = Path(__file__).parents[2] / "pages"
ROW = LeftOutSource("ward", 20, 30, Interval(0.9, 0.7, 0.97), Interval(0.5, 0.3, 0.7), None, 7)


def page(name: str) -> AppTest:
    return run(AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=60))


def run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    assert not app.error
    return app


def buttons(app: AppTest) -> list[str]:
    return [str(button.key) for button in app.button]


def details(job: Run) -> AppTest:
    """The details of a job on the page Jobs, which a click on its row opens."""

    def show(folder: str) -> None:
        from pathlib import Path

        from cxr.jobs.run import Run
        from cxr.ui.jobs.all_jobs import _show_details

        _show_details(Run(Path(folder)), ())

    return run(AppTest.from_function(show, kwargs={"folder": str(job.folder)}, default_timeout=60))


@pytest.mark.usefixtures("no_process")
def test_a_cross_validation_is_started_on_train_and_its_table_is_there_when_it_is_done(home: Path, phantoms: Path):
    catalog.add(phantoms)
    app = page("train")
    app.multiselect(key="train_datasets").set_value(["phantoms"])
    run(app)
    app.segmented_control(key=TASK).set_value(CROSS_VALIDATE)
    run(app)
    assert "train_start" not in buttons(app)
    app.number_input(key="train_crossval_folds").set_value(3)
    run(app).button(key="train_crossval_start").click()
    run(app)
    (started,) = run_store.all_runs()
    assert started.job == crossval_job(Recipe.read("vgg16-default"), [str(phantoms)], 3)
    assert f"job_stop_{started.id}" in buttons(app)
    store_result(started, CrossvalResult(sources=(ROW,), impossible={"x": "why"}), pd.DataFrame({"path": ["a"]}))
    started.write_status(Status("finished", heartbeat=time.time()))
    run(app)
    for shown in (app, details(started)):
        assert shown.table[-1].value["Specificity"].tolist() == ["0.900 (0.700–0.970)"]
        assert any(one.value.startswith("ward: 7 X-rays") for one in shown.caption)
    app.segmented_control(key="train_crossval_how").set_value(SOURCES)
    run(app)  # each source of the synthetic X-rays has all of a class, or there is one source alone
    assert app.button(key="train_crossval_start").disabled is (ONE_SOURCE in [one.value for one in app.caption])


def test_a_table_of_folds_ends_with_mean_and_range() -> None:
    folds = tuple(
        {"n": 40, "accuracy": value, "macro_f1": 0.5, "binary": {"auc": auc, "sensitivity": 1.0, "specificity": None}}
        for value, auc in ((0.7, 0.8), (0.9, 0.9))
    )
    table = folds_table(CrossvalResult(folds))
    assert table["Fold"].tolist() == ["1", "2", "Mean ± SD", "Range"]
    assert table["Multiclass accuracy"].tolist()[2:] == ["0.800 ± 0.141", "0.700–0.900"]
    assert table["AUC"].tolist() == ["0.800", "0.900", "0.850 ± 0.071", "0.800–0.900"]


def test_the_progress_of_a_job_with_parts_is_that_of_all() -> None:
    status = Status("working", "training", 5, 10, epoch=1, epochs=2, part=2, parts=4)
    assert share_done(status) == pytest.approx((1 + 0.25) / 4)
    assert progress_text(status).startswith("Part 2 of 4. Epoch 1 of 2")
    assert share_done(Status("working", "computing features", 9, 10, part=1, parts=4)) == 0
    assert share_done(Status("working", "evaluating", 0, 0, part=4, parts=4)) == 1


@pytest.mark.usefixtures("no_process")
def test_a_review_starts_when_the_ranking_that_it_needs_has_finished(trained: Path, phantoms: Path) -> None:
    path = catalog.add(phantoms).path
    app = page("data")
    app.segmented_control(key="data_view").set_value("Labels")
    run(app)
    app.selectbox(key="labels_features").set_value("first")
    app.number_input(key="labels_suspects").set_value(6)
    run(app).button(key="labels_start").click()
    run(app)
    (started,) = run_store.of_kind(JobKind.RANK)
    assert started.job == rank_job(path, "first", review=ReviewSize(6, 10))
    assert f"job_stop_{started.id}" in buttons(app)
    execute(started)
    assert [len(review.items) for review in all_reviews(path)] == [16]
    assert f"labels_reader_{started.id}" in [str(one.key) for one in run(app).segmented_control]
    shown = details(started)
    assert TITLE in shown.table[-1].value.columns
    assert shown.markdown[-1].value.endswith("(/data?dataset=phantoms&show=Labels)")
    assert task_of(started).endswith("phantoms by features of first")


@pytest.mark.usefixtures("no_process")
def test_a_learning_curve_is_made_by_a_job_and_shown_on_data_and_jobs(
    trained: Path, phantoms: Path, tmp_path: Path
) -> None:
    draw_phantom_set(tmp_path / "films", CURVE_FILMS, size_px=48)
    other, path = catalog.add(phantoms, "another").name, catalog.add(tmp_path / "films").path
    app = page("data")
    app.selectbox(key="data_dataset").set_value("films")
    app.segmented_control(key="data_view").set_value("Learning curve")
    run(app)
    app.selectbox(key="learning_curve_features").set_value("first")
    run(app).button(key="learning_curve_start").click()
    run(app)
    (started,) = run_store.of_kind(JobKind.LEARNING_CURVE)
    assert started.job == learning_curve_job([path], "first")
    assert task_of(started) == "Learning curve of films by features of first"
    execute(started)
    found = stored_curve(started)
    assert found is not None
    assert DatasetCurve.from_dict(found.as_dict()).as_dict() == found.as_dict()
    sentence = gain_sentence(found)
    assert started.status.sentence == sentence
    for shown in (run(app), details(started)):
        assert any(sentence in one.value for one in shown.markdown)
        assert len(shown.get("plotly_chart")) == 1
    assert details(started).markdown[-1].value.endswith("(/data?dataset=films&show=Learning+curve)")
    app.selectbox(key="data_dataset").set_value(other)
    assert not run(app).get("plotly_chart")
    (started.result_folder / CURVE).write_text("{}")
    assert stored_curve(started) is None


@pytest.mark.usefixtures("no_process")
def test_an_index_of_look_alikes_is_made_by_a_job_and_its_precision_shown(trained: Path, phantoms: Path) -> None:
    path, card = catalog.add(phantoms).path, registry.get_card("first")
    app = page("models")
    app.multiselect(key="models_look_alikes_datasets").set_value(["phantoms"])
    run(app).button(key="models_look_alikes_start").click()
    run(app)
    (started,) = run_store.of_kind(JobKind.LOOK_ALIKES)
    assert started.job == look_alikes_job(card, [path])
    assert task_of(started) == "Look-alikes index of first from phantoms"
    assert THERE_IS_ONE not in [one.value for one in app.markdown]
    execute(started)
    check = stored_check(started)
    assert check is not None
    assert IndexCheck.from_dict(check.as_dict()) == check
    assert started.status.sentence == f"Indexed {check.films} training X-rays of 'first'."
    assert THERE_IS_ONE in [one.value for one in run(app).markdown]
    for shown in (app, details(started)):
        (table,) = [one.value for one in shown.table if "Same label" in one.value]
        assert list(table["X-rays"]) == [str(row.films) for row in check.everywhere]
    build_index("first", [path], lambda done, total, what="": None)  # another index takes its place
    assert not [one for one in run(app).table if "Same label" in one.value]
    (started.result_folder / CHECK).write_text("[]")
    assert stored_check(started) is None
