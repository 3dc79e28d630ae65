"""A study: its trials share what they can, its best model is judged once, and any trial's model can be stored."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from cxr.core.errors import CxrError, RunError
from cxr.datasets.dataset import Dataset
from cxr.jobs import run_store, sweep
from cxr.jobs.job import Job
from cxr.jobs.kinds import execute
from cxr.jobs.model_names import planned_name
from cxr.jobs.parameters import SweepParameters, TrainParameters
from cxr.jobs.run import Run
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.study_trials import StudyTrainer, keep_for_model, trial_run
from cxr.jobs.sweep import models_of, record_of, save_trial, search_of, sweep_job
from cxr.jobs.training_plan import composition
from cxr.learning.device import Device
from cxr.learning.journal import CHECKPOINT, Phase
from cxr.registry import registry
from cxr.registry.recipe import Recipe
from cxr.studies.proposals import PresetName
from cxr.studies.rate_range import RateRange, has_diverged, rates_of_test, read_rate_range
from cxr.studies.search import Search
from cxr.studies.space import Space
from cxr.studies.trials import TrialState, best_trial, read_trials
from tests.support.broken_jobs import STUDY_SPACE, DyingJournal
from tests.support.studies import study_recipe
from tests.support.training import WITHOUT_INPUT_CHECK, carry_out

pytest.importorskip("optuna", reason="Optuna is not installed (requirements-studies.txt)")


@pytest.fixture
def study(study_home: Path, home: Path) -> Run:
    """A study of four trials that has finished, in a home of this test alone."""
    shutil.copytree(study_home, home)
    (run,) = run_store.of_kind(SweepParameters.kind)
    return run


def test_the_best_trial_on_validation_images_becomes_a_model_that_says_so(study: Run) -> None:
    trials = read_trials(study.folder)
    assert [trial.number for trial in trials] == [1, 2, 3, 4]
    best = best_trial(trials, "val_auc")
    card = registry.get_card("best-of-four")
    assert (card.study.trial, card.study.trials, card.study.rank) == (best.number, 4, 1)
    assert card.study.value == best.value
    assert card.study.run == study.id
    assert set(card.study.searched) == {"optimiser.rate", "head.dropout"}
    assert card.results.test.n > 0
    assert card.best_epoch == best.kept_epoch
    assert registry.get_recipe(card.name).head.dropout == best.values["head.dropout"]
    assert models_of(study).keys() == {best.number}
    assert study.status.model == card.name


def test_the_recipes_own_values_are_the_first_trial_and_train_as_a_run_of_their_own(study: Run, phantoms: Path) -> None:
    first = read_trials(study.folder)[0]
    alone = carry_out(study_recipe(), [phantoms], None)
    assert first.values["optimiser.rate"] == study_recipe().optimiser.rate
    assert [row["val_loss"] for row in trial_run(study, 1).history()] == pytest.approx(
        [row["val_loss"] for row in alone.history()], abs=1e-5
    )


def test_trials_of_a_frozen_backbone_compute_its_features_once(phantoms: Path, home: Path) -> None:
    phases: list[tuple[str, int]] = []

    class Watching(DyingJournal):
        def phase(self, name: str, done: int = 0, total: int = 0) -> None:
            phases.append((name, done))
            super().phase(name, done, total)

    asked = SweepParameters("", STUDY_SPACE, 2)
    run = run_store.create(sweep_job(study_recipe(), [str(phantoms)], asked), "sweep-tiny")
    execute(run, lambda job, journal: sweep.run(job, Watching(journal, 10**9)))
    for phase in (Phase.READING_IMAGES, Phase.COMPUTING_FEATURES):
        counts = [done for name, done in phases if name == phase]
        assert counts == sorted(set(counts))  # each image once
    assert len(read_trials(run.folder)) == 2
    assert run.status.model == ""  # no name was asked for


def test_the_model_of_any_complete_trial_can_be_stored_without_training_it_again(study: Run) -> None:
    trials = read_trials(study.folder)
    best = best_trial(trials, "val_auc")
    other = next(trial for trial in trials if trial.number != best.number and trial.state is TrialState.COMPLETE)
    record = record_of(study, other.number, trials)
    assert record.rank > 1
    assert record.sentence != record_of(study, best.number, trials).sentence
    recipe_toml = trial_run(study, other.number).job.training.recipe_toml
    run = run_store.create(Job(TrainParameters(recipe_toml, "by-hand", study=record), study.job.inputs), "tiny")
    keep_for_model(trial_run(study, other.number), run)
    execute(run, partial(sweep.train.run, stages=WITHOUT_INPUT_CHECK))
    card = registry.get_card("by-hand")
    assert card.study == record
    assert card.epochs == other.epochs
    assert [row["seconds"] for row in card.history] == [
        row["seconds"] for row in trial_run(study, other.number).history()
    ]  # not one epoch was repeated
    assert models_of(study).keys() == {best.number, other.number}


def test_a_pruned_trial_leaves_no_weights_and_no_model(phantoms: Path, home: Path) -> None:
    class Impatient(Search):
        def pruner(self, trials, epochs):
            return lambda running: running.epochs >= 2

    recipe = study_recipe()
    run = run_store.create(
        sweep_job(recipe, [str(phantoms)], SweepParameters("", STUDY_SPACE, 1, "never")), "sweep-tiny"
    )
    search = Impatient(Space.from_toml(STUDY_SPACE), "val_auc", 0, 1)
    chosen = composition(recipe, Dataset.open(phantoms))
    device = Device("CPU", "float32")
    trainer = StudyTrainer(recipe, search, chosen.films, chosen.labels, device, RunJournal(run), run.job.inputs)
    trial = trainer.train(1, search.propose(1, []) or {}, [])
    assert (trial.state, trial.epochs) == (TrialState.PRUNED, 2)
    assert list(trial_run(run, 1).folder.glob("*.npz")) == []
    with pytest.raises(RunError) as error:
        record_of(run, 1, [trial])
    assert error.value.code == "run.no-weights"
    impossible = trainer.train(2, {"optimiser.rate": 99.0, "head.dropout": 0.1}, [trial])
    assert (impossible.state, impossible.epochs) == (TrialState.FAILED, 0)
    assert [one.number for one in read_trials(run.folder)] == [1, 2]


def test_a_complete_trial_keeps_its_best_weights_and_its_history_alone(study: Run) -> None:
    for number in (1, 2, 3, 4):
        files = {path.name for path in trial_run(study, number).folder.glob("*.npz")}
        assert len(files) == 2
        assert f"{CHECKPOINT}.npz" in files


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"trials": 0}, "run.trials"),
        ({"trials": 5000}, "run.trials"),
        ({"space_toml": ""}, "recipe.empty-space"),
        ({"space_toml": "head.dropout = { low = 0.0, high = 2.0 }"}, "recipe.invalid"),
        ({"model": "best-of-four"}, "registry.name-taken"),
    ],
)
def test_a_study_that_cannot_be_is_refused_before_it_starts(study: Run, changes: dict, code: str, phantoms) -> None:
    asked = SweepParameters(**({"recipe_toml": "", "space_toml": STUDY_SPACE, "trials": 3} | changes))
    with pytest.raises(CxrError) as error:
        sweep_job(study_recipe(), [str(phantoms)], asked)
    assert error.value.code == code


def test_a_study_does_not_go_on_with_other_images(study: Run, tmp_path: Path) -> None:
    films = (study.folder / "films.csv").read_text()
    (study.folder / "films.csv").write_text(films.replace(",train", ",val", 1))
    with pytest.raises(RunError) as error:
        sweep.run(study.job, RunJournal(study))
    assert error.value.code == "run.films-changed"


def test_a_finished_study_goes_on_with_more_trials(study: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in study.folder.rglob("trial.json")}
    first = registry.get_card("best-of-four")
    monkeypatch.setattr(run_store, "executor", lambda: SimpleNamespace(start=execute))
    sweep.extend(study, 2)
    assert study.status.state == "finished", study.status.sentence
    trials = read_trials(study.folder)
    assert [trial.number for trial in trials] == [1, 2, 3, 4, 5, 6]
    assert before
    assert {path: path.read_bytes() for path in before} == before
    assert len({tuple(trial.values.items()) for trial in trials}) == 6
    card, best = registry.get_card("best-of-four-2"), best_trial(trials, "val_auc")
    assert (card.study.trial, card.study.trials, card.study.rank) == (best.number, 6, 1)
    assert registry.get_card("best-of-four") == first
    assert sweep.models_of(study)[best.number] == card
    if best.number == first.study.trial:
        assert card.results == first.results


@pytest.mark.parametrize(
    ("state", "more", "preset", "code"),
    [
        ("finished", 0, "", "run.trials"),
        ("finished", 997, "", "run.trials"),
        ("stopped", 2, "", "run.not-finished"),
        ("finished", 2, PresetName.RATE_TEST, "run.trials"),
    ],
)
def test_a_study_that_cannot_go_on_is_not_extended(study: Run, state: str, more: int, preset: str, code: str) -> None:
    asked = replace(study.job.parameters_as(SweepParameters), preset=preset)
    (study.folder / "job.json").write_text(replace(study.job, parameters=asked).to_json())
    study.write_status(replace(study.status, state=state))
    with pytest.raises(CxrError) as error:
        sweep.extend(study, more)
    assert error.value.code == code
    assert study.job.parameters_as(SweepParameters).trials == 4


def test_the_name_of_the_best_model_is_planned(study: Run) -> None:
    assert planned_name(study) == "best-of-four-2"  # the study has stored one already


def test_the_range_test_finds_where_the_loss_falls_and_stores_no_model(phantoms: Path, home: Path) -> None:
    asked = SweepParameters("", "", 1, preset=PresetName.RATE_TEST)
    run = run_store.create(sweep_job(study_recipe(), [str(phantoms)], asked), "sweep-tiny")
    execute(run)
    found = read_rate_range(run.result_folder)
    assert found.rates == pytest.approx(rates_of_test()[: len(found.rates)])
    assert found.losses[0] == pytest.approx(found.losses[1], abs=0.5)
    assert None not in (found.suggested, found.steepest, found.lowest)
    assert (found.suggested or 0) < (found.lowest or 0)
    assert (found.steepest or 0) <= (found.lowest or 0)
    assert run.status.state == "finished"
    assert registry.cards() == []


def test_a_range_test_knows_when_the_loss_diverges_and_when_it_falls_nowhere() -> None:
    assert has_diverged([1.0] * 12 + [50.0])
    assert has_diverged([float("nan")])
    assert not has_diverged([1.0] * 12)
    rates = tuple(map(float, rates_of_test()[:20]))
    rising = RateRange(rates, tuple(1.0 + n for n in range(20)))
    assert (rising.steepest, rising.suggested) == (None, None)
    valley = RateRange(rates, tuple(abs(n - 12) / 12 for n in range(20)))
    lowest = valley.lowest or 0
    assert rates[0] < (valley.steepest or 0) <= lowest
    assert valley.suggested == pytest.approx(lowest / 10, rel=0.5)


def test_a_search_is_the_one_that_the_job_asks_for(study: Run) -> None:
    search = search_of(study.job.parameters_as(SweepParameters))
    assert (search.metric, search.planned, search.direction) == ("val_auc", 4, "maximize")
    assert Recipe.from_toml(study.job.parameters.recipe_toml) == study_recipe()


def test_a_saved_trial_starts_with_the_files_of_the_trial(study: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_store, "_spawn", lambda run: None)
    number = read_trials(study.folder)[1].number
    run = save_trial(study, number, "second")
    names = {path.name for path in run.folder.iterdir()}
    assert {"checkpoint.npz", "history.csv", "copies.json", "films.csv"} <= names
    assert run.job.training.study.trial == number
