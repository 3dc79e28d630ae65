"""Evaluations are kept, chosen again and forgotten, and belong to one version of a model."""

import numpy as np
import pandas as pd
import pytest

from cxr.core.errors import DatasetError
from cxr.core.paths import evaluations_dir
from cxr.evaluation.stored_evaluations import (
    ROLE_NAMES,
    SPLIT_NAMES,
    held_out_only,
    held_out_scores,
    store_evaluation,
    stored_evaluations,
)
from cxr.registry import registry
from cxr.registry.card import ModelDraft
from tests.support.training import tiny_recipe

CLASSES = ("normal", "bacterial", "viral")


@pytest.fixture
def card(home):
    """A model on the shelf that nobody needed to train."""
    films = {"test": {"normal": 2, "viral": 1}, "val": {"normal": 1}}
    draft = ModelDraft(name="drawn", classes=CLASSES, threshold=0.4, films=films)
    scores = pd.DataFrame(
        {
            "dataset": "drawn",
            "path": ["1.png", "2.png", "3.png", "4.png"],
            "label": ["normal", "normal", "viral", "normal"],
            "role": ["test", "test", "test", "val"],
            "p_normal": [0.9, 0.3, 0.1, 0.8],
            "p_bacterial": [0.05, 0.6, 0.2, 0.1],
            "p_viral": [0.05, 0.1, 0.7, 0.1],
        }
    )
    return registry.store(
        registry.NewModel(draft, tiny_recipe(), {"logits/bias": np.zeros(3, np.float32)}, scores.to_csv(index=False))
    )


def test_a_models_own_scores_are_listed_by_role(card):
    test, val = stored_evaluations(card)
    assert (test.name, val.name) == tuple(ROLE_NAMES.values())
    assert test.scores()["path"].tolist() == ["1.png", "2.png", "3.png"]
    assert val.scores()["path"].tolist() == ["4.png"]


def test_a_stored_evaluation_is_listed_with_its_scores(card):
    scores = stored_evaluations(card)[0].scores()
    stored = store_evaluation(card, "phantoms+nih", "all", scores)
    assert stored.name == f"phantoms+nih, {SPLIT_NAMES['all']}"
    assert stored_evaluations(card)[2] == stored
    assert stored_evaluations(card)[2].scores().equals(scores)
    assert sorted(path.name for path in stored.path.parent.iterdir()) == ["phantoms+nih@all.csv"]


def test_without_a_split_the_films_are_named_alone(card):
    assert store_evaluation(card, "phantoms", None, stored_evaluations(card)[0].scores()).name == "phantoms"


def test_a_second_evaluation_on_the_same_films_replaces_the_first(card):
    scores = stored_evaluations(card)[0].scores()
    store_evaluation(card, "phantoms", None, scores)
    store_evaluation(card, "phantoms", None, scores[:1])
    assert len(stored_evaluations(card)) == 3
    assert len(stored_evaluations(card)[2].scores()) == 1


def test_another_version_of_the_model_has_none_of_them(card):
    store_evaluation(card, "phantoms", None, stored_evaluations(card)[0].scores())
    assert len(stored_evaluations(card.model_copy(update={"version": "0" * 12}))) == 2


def test_an_evaluation_that_was_run_later_can_be_deleted_and_one_of_the_training_cannot(card):
    store_evaluation(card, "phantoms", None, stored_evaluations(card)[0].scores()).delete()
    assert len(stored_evaluations(card)) == 2
    with pytest.raises(DatasetError) as refused:
        stored_evaluations(card)[0].delete()
    assert refused.value.code == "dataset.scores-of-training"


def test_what_cannot_be_written_is_refused(card):
    evaluations_dir().write_text("a file where the folder should be")
    with pytest.raises(DatasetError) as refused:
        store_evaluation(card, "phantoms", None, stored_evaluations(card)[0].scores())
    assert refused.value.code == "dataset.not-saved"


def test_scores_without_digests_are_those_of_the_training_alone(card):
    store_evaluation(card, "phantoms", None, stored_evaluations(card)[0].scores())
    assert held_out_scores(card)["path"].tolist() == ["1.png", "2.png", "3.png"]


@pytest.fixture
def digests(card):
    """The same model, whose films are known by their bytes."""
    path = registry.evaluation_path(card.name)
    table = pd.read_csv(path).assign(film=list("abcd"), patient=[0, 0, 1, 2])
    table.to_csv(path, index=False)
    return card


def test_films_that_were_held_out_are_gathered_from_all_evaluations_each_once(digests):
    scores = stored_evaluations(digests)[0].scores()
    store_evaluation(digests, "others", None, scores.assign(film=["b", "x", "y"], role="", patient=[0, 1, 0]))
    table = held_out_scores(digests).set_index("film")
    assert table.index.tolist() == ["a", "b", "c", "x", "y"]
    assert table["patient"].nunique() == 4  # numbered within a table: b and y are one person's, and b is known already


@pytest.mark.parametrize("role", ["train", "val"])
def test_films_that_a_model_was_made_with_are_not_held_out_wherever_they_were_scored(digests, role):
    scores = stored_evaluations(digests)[0].scores()
    store_evaluation(digests, "all", "all", scores.assign(film=["x", "y", "z"], role=[role, "", role]))
    assert held_out_scores(digests)["film"].tolist() == ["a", "b", "c", "y"]
    assert held_out_only(scores.assign(role=role)).empty
