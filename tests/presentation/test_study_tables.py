"""A study in tables: the best trial first, what was ended early after the complete ones."""

from __future__ import annotations

import math

from cxr.presentation.study_tables import importances_table, progress_sentence, trials_table, values_text
from cxr.registry.study_record import StudyRecord
from cxr.studies.space import Space
from cxr.studies.trials import Trial, TrialState

SPACE = Space.from_toml(
    """
head.dropout = { low = 0.0, high = 0.6 }
head.dense = { choices = [[], [256]] }
"""
)
TRIALS = [
    Trial(1, {"head.dropout": 0.25, "head.dense": "none"}, TrialState.COMPLETE, 0.8, 0.5, (0.7, 0.8), 2, 3.0),
    Trial(2, {"head.dropout": 0.5, "head.dense": "256"}, TrialState.PRUNED, 0.9, 0.5, (0.9,), 1, 2.0),
    Trial(3, {"head.dropout": 0.1, "head.dense": "256"}, TrialState.COMPLETE, 0.85, 0.4, (0.8, 0.85), 2, 3.0),
    Trial(4, {"head.dropout": 0.1, "head.dense": "none"}, TrialState.FAILED, sentence="Too large."),
]


def test_complete_trials_come_first_by_their_result() -> None:
    table = trials_table(SPACE, TRIALS, "val_auc")
    assert table["Trial"].tolist() == [3, 1, 2, 4]
    assert table["Validation AUC"].tolist()[:3] == [0.85, 0.8, 0.9]
    assert math.isnan(table["Validation AUC"].iloc[3])
    assert table["Dropout"].tolist() == ["0.1", "0.25", "0.5", "0.1"]
    assert trials_table(SPACE, [], "val_auc").empty


def test_progress_names_the_best_so_far_and_what_was_ended_early() -> None:
    sentence = progress_sentence(TRIALS, 10, "val_auc")
    for part in ("4 of 10 trials", "1 pruned", "1 failed", "trial 3", "0.850"):
        assert part in sentence
    assert "Best" not in progress_sentence(TRIALS[1:2], 10, "val_auc")


def test_values_and_importances_have_the_names_of_the_form() -> None:
    assert values_text(SPACE, TRIALS[0]) == "Hidden units none; Dropout 0.25"
    table = importances_table(SPACE, {"head.dense": 0.7, "head.dropout": 0.3})
    assert table.to_numpy().tolist() == [["Hidden units", 0.7], ["Dropout", 0.3]]


def test_a_model_says_whether_the_study_or_a_person_chose_it() -> None:
    best = StudyRecord("run", 3, 10, 8, 1, "val_auc", 0.85)
    other = StudyRecord("run", 1, 10, 8, 2, "val_auc", 0.8)
    assert "10 trials" in best.sentence
    assert "number 2" in other.sentence
    assert best.sentence != other.sentence
