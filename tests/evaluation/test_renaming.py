"""A renamed model keeps its evaluations and its index of look-alikes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxr.core.paths import evaluations_dir
from cxr.evaluation.look_alikes.index import LookAlikeIndex, graph_path, index_path, load_index
from cxr.evaluation.renaming import rename_model
from cxr.evaluation.stored_evaluations import store_evaluation, stored_evaluations
from cxr.registry import registry
from cxr.registry.card import Card
from tests.support.datasets import raises_code

SCORES = pd.DataFrame({"path": ["1.png", "2.png"], "label": ["normal", "viral"], "p_normal": [0.9, 0.2]})
SCORES["p_viral"] = 1 - SCORES["p_normal"]


@pytest.fixture
def card(trained: Path) -> Card:
    """The card of a model that was trained."""
    return registry.get_card("first")


def test_evaluations_follow_their_model_to_its_new_name(card: Card) -> None:
    store_evaluation(card, "hospital", "all", SCORES)
    store_evaluation(card.model_copy(update={"name": "new"}), "left", None, SCORES)  # of a deleted copy of the model
    renamed = rename_model("first", "new")
    assert {one.name for one in stored_evaluations(renamed) if not one.role} == {"hospital, all X-rays", "left"}
    assert [folder.name for folder in evaluations_dir().iterdir()] == [f"new@{card.version}"]


def test_the_index_of_look_alikes_follows_its_model(card: Card) -> None:
    before, after = f"first@{card.version}", f"new@{card.version}"
    texts = {name: np.arange(6).astype(str) for name in ("dataset", "path", "film", "label", "source", "patient")}
    LookAlikeIndex.from_features(before, np.random.default_rng(0).normal(size=(6, 4)), texts).save()
    graph_path(before, "aa").write_text("its graph")
    graph_path(after, "bb").write_text("the graph of an index that is replaced")
    rename_model("first", "new")
    assert len(load_index(after)) == 6
    files = {path.name for path in index_path(after).parent.iterdir()}
    assert files == {index_path(after).name, graph_path(after, "aa").name}


def test_what_cannot_be_moved_is_said(card: Card) -> None:
    path = store_evaluation(card, "hospital", None, SCORES).path
    (evaluations_dir() / f"new@{card.version}").write_text("a file where the folder should be")
    with raises_code("registry.not-moved"):
        rename_model("first", "new")
    assert path.is_file()
