"""After a review: the same recipe trained again on the revised dataset, compared on X-rays that nobody touched."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from cxr.core.paths import models_dir
from cxr.evaluation.label_review.outcome import revise_by_review
from cxr.evaluation.label_review.ranking import rank_dataset
from cxr.evaluation.label_review.review import LabelReview, ReviewSize, save_answer, start_review
from cxr.evaluation.scores import read_scores
from cxr.jobs import run_store, train
from cxr.jobs.kinds import execute
from cxr.jobs.review_comparison import (
    REPORT,
    ReviewComparison,
    comparison_of,
    models_before,
    retrain_job,
    retrainings,
    was_revised,
)
from cxr.registry import registry
from tests.support.datasets import raises_code
from tests.support.training import WITHOUT_INPUT_CHECK, carry_out, tiny_recipe


@pytest.fixture
def reviewed(home: Path, phantoms: Path, tmp_path: Path) -> LabelReview:
    """A review of a dataset that the model 'before' was trained on; its reader changes the labels of test X-rays."""
    folder = shutil.copytree(phantoms, tmp_path / "films")
    carry_out(tiny_recipe(training={"epochs": 1}), [folder], "before", WITHOUT_INPUT_CHECK)
    ranking = rank_dataset([str(folder)], "before", lambda *_: None)
    return start_review(ranking, str(folder), ReviewSize(24, 6), seed=0)


def answer(review: LabelReview) -> None:
    for item in review.items:
        save_answer(review, "Reader 1", item.film, "viral" if item.label == "normal" else item.label)
    revise_by_review(review)


def test_the_same_recipe_is_trained_again_and_compared_on_test_x_rays_that_the_review_did_not_touch(
    reviewed: LabelReview, capsys: pytest.CaptureFixture[str]
) -> None:
    assert models_before(reviewed) == ["before"]
    with raises_code("dataset.not-revised"):
        retrain_job(reviewed, "before", "after")
    answer(reviewed)
    assert was_revised(reviewed)
    job = retrain_job(reviewed, "before", "after")
    assert job.training.recipe_toml == registry.get_recipe("before").with_absolute_weights().to_toml()
    run = run_store.create(job, "retrain-before")
    execute(run, partial(train.run, stages=WITHOUT_INPUT_CHECK))
    assert run.status.model == "after"
    assert retrainings(reviewed) == [run]
    found = comparison_of(run)
    assert isinstance(found, ReviewComparison)
    assert (found.comparison["first"], found.comparison["second"]) == ("after", "before")
    items = {item.film for item in reviewed.items}
    tests = [read_scores(registry.evaluation_path(name)) for name in ("after", "before")]
    tests = [table[table["role"] == "test"] for table in tests]
    shared = pd.merge(tests[0], tests[1], on=["film", "label"])["film"]
    assert found.comparison["n"] == len(set(shared) - items)
    assert found.touched == max(table["film"].isin(items).sum() for table in tests) > 0
    assert 0 <= found.comparison["mcnemar_p"] <= 1
    assert found.verdict[0] in run.status.sentence
    assert "after" in (run.result_folder / REPORT).read_text()


def test_a_model_that_cannot_be_compared_is_stored_and_the_sentence_says_why(reviewed: LabelReview) -> None:
    answer(reviewed)
    run = run_store.create(retrain_job(reviewed, "before", "after"), "retrain-before")
    shutil.rmtree(models_dir() / "before")
    execute(run, partial(train.run, stages=WITHOUT_INPUT_CHECK))
    assert (run.status.state, run.status.model) == ("finished", "after")
    assert "before" in run.status.sentence
    assert comparison_of(run) is None
