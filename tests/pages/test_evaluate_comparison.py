"""The page Evaluate: the comparison with a second model, and the X-rays on which the two disagree."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cxr.core.number_format import counted
from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.evaluation.stored_evaluations import store_evaluation
from cxr.presentation.comparison_tables import DIFFERENCE, SAME_PREDICTIONS
from cxr.registry.card import Card
from cxr.ui.evaluate.second_model import CHOOSE_A_MODEL, ONLY_MODEL, OTHER_FILMS, OWN_THRESHOLD
from tests.support.evaluate_page import (
    CLASSES,
    THRESHOLD,
    captions,
    open_page,
    run,
    scored,
    select,
    set_threshold,
    store,
)


@pytest.fixture
def card(home, held_out_films: Dataset) -> Card:
    return store("drawn", CLASSES, scored(held_out_films), threshold=THRESHOLD)


def compared(other: str) -> AppTest:
    """The page with the model "drawn" compared with this one."""
    app = select(open_page("Compare"), model="drawn")
    return select(app, second_model=other)


def texts(app: AppTest) -> list[str]:
    return [text.value for text in app.markdown]


def same_predictions(films: Dataset) -> str:
    return SAME_PREDICTIONS.format(count=counted(len(films), "X-ray"))


def test_a_second_model_is_compared_on_the_films_with_scores_of_both(card, held_out_films):
    store("second", CLASSES, scored(held_out_films)[:30], threshold=0.7)
    store("disjoint", CLASSES, scored(held_out_films).assign(film="0" * 16), threshold=0.7)
    app = select(open_page("Compare"), model="drawn")
    assert CHOOSE_A_MODEL in captions(app)
    select(app, second_model="second")
    assert "30 X-rays from 30 patients" in captions(app)
    assert list(app.dataframe[0].value) == ["Metric", "drawn", "second", DIFFERENCE]
    select(app, second_model="disjoint")
    assert not app.dataframe
    assert "disjoint" in app.info[-1].value


def test_held_out_films_are_compared_while_the_validation_set_is_shown(home, phantoms, held_out_films):
    films = Dataset.open(phantoms)
    chosen_on = scored(films.where(films.table["split"] != "test"), role="val")
    scores = pd.concat([scored(held_out_films), chosen_on], ignore_index=True)
    store("drawn", CLASSES, scores, threshold=THRESHOLD)
    store("second", CLASSES, scores, threshold=0.7)
    app = select(compared("second"), stored="Validation set")
    assert counted(len(held_out_films), "X-ray") in captions(app)
    assert OTHER_FILMS in captions(app)
    select(app, stored="Held-out test set")
    assert OTHER_FILMS not in captions(app)


def test_films_that_either_model_was_trained_on_are_left_out_of_a_comparison(card, held_out_films):
    scores = scored(held_out_films)
    stored = store_evaluation(card, "phantoms", "all", scores.assign(role=["train"] * 5 + ["test"] * (len(scores) - 5)))
    other = store("second", CLASSES, scored(held_out_films, role="train"), threshold=0.7)
    store_evaluation(other, "phantoms", "all", scores.assign(role=["val"] * 8 + [""] * (len(scores) - 8)))
    app = select(open_page("Compare"), model="drawn")
    select(app, stored=stored.name, second_model="second")
    assert counted(len(scores) - 8, "X-ray") in captions(app)


def test_disagreements_are_listed(card, held_out_films):
    catalog.add(held_out_films.table["root"].iat[0])
    store("second", CLASSES, scored(held_out_films), threshold=0.9)
    table = compared("second").dataframe[1].value
    assert list(table)[:5] == ["Image", "Reference", "drawn", "second", "Correct"]
    assert table["Image"].str.startswith("data:image/jpeg").all()
    assert (table["drawn"] != table["second"]).all()
    assert (table["second"] == "Normal").all()


def test_the_largest_score_differences_come_first(card, held_out_films):
    other = scored(held_out_films)
    columns = [f"p_{name}" for name in CLASSES]
    other[columns] = other[columns].to_numpy()[np.random.default_rng(1).permutation(len(other))]
    store("second", CLASSES, other, threshold=THRESHOLD)
    table = compared("second").dataframe[1].value
    assert (table["Score, drawn"] - table["Score, second"]).abs().is_monotonic_decreasing


def test_models_with_the_same_predictions_have_no_disagreements(card, held_out_films):
    store("second", CLASSES, scored(held_out_films), threshold=THRESHOLD)
    app = compared("second")
    assert same_predictions(held_out_films) in texts(app)
    assert len(app.dataframe) == 1


def test_a_model_is_compared_with_itself_at_another_threshold(card, held_out_films):
    app = compared("drawn")
    assert same_predictions(held_out_films) in texts(app)
    set_threshold(app, 0.9)
    assert OWN_THRESHOLD.format("drawn") in app.dataframe[1].value


def test_with_one_model_the_page_leads_to_a_second_one(card, held_out_films):
    app = open_page("Compare")
    assert app.info[-1].value == ONLY_MODEL
    assert {"(/train)", "(/models)"} <= {text.rpartition("]")[2] for text in texts(app)}
    store("second", CLASSES, scored(held_out_films), threshold=0.9)
    assert ONLY_MODEL not in [info.value for info in run(app).info]


def test_disagreements_without_digests_are_listed_without_images(home, held_out_films):
    table = scored(held_out_films).drop(columns="film")
    store("drawn", CLASSES, table, threshold=THRESHOLD)
    store("second", CLASSES, table, threshold=0.9)
    assert "Image" not in compared("second").dataframe[1].value
