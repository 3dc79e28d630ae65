"""A card's results are the figures of its stored scores, of either role."""

import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.judging.evaluation import evaluate
from cxr.showing.model_card import measures, written


@pytest.fixture
def evaluation():
    films = pd.DataFrame(
        {"label": ["normal", "viral", "viral"], "p_normal": [0.9, 0.2, 0.6], "p_viral": [0.1, 0.8, 0.4]}
    )
    return evaluate(films, LabelSpace(("normal", "viral")), 0.5)


def test_an_evaluation_has_its_figures_against_normal_and_of_each_class(evaluation):
    found = measures(evaluation)
    assert (found["Films"], found["Accuracy"]) == (3, pytest.approx(2 / 3))
    assert found["Sensitivity against normal"] == found["Recall viral"] == 0.5
    assert found["AUC against normal"] == found["AUC viral"] == 1.0


def test_films_are_written_whole_and_shares_with_three_decimals(evaluation):
    found = measures(evaluation)
    table = pd.DataFrame({"test films": found, "others": {"Films": 2.0}}, index=list(found)).rename_axis("measure")
    shown = written(table.reset_index()).set_index("measure")
    assert shown.loc[["Films", "Accuracy"], "test films"].tolist() == ["3", "0.667"]
    assert shown.loc[["Films", "Accuracy"], "others"].tolist() == ["2", ""]
