"""The view Labels on Data: a blinded reading by two readers, its outcome, and the revision that follows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.datasets.revisions.history import revisions
from cxr.evaluation.label_review.review import (
    UNSURE,
    LabelReview,
    ReviewSize,
    all_answers,
    all_reviews,
    answers_of,
    save_answer,
    start_review,
)
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.jobs import run_store
from cxr.jobs.crossval import crossval_job
from cxr.jobs.crossval_result import CrossvalResult, store_result
from cxr.jobs.kinds import execute
from cxr.jobs.parameters import JobKind
from cxr.jobs.rank import rank_job
from cxr.jobs.review_comparison import REPORT, RESULT, ReviewComparison
from cxr.jobs.run import Status
from cxr.ui.label_review.blinded_reading import DONE
from cxr.ui.label_review.panel import ABOUT
from tests.evaluation.label_review.test_given_scores import scores_of
from tests.evaluation.label_review.test_review import made_ranking
from tests.support.training import tiny_recipe

PAGE = str(Path(__file__).parents[3] / "pages" / "data.py")


@pytest.fixture
def review(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> LabelReview:
    """A review of two X-rays of a dataset that is in the list."""
    monkeypatch.delenv("CXR_DATA", raising=False)
    folder = draw_phantom_set(tmp_path / "set", 60, size_px=64).parent
    ranking = made_ranking(folder)[0]
    return start_review(ranking, catalog.add(folder).path, ReviewSize(1, 1), seed=0)


def run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    return app


def test_two_readers_answer_without_the_label_and_their_agreement_becomes_a_revision(review: LabelReview) -> None:
    app = run(AppTest.from_file(PAGE, default_timeout=60))
    app.segmented_control(key="data_view").set_value("Labels")
    run(app)
    first, second = review.items
    new = "pneumonia" if first.label == "normal" else "normal"
    shown = " ".join(element.value for element in (*app.markdown, *app.caption))
    assert first.path not in shown
    for reader in ("Reader 1", "Reader 2"):
        app.segmented_control(key=f"labels_reader_{review.id}").set_value(reader)
        run(app)
        app.button(key=f"labels_answer_{first.film}_{new}").click()
        run(app)
        app.button(key=f"labels_answer_{second.film}_{second.label}").click()
        run(app)
        assert [message.value for message in app.success] == [DONE]
    assert [len(mine.answers) for mine in all_answers(review)] == [2, 2]
    app.toggle(key=f"labels_outcome_{review.id}").set_value(True)
    run(app)
    assert app.dataframe[0].value["Result"].tolist() == ["Changed", "Kept"]
    app.button(key="labels_revise").click()
    run(app)
    assert not app.error
    revision = revisions(review.data)[0]
    assert [edit.value for edit in revision.edits] == [new]
    table = Dataset.open(review.data).table.set_index("path")
    assert table.loc[first.path, "label"] == new
    app.button(key="labels_restore_1").click()
    run(app)
    assert Dataset.open(review.data).table.set_index("path").loc[first.path, "label"] == first.label


def opened(review: LabelReview) -> AppTest:
    """The page with the first X-ray of the review, for Reader 1."""
    app = run(AppTest.from_file(PAGE, default_timeout=60))
    app.segmented_control(key="data_view").set_value("Labels")
    return run(app)


def test_an_answer_that_is_pressed_twice_does_not_answer_the_next_x_ray(review: LabelReview) -> None:
    app = opened(review)
    first, second = review.items
    pressed = app.button(key=f"labels_answer_{first.film}_normal")
    for _ in range(2):  # the second press was sent from the page of the first X-ray
        states = app._tree.get_widget_states()
        states.widgets.append(WidgetState(id=pressed.proto.id, trigger_value=True))
        app._run(states)
        assert not app.exception
    assert answers_of(review, "Reader 1").answers == {first.film: "normal"}
    assert app.button(key=f"labels_answer_{second.film}_normal")


def test_a_reader_goes_back_and_the_new_answer_takes_the_place_of_the_last(review: LabelReview) -> None:
    app = opened(review)
    first, second = review.items
    assert f"labels_undo_{first.film}" not in [button.key for button in app.button]
    for item in (first, second):
        app.button(key=f"labels_answer_{item.film}_normal").click()
        run(app)
    app.button(key="labels_undo_").click()
    run(app).button(key=f"labels_undo_{second.film}").click()
    assert "You answered: Normal." in [caption.value for caption in run(app).caption]
    assert answers_of(review, "Reader 1").answers == {first.film: "normal", second.film: "normal"}
    app.button(key=f"labels_answer_{first.film}_{UNSURE}").click()
    assert [message.value for message in run(app).success] == [DONE]
    assert answers_of(review, "Reader 1").answers == {first.film: UNSURE, second.film: "normal"}


def test_a_dataset_without_reviews_says_what_one_is(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CXR_DATA", raising=False)
    catalog.add(draw_phantom_set(tmp_path / "set", 12, size_px=64).parent)
    app = run(AppTest.from_file(PAGE, default_timeout=60))
    app.segmented_control(key="data_view").set_value("Labels")
    assert ABOUT in [element.value for element in run(app).markdown]
    assert app.button(key="labels_start")


def test_a_finished_cross_validation_of_the_dataset_can_give_the_doubts(
    home: Path, phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_store, "start", run_store.create)  # no process
    monkeypatch.delenv("CXR_DATA", raising=False)
    path = catalog.add(shutil.copytree(phantoms, tmp_path / "set")).path
    finished = run_store.create(crossval_job(tiny_recipe(), [path], 2), "crossval-tiny")
    finished.write_status(Status("finished"))
    store_result(finished, CrossvalResult(), scores_of(Dataset.open(path)))
    app = run(AppTest.from_file(PAGE, default_timeout=60))
    app.segmented_control(key="data_view").set_value("Labels")
    run(app).selectbox(key="labels_scores_set").set_value(finished.id)
    assert "labels_features" not in [one.key for one in run(app).selectbox]
    app.button(key="labels_start").click()
    run(app)
    (started,) = run_store.of_kind(JobKind.RANK)
    assert started.job == rank_job(path, "imagenet", review=ReviewSize(30, 10), scores=finished.id)


def test_after_the_revision_the_recipe_is_trained_again_and_the_comparison_is_shown(
    trained: Path, phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_store, "start", run_store.create)  # no process
    monkeypatch.delenv("CXR_DATA", raising=False)
    path = catalog.add(shutil.copytree(phantoms, tmp_path / "set")).path
    execute(run_store.create(rank_job(path, "first", review=ReviewSize(6, 2)), "rank-first"))
    (review,) = all_reviews(path)
    for item in review.items:
        save_answer(review, "Reader 1", item.film, "viral" if item.label != "viral" else "normal")
    app = run(AppTest.from_file(PAGE, default_timeout=60))
    app.segmented_control(key="data_view").set_value("Labels")
    run(app).toggle(key=f"labels_outcome_{review.id}").set_value(True)
    assert "labels_retrain" not in [button.key for button in run(app).button]  # not before the revision
    app.button(key="labels_revise").click()
    run(app).button(key="labels_retrain").click()
    run(app)
    started = run_store.of_kind(JobKind.TRAIN)[0]
    assert (started.job.training.review, started.job.training.before) == (review.id, "first")
    assert f"job_stop_{started.id}" in [button.key for button in app.button]
    found = ReviewComparison(("The new model is no better.",), 3, {"n": 20})
    started.result_folder.mkdir()
    (started.result_folder / RESULT).write_text(json.dumps(vars(found)))
    (started.result_folder / REPORT).write_text("<html></html>")
    started.write_status(Status("finished", model="first-revised"))
    assert any(found.verdict[0] in element.value for element in run(app).markdown)
