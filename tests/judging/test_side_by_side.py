"""Two models are held against each other on the same films where that can be."""

import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.judging.side_by_side import Judged, measures, side_by_side, table_of

LABELS = LabelSpace(("normal", "viral"))


def judged(name, films, role="test", right=True):
    rows = [
        {"dataset": "d", "path": f"{film}.png", "film": film, "label": label, "role": role,
         "p_normal": float((label == "normal") == right), "p_viral": float((label == "viral") == right)}
        for film, label in films.items()
    ]  # fmt: skip
    return Judged(name, pd.DataFrame(rows), LABELS, 0.5)


FILMS = {"a": "normal", "b": "viral", "c": "normal", "d": "viral"}


def test_both_are_judged_by_the_test_films_that_they_share():
    pair = side_by_side(judged("new", FILMS), judged("old", {"b": "viral", "c": "normal", "e": "viral"}, right=False))
    assert pair.shared and (pair.one.n, pair.other.n) == (2, 2)
    assert (pair.one.accuracy, pair.other.accuracy) == (1.0, 0.0)
    assert "2 test films" in pair.sentence


def test_films_that_one_was_trained_on_are_not_shared():
    trained = judged("old", FILMS, role="train")
    tested = judged("old", {"x": "normal", "y": "viral"})
    both = Judged("old", pd.concat([trained.films, tested.films]), LABELS, 0.5)
    pair = side_by_side(judged("new", FILMS), both)
    assert not pair.shared and (pair.one.n, pair.other.n) == (4, 2)
    assert "others" in pair.sentence


@pytest.mark.parametrize("role", ["val", "train"])
def test_a_model_without_test_films_is_held_against_nothing(role):
    assert side_by_side(judged("new", FILMS), judged("old", FILMS, role=role)) is None


def test_models_of_other_classes_have_rows_of_their_own():
    other = judged("old", {"x": "normal", "y": "viral"})
    films = other.films.rename(columns={"p_viral": "p_covid19"}).assign(label=["normal", "covid19"])
    pair = side_by_side(judged("new", FILMS), Judged("old", films, LabelSpace(("normal", "covid19")), 0.5))
    table = table_of(pair, "new", "old").set_index("measure")
    assert table.loc["AUC normal"].tolist() == [1.0, 1.0]
    assert pd.isna(table.loc["AUC viral", "old"]) and pd.isna(table.loc["AUC covid19", "new"])
    assert set(measures(pair.one)) <= set(table.index)
