"""Evaluate with a second model: the films on which the two decide differently."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cxr.datasets import catalogue
from cxr.datasets.dataset import Dataset
from tests.pages.test_evaluate import CLASSES, OWN, PAGE, captions, run, scored, store, threshold


@pytest.fixture
def films(phantoms):
    dataset = Dataset.open(phantoms)
    return dataset.where(dataset.table["split"] == "test")


@pytest.fixture
def card(home, films):
    return store("drawn", CLASSES, scored(films), threshold=OWN)


def beside(other):
    """The page with that model beside the model "drawn"."""
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    run(app.segmented_control(key="evaluate_section").set_value("Another model"))
    run(app.selectbox(key="evaluate_model").set_value("drawn"))
    return run(app.selectbox(key="evaluate_other").set_value(other))


def words(app):
    return next(text.value for text in app.markdown if text.value.startswith("They decide "))


def test_the_films_on_which_two_models_decide_differently_are_listed_with_the_most_apart_first(card, films):
    catalogue.add(films.table["root"].iat[0])
    store("second", CLASSES, scored(films), threshold=0.9)
    app = beside("second")
    shown = app.dataframe[1].value
    assert list(shown)[:5] == ["Film", "Label", "drawn", "second", "Right"]
    assert shown["Film"].str.startswith("data:image/jpeg").all()
    assert (shown["drawn"] != shown["second"]).all() and (shown["second"] == "normal").all()
    assert " films: drawn is right on " in words(app)
    assert "Choose a row to see the film with the heatmap of drawn." in captions(app)


def test_the_scores_that_lie_farthest_apart_come_first(card, films):
    other = scored(films)
    columns = [f"p_{name}" for name in CLASSES]
    other[columns] = other[columns].to_numpy()[np.random.default_rng(1).permutation(len(other))]
    store("second", CLASSES, other, threshold=OWN)
    shown = beside("second").dataframe[1].value
    assert (shown["Score, drawn"] - shown["Score, second"]).abs().is_monotonic_decreasing


def test_models_that_decide_alike_have_no_films_to_show(card, films):
    store("second", CLASSES, scored(films), threshold=OWN)
    app = beside("second")
    assert words(app) == f"They decide alike on all {len(films)} films."
    assert len(app.dataframe) == 1


def test_a_model_may_stand_beside_itself_at_another_threshold(card):
    app = beside("drawn")
    assert words(app).startswith("They decide alike")
    run(threshold(card, app).set_value(0.9))
    assert "drawn is right on" in words(app) and ", drawn (own threshold) on " in words(app)


def test_with_one_model_the_page_says_how_to_get_a_second_one(card, films):
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    run(app.segmented_control(key="evaluate_section").set_value("Another model"))
    assert "only model so far" in app.info[-1].value
    ways = " ".join(text.value for text in app.markdown)
    assert "(/train)" in ways and "(/models)" in ways
    store("second", CLASSES, scored(films), threshold=0.9)
    assert not any("only model" in info.value for info in run(app).info)


def test_scores_without_digests_list_the_films_they_differ_on_without_pictures(home, films):
    table = scored(films).drop(columns="film")
    store("drawn", CLASSES, table, threshold=OWN)
    store("second", CLASSES, table, threshold=0.9)
    app = beside("second")
    assert app.dataframe[1].value["Film"].isna().all()
    assert "cannot be found" in captions(app)
