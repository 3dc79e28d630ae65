"""What is tried next depends on the seed, the number of the trial and those before it; bad trials end early."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cxr.core.errors import RunError
from cxr.registry.recipe import Recipe
from cxr.studies.search import LEAST_COMPLETE, Search, import_optuna
from cxr.studies.space import Space
from cxr.studies.storage import FILE, NAME, open_storage
from cxr.studies.trials import (
    Trial,
    TrialState,
    best_trial,
    decoded,
    ended_trial,
    ranked,
    read_trials,
    recipe_of,
    write_trial,
)

pytest.importorskip("optuna", reason="Optuna is not installed (requirements-studies.txt)")
SPACE = Space.from_toml(
    """
[optimiser]
rate = { low = 1e-5, high = 1e-2, scale = "log" }
[head]
dropout = { low = 0.0, high = 0.6, step = 0.1 }
dense = { choices = [[], [256]] }
[training]
batch = { low = 8, high = 64 }
"""
)
SEARCH = Search(SPACE, "val_auc", seed=3, planned=20)
VALUES: dict[str, str | float] = {
    "optimiser.rate": 1e-3,
    "head.dropout": 0.2,
    "head.dense": "256",
    "training.batch": 16,
}


def trial(number: int, value: float | None = 0.8, state: TrialState = TrialState.COMPLETE, **more: object) -> Trial:
    facts = {"values": VALUES | {"training.batch": 8 + number}, "val_loss": 0.5, "curve": (value,) * 4} | more
    return Trial(number=number, state=state, value=value, **facts)  # type: ignore[arg-type]


def searched(count: int) -> list[Trial]:
    """A study of so many trials, in which small dropout is better."""
    trials: list[Trial] = []
    for number in range(1, count + 1):
        values = SEARCH.propose(number, trials)
        assert values is not None
        trials.append(trial(number, 0.9 - float(values["head.dropout"]) / 2, values=values))
    return trials


def test_a_study_proposes_the_same_when_it_goes_on_as_when_it_was_never_interrupted() -> None:
    trials = searched(14)
    for number in (1, 6, 14):
        assert SEARCH.propose(number, trials[: number - 1]) == dict(trials[number - 1].values)
    other = replace(SEARCH, seed=4).propose(1, [])
    assert other != SEARCH.propose(1, [])


def test_no_trial_is_proposed_twice_and_a_small_space_ends() -> None:
    small = Search(Space.from_toml("head.dropout = { low = 0.0, high = 0.3, step = 0.1 }"), "val_auc", 0, 20)
    trials: list[Trial] = []
    while (values := small.propose(len(trials) + 1, trials)) is not None:
        trials.append(trial(len(trials) + 1, values=values))
    assert sorted(round(float(one.values["head.dropout"]), 6) for one in trials) == [0.0, 0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("space", "size"),
    [
        ("optimiser.rate = { choices = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5] }", 5),
        ("head.dropout = { choices = [0.0, 0.2, 0.4] }\ntraining.batch = { choices = [16, 32, 64] }", 9),
        ("head.dropout = { low = 0.0, high = 0.5, step = 0.1 }\ntraining.batch = { low = 16, high = 18 }", 18),
    ],
)
def test_a_study_ends_when_all_that_a_small_space_has_was_tried_and_no_earlier(space: str, size: int) -> None:
    small = Search(Space.from_toml(space), "val_auc", 2, 20)
    dimensions = small.space.dimensions
    trials: list[Trial] = []
    while (values := small.propose(len(trials) + 1, trials)) is not None:
        found = decoded(small.space, values)
        assert all(dimension.contains(found[dimension.key]) for dimension in dimensions)
        trials.append(trial(len(trials) + 1, 0.9 if len(trials) % 3 == 0 else 0.6, values=values))
    assert len(trials) == small.space.size == size
    assert small.propose(size, trials[:-1]) == dict(trials[-1].values)  # as an interrupted study goes on


def test_every_proposal_is_a_recipe() -> None:
    base = Recipe.read("vgg16-default")
    for one in searched(6):
        recipe = recipe_of(base, SPACE, one.values)
        assert recipe.head.dense in ((), (256,))
        assert isinstance(recipe.training.batch, int)
    assert decoded(SPACE, VALUES)["head.dense"] == (256,)


def test_the_recipes_own_values_are_tried_first_where_the_space_has_them() -> None:
    base = Recipe.read("vgg16-default")
    own = SEARCH.first_values(base)
    assert own is not None
    assert recipe_of(base, SPACE, own) == base
    assert SEARCH.first_values(base.with_overrides(["head.dropout=0.33"])) is None


def test_a_trial_whose_curve_is_below_the_median_is_pruned_and_a_good_one_is_not() -> None:
    others = [trial(number, curve=(0.6, 0.7, 0.8, 0.85)) for number in range(1, LEAST_COMPLETE + 1)]
    bad, good = trial(9, curve=(0.5, 0.5, 0.5)), trial(9, curve=(0.6, 0.75, 0.82))
    assert SEARCH.pruner(others, 8)(bad)
    assert not SEARCH.pruner(others, 8)(good)
    assert not SEARCH.pruner(others[1:], 8)(bad)  # too few to compare with
    assert not SEARCH.pruner(others, 8)(trial(9, curve=(0.5,)))  # too early
    assert not SEARCH.pruner(others, 3)(bad)  # it has just been trained to its end
    by_loss = replace(SEARCH, metric="val_loss")
    assert not by_loss.pruner(others, 8)(bad)
    assert by_loss.pruner(others, 8)(trial(9, curve=(0.9, 0.9, 0.9)))


def test_importances_say_what_made_the_difference() -> None:
    found = SEARCH.importances(searched(14))
    assert next(iter(found)) == "head.dropout"
    assert sum(found.values()) == pytest.approx(1)
    assert SEARCH.importances(searched(3)) == {}


def test_the_best_trial_is_the_complete_one_with_the_best_value_and_then_the_lowest_loss() -> None:
    trials = [
        trial(1, 0.8),
        trial(2, 0.95, TrialState.PRUNED),
        trial(3, 0.9, val_loss=0.4),
        trial(4, 0.9, val_loss=0.3),
        trial(5, None),
    ]
    assert [one.number for one in ranked(trials, "val_auc")] == [4, 3, 1]
    assert best_trial(trials, "val_loss").number == 1
    assert best_trial(trials[1:2], "val_auc") is None


def test_the_value_of_a_trial_is_that_of_the_epoch_that_is_kept() -> None:
    rows = [
        {"epoch": 1.0, "val_loss": 0.5, "val_auc": 0.7, "seconds": 1.0},
        {"epoch": 2.0, "val_loss": 0.4, "val_auc": 0.8, "seconds": 1.0},
        {"epoch": 3.0, "val_loss": 0.6, "val_auc": float("nan"), "seconds": 1.0},
    ]
    found = ended_trial(1, VALUES, TrialState.COMPLETE, rows, metric="val_auc", best="val_loss")
    assert (found.value, found.val_loss, found.kept_epoch, found.seconds) == (0.8, 0.4, 2, 3.0)
    assert found.curve == (0.7, 0.8, None)


def test_trials_are_stored_and_read_again(tmp_path: Path) -> None:
    stored = [trial(2), trial(1, None, TrialState.FAILED, sentence="Too large.", curve=())]
    for one in stored:
        folder = tmp_path / "trials" / f"study.{one.number:03d}"
        folder.mkdir(parents=True)
        write_trial(folder, one)
    (tmp_path / "trials" / "study.003").mkdir()
    assert read_trials(tmp_path) == [stored[1], stored[0]]


def test_optuna_opens_the_journal_of_a_study(tmp_path: Path) -> None:
    import optuna

    trials = [*searched(3), trial(4, 0.6, TrialState.PRUNED, curve=(0.5, 0.6)), trial(5, None, TrialState.DIVERGED)]
    (tmp_path / FILE).write_text("what a killed process left, {")
    open_storage(tmp_path / FILE, SEARCH, trials[:3]).add_trials([SEARCH.frozen(one) for one in trials[3:]])
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / FILE))
    study = optuna.load_study(study_name=NAME, storage=optuna.storages.JournalStorage(backend))
    assert [one.state.name for one in study.trials] == ["COMPLETE"] * 3 + ["PRUNED"] * 2
    assert study.trials[3].intermediate_values == {0: 0.5, 1: 0.6}
    assert study.best_trial.params == dict(best_trial(trials, "val_auc").values)


def test_without_optuna_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(RunError) as error:
        import_optuna()
    assert error.value.code == "run.no-optuna"
    assert "requirements-studies.txt" in str(error.value)
